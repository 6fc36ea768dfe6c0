"""What decoding yields: a text, the lookups behind it, and the events on the way there."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from lamlam.kb.fact import Resolution
from lamlam.vocab import Kind

__all__ = [
    "CallBegun",
    "CallResolved",
    "Done",
    "Event",
    "Finish",
    "Generation",
    "Lookup",
    "TextWritten",
    "TokenLogProb",
]

Finish = Literal["eos", "stop", "length", "cut"]


@dataclass(frozen=True, slots=True)
class Lookup:
    """A call that the model made, and what the knowledge base returned for it.

    `value` is the text that entered the sequence: the values found, the word "unknown", or "" for a call that was
    dropped; `cut` tells that it was too long and lost its end, `query_cut` that entity or relation were and did.
    `[start, end)` is the span of `Generation.text` right after the call that states a value of `resolution`; it is
    empty, at the call's place, where the text states none.
    """

    entity: str
    relation: str
    resolution: Resolution
    value: str
    cut: bool = False
    query_cut: bool = False
    start: int = 0
    end: int = 0

    def as_json(self) -> dict[str, Any]:
        """An object for JSON: the call, its status, what entered and where, and the facts with their sources."""
        return {
            "entity": self.entity,
            "relation": self.relation,
            "status": str(self.resolution.status),
            "score": self.resolution.score,
            "value": self.value,
            "cut": self.cut,
            "query_cut": self.query_cut,
            "start": self.start,
            "end": self.end,
            "facts": [asdict(fact) for fact in self.resolution.facts],
        }


class TokenLogProb(NamedTuple):
    """How likely a model found a token where it is, in nats, and the likeliest tokens there, the likeliest first."""

    token: int
    log_prob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Generation:
    """A continuation: `text` has no calls in it, `ids` and `kinds` are the whole sequence from `[bos]` on.

    `finish` is "eos" where the model ended the text, "stop" at a stop string (which is left out of `text`), "length"
    where `max_tokens` or the model's context was used up, "cut" where the model of a server broke the grammar of calls
    and could not be kept from it. A call that was dropped leaves nothing in `ids`. `refused_calls` counts where the
    model's likeliest token was a call and `max_calls_in_a_row` forbade it, and the call that was cut. `log_probs`,
    where the settings ask for them, stand beside `ids`: natural logarithms, the model's own, before penalties,
    temperature and constraints; None for what was not chosen but given. `prompt_log_probs` are those of the prompt's
    tokens, white space at its end included and `[bos]` left out. A prompt is read without calls, so they are those of
    text: over all tokens but the control tokens. `revision` is that of the knowledge base which the settings asked for.
    """

    prompt: str
    text: str
    lookups: tuple[Lookup, ...]
    finish: Finish
    ids: tuple[int, ...]
    kinds: tuple[Kind, ...]
    log_probs: tuple[TokenLogProb | None, ...] = ()
    prompt_log_probs: tuple[TokenLogProb, ...] = ()
    refused_calls: int = 0
    revision: int | None = None

    def as_json(self) -> dict[str, Any]:
        """An object for JSON, without the ids."""
        lookups = [lookup.as_json() for lookup in self.lookups]
        return {
            "prompt": self.prompt,
            "text": self.text,
            "finish": self.finish,
            "lookups": lookups,
            "refused_calls": self.refused_calls,
        }


@dataclass(frozen=True, slots=True)
class TextWritten:
    """More of the visible text, in whole characters."""

    text: str


@dataclass(frozen=True, slots=True)
class CallBegun:
    """The model began a call; `CallResolved` follows unless the sequence ends inside it."""


@dataclass(frozen=True, slots=True)
class CallResolved:
    """The knowledge base answered. The lookup's span is not known yet: it is empty, at the call's place."""

    lookup: Lookup


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a stream, with all of it."""

    generation: Generation


Event = TextWritten | CallBegun | CallResolved | Done
