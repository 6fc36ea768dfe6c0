"""Reading a given text with calls of the model's own: the text is forced, token by token, and only the calls are free.

Before each token of the text the model is asked, greedily, what it would write: if `<|db_entity|>` is likelier than
every text token and EOS, it writes its call as in decoding, under the same constraints; value and `<|db_end|>` are
forced in, and the text token's log p is read after the call. At one place a model may call up to four times in a row.

log p is the raw softmax over the whole vocabulary: what a model puts on `<|db_entity|>` without calling is lost to the
text token.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from lamlam.batches import batches
from lamlam.engine.constraint import CallConstraint
from lamlam.engine.control_tokens import ControlTokens
from lamlam.engine.draft import Draft, Guess
from lamlam.engine.engine import Engine
from lamlam.engine.sampling import Sampler
from lamlam.engine.sequence import DecodingSequence, State
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError
from lamlam.evaluate.completion import tracked
from lamlam.markup import AnnotatedDocument
from lamlam.model.losses import Loss
from lamlam.vocab import Kind, Vocabulary, encode

__all__ = ["DynamicPerplexity", "Reader", "Reading", "dynamic_perplexity"]

_CALLS_AT_ONE_PLACE = 4
_LONGEST_DRAFT = 32
_OF_CALLS = {"max_query_tokens", "max_value_tokens", "entities", "relations", "skip_stated", "on_miss", "lookups"}


class Reading(DecodingSequence):
    """A sequence whose text is given; only its calls are the model's. `log_probs` are those of the given ids, in nats.

    The prompt is read like any prompt, without calls, and has no log p.
    """

    def __init__(
        self,
        prompt: str,
        given: Sequence[int],
        settings: DecodingSettings,
        control_tokens: ControlTokens,
        constraint: CallConstraint,
        context: int,
    ) -> None:
        super().__init__(prompt, settings, control_tokens, constraint, context, Sampler(settings))
        self._given = given
        self._calls_here = 0
        self.log_probs: list[float] = []

    @property
    def unread(self) -> int:
        """How many of the given ids did not fit into the context with the calls before them."""
        return len(self._given) - len(self.log_probs)

    def next_given(self, number: int) -> list[int]:
        """Return the next `number` ids to read, or fewer; none inside a call."""
        if self.is_in_call:
            return []
        return list(self._given[len(self.log_probs) : len(self.log_probs) + number])

    def choose(self, logits: Tensor, likeliest: int | None = None) -> int:
        """Choose as any sequence does; if the model would write text (known without a mask), the given token."""
        if self.state is not State.TEXT or likeliest not in self._control_tokens.bytes_of:
            return super().choose(logits, likeliest)
        token = self._given[len(self.log_probs)]
        self.take(token, logits)
        return token

    def allowed(self, logits: Tensor) -> Tensor:
        """In text: the call if the model prefers it to any text, else only the given token."""
        allowed = super().allowed(logits)
        if self.state is not State.TEXT:
            return allowed
        entity = self._vocabulary.entity_id
        preferred = int(logits.float().masked_fill(~allowed, -torch.inf).argmax())
        calls = preferred == entity and self._calls_here < _CALLS_AT_ONE_PLACE
        return self._control_tokens.mask([entity if calls else self._given[len(self.log_probs)]])

    def surely_allows(self, token: int) -> bool:
        return self.state is not State.TEXT and super().surely_allows(token)

    def _begin_copy(self, first: int) -> None:
        """The text is given, its values too."""

    def take(self, token: int, logits: Tensor) -> None:
        if self.state is State.TEXT:
            if token == self._vocabulary.entity_id:
                self._calls_here += 1
            else:
                self._calls_here = 0
                self.log_probs.append(float(logits.float().log_softmax(-1)[token]))
        super().take(token, logits)


class Reader(Engine):
    """An engine that reads texts instead of writing them.

    The text is known, so it is drafted: the model reads a stretch in one pass, up to its next call.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.model, engine.vocabulary, engine.kb, device=engine.model.device, speculate=False)

    def read(self, texts: Sequence[tuple[str, Sequence[int]]], settings: DecodingSettings) -> list[Reading]:
        """Return a reading for each prompt and the ids that follow it; the ids end with EOS.

        Of `settings` those that govern calls apply. Raises `LamLamError` when a prompt fills the model's context.
        """
        most: dict[str, Any] = dict.fromkeys(("max_tokens", "max_calls", "max_calls_in_a_row"), self._context)
        endless = DecodingSettings(**most, **settings.model_dump(include=_OF_CALLS))
        readings = [
            Reading(
                prompt,
                given,
                endless,
                self._control_tokens,
                CallConstraint(self._control_tokens, self.kb, endless),
                self._context,
            )
            for prompt, given in texts
        ]
        self.run(readings)
        return readings

    def _draft(self, sequence: DecodingSequence, ready: int) -> Draft:
        assert isinstance(sequence, Reading)
        room = min(_LONGEST_DRAFT, self._context - len(sequence.ids) - 1)
        tokens = sequence.next_given(room) if room > 0 else []
        return Draft(tokens, [(Guess.VALUE, False)] * len(tokens))


@dataclass(frozen=True, slots=True)
class DynamicPerplexity:
    """Loss over T_org with the model's own calls, `found` of which were resolved to facts.

    `unread` text tokens did not fit into the context after the calls before them; `text` leaves them out.
    """

    documents: int
    text: Loss
    calls: int
    found: int
    unread: int

    def __add__(self, other: "DynamicPerplexity") -> "DynamicPerplexity":
        return DynamicPerplexity(*(getattr(self, part.name) + getattr(other, part.name) for part in fields(self)))

    @property
    def dynamic(self) -> float:
        return math.exp(self.text.mean)

    def figures(self) -> dict[str, Any]:
        counts = {"documents": self.documents, "text_tokens": self.text.tokens, "calls": self.calls}
        return {"dynamic": self.dynamic} | counts | {"found": self.found, "unread_tokens": self.unread}


def dynamic_perplexity(
    engine: Engine,
    documents: Sequence[AnnotatedDocument],
    settings: DecodingSettings,
    *,
    sample: int | None = None,
    seed: int = 0,
    batch_size: int = 32,
    progress: bool = False,
) -> DynamicPerplexity:
    """Let the engine's model read `documents`, or `sample` of them chosen by `seed`, with calls of its own.

    Of `settings` those that govern calls apply. Raises `InputError` without documents.
    """
    if not documents:
        raise InputError("there are no documents to measure perplexity on")
    if sample is not None and sample < len(documents):
        documents = random.Random(seed).sample(list(documents), sample)
    reader, vocabulary = Reader(engine), engine.vocabulary
    ordered = sorted(documents, key=lambda document: len(document.text))
    readings: list[Reading] = []
    for batch in tracked(list(batches(ordered, batch_size)), "dynamic perplexity", progress):
        readings += reader.read([("", _text_of(document, vocabulary)) for document in batch], settings)
    lookups = [lookup for reading in readings for lookup in reading.generation().lookups]
    return DynamicPerplexity(
        documents=len(documents),
        text=Loss(-sum(sum(r.log_probs) for r in readings), sum(len(r.log_probs) for r in readings)),
        calls=len(lookups),
        found=sum(lookup.resolution.found for lookup in lookups),
        unread=sum(reading.unread for reading in readings),
    )


def _text_of(document: AnnotatedDocument, vocabulary: Vocabulary) -> list[int]:
    """T_org of a document: its text tokens and EOS."""
    encoded = encode(document, vocabulary, "standard")
    return [token for token, kind in zip(encoded.ids, encoded.kinds, strict=True) if kind is not Kind.BOS]
