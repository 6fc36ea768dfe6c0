"""One sequence that is being decoded: a state machine over token ids.

It says which token may come next, takes the token that was chosen, and keeps what was written: text, calls, values.
A value enters as token ids, which the model then reads in one pass; text is never decoded, split and encoded again.
Choosing tokens is the sampler's concern, running the model the batch's, looking facts up the engine's.

    PROMPT --> TEXT --<|db_entity|>--> ENTITY --<|db_relationship|>--> RELATION --<|db_return|>--> WAITING
                ^                                                                                    |
                +------ dropped, or <|db_end|> behind the VALUE that entered ------------------------+

Where all calls are known, SEARCH takes the place of ENTITY and RELATION: the likeliest call is found as a whole
(`call_search`). The rest of a value that the text has begun is found likewise (`copying`).

V is the width of the logits, K the number of places that were read with a wish for their logits.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum, auto
from itertools import takewhile

import torch
from torch import Tensor

from lamlam.engine.cache import Branches
from lamlam.engine.call_search import CallSearch
from lamlam.engine.constraint import CallConstraint, Names
from lamlam.engine.control_tokens import ControlTokens
from lamlam.engine.copying import Copy
from lamlam.engine.detokenizer import Detokenizer
from lamlam.engine.generation import (
    CallBegun,
    CallResolved,
    Done,
    Event,
    Finish,
    Generation,
    Lookup,
    TextWritten,
    TokenLogProb,
)
from lamlam.engine.prompt import Prompt
from lamlam.engine.sampling import Sampler, token_log_probs
from lamlam.engine.settings import DecodingSettings
from lamlam.engine.token_tree import Node, TokenTree
from lamlam.errors import LamLamError
from lamlam.kb.fact import Resolution
from lamlam.markup import UNKNOWN
from lamlam.vocab import Encoded, Kind

__all__ = ["DecodingSequence", "State"]


class State(Enum):
    """Where in the grammar of text and calls a sequence stands."""

    PROMPT = auto()  # not read yet
    TEXT = auto()
    SEARCH = auto()  # for the likeliest call, or the rest of the likeliest value
    ENTITY = auto()
    RELATION = auto()
    WAITING = auto()  # for the knowledge base
    VALUE = auto()  # entered and not read yet
    DONE = auto()


class DecodingSequence:
    """A prompt and what follows; `context` is how many tokens the model can read.

    Where the prompt ends with white space, what follows has none in front. The ids of a prompt whose likelihood is to
    be told are `unscored` until `score` was given their logits. Raises `LamLamError` when the prompt fills the context
    or is no valid Unicode.
    """

    def __init__(
        self,
        prompt: str | Prompt,
        settings: DecodingSettings,
        control_tokens: ControlTokens,
        constraint: CallConstraint,
        context: int,
        sampler: Sampler,
    ) -> None:
        prompt = Prompt.of(prompt, control_tokens.vocabulary) if isinstance(prompt, str) else prompt
        self.prompt = prompt.text
        self.state = State.PROMPT
        self.read = 0  # how many of the ids the model has read
        self.trail: list[int] = []  # what was written, without the names in calls and the values, come in or repeated
        self.learnt = 0  # how much of the trail the drafter knows
        self._sampler = sampler
        self._events: list[Event] = []
        self._settings, self._context = settings, context
        self._control_tokens, self._constraint = control_tokens, constraint
        self._vocabulary = control_tokens.vocabulary
        self._encoded = Encoded()
        self._encoded.add([self._vocabulary.bos_id], Kind.BOS)
        self._encoded.add(prompt.ids, Kind.TEXT)
        if (length := 1 + max(len(prompt.ids), len(prompt.whole))) >= context:
            raise LamLamError(f"the prompt's {length} tokens leave no room in the model's context of {context}")
        self._said = bytearray(prompt.text.rstrip().encode())  # what a reader of prompt, text and values has read
        self._text = Detokenizer(settings.stop, opens=not prompt.text or prompt.text[-1].isspace())
        self._text_tokens = self._calls = 0
        self._lookups: list[Lookup] = []
        self._log_probs: dict[int, TokenLogProb] = {}  # by the index of the id
        self.unscored = [self._vocabulary.bos_id, *prompt.whole] if settings.prompt_log_probs else []
        self._prompt_log_probs: tuple[TokenLogProb, ...] = ()
        self._finish: Finish = "length"
        self._calls_in_a_row = self._refused_calls = 0
        self._query_cut = False  # in the running call
        self.error: LamLamError | None = None  # what ended the sequence before its time
        self._call_refused = False  # right after a dropped call
        self._call_start = self._call_start_in_trail = 0  # indices of the running call's first id
        self._echo: list[int] = []  # the tokens of the last value that the text has not written yet
        self._asked: list[int] = []  # the tokens of the entity that was asked for last
        self._mentioned = 0  # how many names the text had mentioned then
        self._logits_before_call: Tensor | None = None
        self._names: Names | None = None
        self._search: TokenTree | None = None
        self._written = bytearray()  # of the running entity or relation
        self._field_tokens = 0
        self._entity = self._relation = ""
        if not settings.max_tokens and not self.unscored:
            self._end("length")

    @property
    def ids(self) -> list[int]:
        """All token ids, `[bos]` and the prompt's included."""
        return self._encoded.ids

    @property
    def pending(self) -> list[int]:
        """The ids that the model has not read."""
        return self.ids[self.read :]

    @property
    def branches(self) -> Branches | None:
        """How what the next pass reads for a search stands behind the pending ids."""
        nodes = self.searched
        return Branches(len(self.ids), [node.columns for node in nodes]) if nodes else None

    @property
    def searched(self) -> list[Node]:
        """The nodes that are these branches."""
        return self._search.reading if self._search else []

    @property
    def columns(self) -> int:
        """How many columns of the cache hold what was read of it, branches included."""
        return self.read + (self._search.columns - len(self.searched) if self._search else 0)

    @property
    def wants_nearest(self) -> bool:
        """Whether a miss is to be answered with the nearest fact."""
        return self._settings.on_miss == "nearest"

    @property
    def revision(self) -> int | None:
        """The revision of the knowledge base that answers its calls; None for the knowledge base as it stands."""
        return self._settings.revision

    @property
    def is_ready(self) -> bool:
        """Whether the model can read on in it."""
        return self.state not in (State.WAITING, State.DONE)

    @property
    def is_in_call(self) -> bool:
        return self.state in (State.ENTITY, State.RELATION) or isinstance(self._search, CallSearch)

    @property
    def done(self) -> bool:
        return self.state is State.DONE

    @property
    def query(self) -> tuple[str, str]:
        """Entity and relation of the call that waits for the knowledge base."""
        return self._entity, self._relation

    def advance(self, logits: Tensor, drafted: Sequence[int], likeliest: Sequence[int]) -> int:
        """Go on after the model has read all ids and then `drafted` tokens; logits [K, V], K = 1 + drafted tokens.

        `likeliest` are the tokens of the greatest logits [K], which spare most choices a mask. Every token is chosen
        as it would be without a draft, so that the draft changes nothing but the speed. Where it names the token that
        was chosen, the model has read that one already. Returns how often it did.
        """
        if self._search is not None:
            self._search.take([*([self._search.root] if self.pending else []), *self.searched], logits)
            self.read = len(self.ids)
            return 0
        self.read, place = len(self.ids), 0
        if self.state in (State.PROMPT, State.VALUE):
            self.state = State.TEXT
        while True:
            known = len(self.ids)
            self.choose(logits[place], likeliest[place])
            for token in self.ids[known:]:
                if place == len(drafted) or token != drafted[place]:
                    return place
                self.read, place = self.read + 1, place + 1
            if self._search is not None:
                self._search.follow(drafted[place:], logits[place:])
            if self._search is not None or not self.is_ready:
                return place

    def plan(self, most: int) -> list[int]:
        """Choose at most so many nodes of a search for the next pass to read; if it has ended, write what it found.

        Returns the columns in which its tokens stand in the cache, as far as they were read; they are to be moved to
        those right behind the ids that there were.
        """
        search = self._search
        if search is None or search.plan(most) or self.pending:
            return []
        self._search = None
        start, found = len(self.ids), search.found
        self.state = State.ENTITY if isinstance(search, CallSearch) else State.TEXT
        if found is not None:
            self._write_found(found)
        elif isinstance(search, CallSearch):
            self._begin_field(None if search.means_another else self._constraint.entities(self._context_text))
        columns = found.columns if found else []
        self.read = start + len(columns)
        if not self.pending and self.is_ready:
            last = found or search.root
            assert last.logits is not None
            self.choose(last.logits)
        return [start + column for column in columns]

    def _write_found(self, found: Node) -> None:
        """Write a call, or the rest of a value."""
        if self.state is State.ENTITY:
            self._begin_field(None)
        else:
            self._echo = [node.token for node in found.path]
        for node in found.path:
            if self.is_ready:
                assert node.parent is not None
                assert node.parent.logits is not None
                self._tell_likelihood(node.parent.logits, node.token)
                self.take(node.token, node.parent.logits)

    def score(self, logits: Tensor, start: int) -> None:
        """Tell how likely the tokens of the prompt are, given the logits [K, V] of the `unscored` ids from `start` on.

        After the last of them the model has read what the prompt and they begin with, and goes on from there.
        """
        following = self.unscored[start + 1 : start + 1 + len(logits)]
        text = logits[: len(following)].float()
        text[:, [*self._vocabulary.control_ids]] = -torch.inf
        self._prompt_log_probs += tuple(token_log_probs(text, following, self._settings.top_log_probs))
        if start + len(logits) == len(self.unscored):
            pairs = zip(self.ids, self.unscored, strict=False)
            shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
            self.read, self.unscored = min(shared, len(self.ids) - 1), []
            if not self._settings.max_tokens:
                self._end("length")

    def choose(self, logits: Tensor, likeliest: int | None = None) -> int:
        """Choose the next token by its logits [V], and take it; `likeliest`, where known, has the greatest of them."""
        unbiased = logits
        if self._settings.call_bias and self.state is State.TEXT:
            logits = self._biased(logits)
            likeliest = int(logits.argmax())
        if self._is_bounded:
            self.wish(int(logits.argmax()) if likeliest is None else likeliest, logits)
        if likeliest is not None and self._sampler.takes_likeliest and self.surely_allows(likeliest):
            token = likeliest
        else:
            token = self._sampler.choose(logits, self.allowed(logits), self.ids)
        follows_value = self.state is State.TEXT and self.ids[-1] == self._vocabulary.end_id
        self._tell_likelihood(unbiased, token)
        self.take(token, unbiased)
        if follows_value and self.state is State.TEXT:
            self._begin_copy(token)
        return token

    def _tell_likelihood(self, logits: Tensor, token: int) -> None:
        """Keep how likely the next token is by its logits [V], where that is asked for."""
        if self._settings.log_probs:
            [self._log_probs[len(self.ids)]] = token_log_probs(logits[None], [token], self._settings.top_log_probs)

    def _biased(self, logits: Tensor) -> Tensor:
        """Logits [V] with the settings' bias on beginning a call."""
        logits = logits.float().clone()
        logits[self._vocabulary.entity_id] += self._settings.call_bias
        return logits

    # What may be expected, for drafts

    def expected(self) -> list[int]:
        """The tokens that are likely to come next: the value that came in, or the rest of an entity's name."""
        if self.state in (State.TEXT, State.VALUE):
            return list(self._echo)
        if self.state is State.ENTITY:
            written = self.ids[self._call_start + 1 :]
            name = self.likely_name()
            return name[len(written) :] if name[: len(written)] == written else []
        return []

    def likely_name(self) -> list[int]:
        """The tokens of the name that a call is likely to ask for, and of its end; none where nothing tells.

        It is the name that the text has mentioned last, if that is new and no value, else the one asked for last.
        """
        if self._constraint.lists_calls and self._sampler.takes_likeliest:
            return []  # it is searched for
        mentioned = self._constraint.mentioned(self._context_text)[self._mentioned :]
        values = {lookup.value for lookup in self._lookups}
        fresh = [name for name in mentioned if name not in values]
        name = self._vocabulary.encode(" " + fresh[-1]) if fresh else self._asked
        return [*name, self._vocabulary.relation_id] if name else []

    @property
    def _context_text(self) -> str:
        """What a reader of prompt, text and values has read."""
        return self._said.decode(errors="ignore")

    # Choosing

    def allowed(self, logits: Tensor) -> Tensor:
        """The tokens among which the next is chosen, a mask [V], given its logits [V]."""
        if self.state is State.TEXT:
            return self._allowed_in_text()
        close = self._close
        if self._field_tokens >= self._settings.max_query_tokens:
            return self._control_tokens.mask([close])
        if self._names is not None:
            following = self._names.after(bytes(self._written), logits)
            if following.ids or following.complete:
                return self._control_tokens.mask([*following.ids, *([close] if following.complete else [])])
            self._names = None  # the vocabulary can write none of the names
        return self._control_tokens.text_and(*([close] if self._written.strip() else []))

    @property
    def _close(self) -> int:
        """The token that ends the running entity or relation."""
        return self._vocabulary.relation_id if self.state is State.ENTITY else self._vocabulary.return_id

    def surely_allows(self, token: int) -> bool:
        """Whether `allowed` marks a token, told without a mask; where that takes a mask, False."""
        text = self._control_tokens.bytes_of.get(token)
        if self.state is State.TEXT:
            if self._must_call:
                return token == self._vocabulary.entity_id
            call = token == self._vocabulary.entity_id and self._may_call
            return text is not None or token == self._vocabulary.eos_id or call
        if self._field_tokens >= self._settings.max_query_tokens or (text is None and token != self._close):
            return False
        if self._names is None:
            return text is not None or bool(self._written.strip())
        written = bytes(self._written)
        return self._names.holds(written) if text is None else self._names.begins(written + text)

    def wish(self, token: int, logits: Tensor) -> None:
        """Record what the model would have written, where that may be what a bound forbids."""
        if self.state is State.TEXT:
            self._refused_calls += token == self._vocabulary.entity_id and self._has_called_enough
        elif self._is_bounded:
            if self._names is None:
                self._query_cut |= token not in (self._vocabulary.relation_id, self._vocabulary.return_id)
            else:
                self._query_cut |= not self._names.after(bytes(self._written), logits).complete

    def take(self, token: int, logits: Tensor) -> None:
        """Go on with the chosen token; `logits` [V] are those that it was chosen by."""
        if self.state is not State.TEXT:
            self._take_in_call(token)
        elif token == self._vocabulary.entity_id:
            self._begin_call(logits)
        elif token == self._vocabulary.eos_id:
            self._encoded.add([token], Kind.EOS)
            self._end("eos")
        else:
            self._write(token)

    def answer(self, resolution: Resolution) -> None:
        """Go on with what the knowledge base answered to the waiting call."""
        if self._settings.on_miss == "drop" and not resolution.found:
            self.drop(resolution)
        else:
            self.resolve(resolution, resolution.text if resolution.found else UNKNOWN)

    def resolve(self, resolution: Resolution, value: str) -> None:
        """Enter `value` for the waiting call, cut to the longest that is allowed."""
        ids = self._vocabulary.encode(" " + value)
        cut = len(ids) > self._settings.max_value_tokens
        if cut:
            ids = ids[: self._settings.max_value_tokens]
            value = b"".join(self._control_tokens.bytes_of[token] for token in ids).decode(errors="ignore")[1:]
        self._record(Lookup(*self.query, resolution, value, cut, self._query_cut))
        self._text.after_call()
        self._said += b"".join(self._control_tokens.bytes_of[token] for token in ids)
        self._echo = self._vocabulary.encode(" " + resolution.values[0]) if len(resolution.facts) > 1 else list(ids)
        for token, kind in (*((token, Kind.VALUE) for token in ids), (self._vocabulary.end_id, Kind.END)):
            if not self.done:
                self._append(token, kind, then=State.VALUE)

    def drop(self, resolution: Resolution) -> None:
        """Undo the waiting call, and choose what comes in its place."""
        assert self._logits_before_call is not None
        self._record(Lookup(*self.query, resolution, "", query_cut=self._query_cut))
        self._undo_call()
        self.choose(self._logits_before_call)

    def fail(self, error: LamLamError) -> None:
        """End here, for a fault that is this sequence's own."""
        self.state, self.error = State.DONE, error

    def check(self) -> None:
        """Raise the fault that ended the sequence, if one did."""
        if self.error is not None:
            raise self.error

    def _undo_call(self) -> None:
        del self._encoded.ids[self._call_start :], self._encoded.kinds[self._call_start :]
        del self.trail[self._call_start_in_trail :]
        self._log_probs = {at: each for at, each in self._log_probs.items() if at < self._call_start}
        self.learnt = min(self.learnt, len(self.trail))
        self.state, self._call_refused, self.read = State.TEXT, True, self._call_start
        self._calls_in_a_row -= 1

    def generation(self) -> Generation:
        """What was written."""
        return Generation(
            prompt=self.prompt,
            text=self._text.text,
            lookups=tuple(self._text.placed(lookup) for lookup in self._lookups),
            finish=self._finish,
            ids=tuple(self.ids),
            kinds=tuple(self._encoded.kinds),
            refused_calls=self._refused_calls,
            log_probs=tuple(self._log_probs.get(at) for at in range(len(self.ids))) if self._settings.log_probs else (),
            prompt_log_probs=self._prompt_log_probs,
            revision=self.revision,
        )

    def take_events(self) -> list[Event]:
        """The events since the last time."""
        events, self._events = self._events, []
        return events

    def _allowed_in_text(self) -> Tensor:
        call = [self._vocabulary.entity_id]
        if self._must_call:
            return self._control_tokens.mask(call)
        return self._control_tokens.text_and(self._vocabulary.eos_id, *(call if self._may_call else []))

    @property
    def _must_call(self) -> bool:
        return self._settings.force_call and not self._calls and not self._text_tokens

    @property
    def _may_call(self) -> bool:
        return self.may_ever_call and not self._call_refused and not self._has_called_enough

    @property
    def may_ever_call(self) -> bool:
        """Whether there may be another call, here or later."""
        return self._settings.lookups and self._calls < self._settings.max_calls

    @property
    def _has_called_enough(self) -> bool:
        """Whether text must come before the next call."""
        in_a_row = self._calls_in_a_row >= self._settings.max_calls_in_a_row
        return in_a_row and self.may_ever_call and not self._call_refused

    @property
    def _is_bounded(self) -> bool:
        """Whether a bound may forbid here what the model wants."""
        if self.state is State.TEXT:
            return self._has_called_enough
        return self._field_tokens >= self._settings.max_query_tokens

    def _write(self, token: int) -> None:
        text = self._control_tokens.bytes_of[token]
        self._said += text
        self._text_tokens += 1
        self._call_refused, self._calls_in_a_row = False, 0
        echoed = self._echo[:1] == [token]
        self._echo = self._echo[1:] if echoed else []
        stopped = self._text.add(text)
        self._show()
        if stopped or self._text_tokens == self._settings.max_tokens:
            self._encoded.add([token], Kind.TEXT)
            self._end("stop" if stopped else "length")
        else:
            self._append(token, Kind.TEXT, then=State.TEXT, telling=not echoed)

    def _begin_copy(self, first: int) -> None:
        """Search for the rest of a value that was just looked up, if the token `first` begins one."""
        room, values = self._context - len(self.ids), self._lookups[-1].resolution.values
        copy = Copy(values if self._sampler.takes_likeliest else (), first, self._vocabulary, room)
        if copy.is_possible:
            self._search, self.state = copy, State.SEARCH

    def _begin_call(self, logits: Tensor) -> None:
        self._calls += 1
        self._calls_in_a_row += 1
        self._query_cut = False
        self._call_start, self._call_start_in_trail = len(self.ids), len(self.trail)
        self._logits_before_call = logits.clone() if self._settings.on_miss == "drop" else None
        self._events.append(CallBegun())
        if self._sampler.takes_likeliest:
            self._search = self._constraint.calls(self._context_text, self._context - len(self.ids) - 1)
        if self._search is None:
            self._begin_field(self._constraint.entities(self._context_text))
        self._append(self._vocabulary.entity_id, Kind.CONTROL, then=State.SEARCH if self._search else State.ENTITY)

    def _take_in_call(self, token: int) -> None:
        if token == self._vocabulary.relation_id:
            self._entity, self._asked = self._field(), self.ids[self._call_start + 1 :]
            self._mentioned = len(self._constraint.mentioned(self._context_text))
            self._begin_field(self._constraint.relations(self._entity))
            self._append(token, Kind.CONTROL, then=State.RELATION)
        elif token == self._vocabulary.return_id:
            self._relation = self._field()
            self._append(token, Kind.CONTROL, then=State.WAITING)
        else:
            self._written += self._control_tokens.bytes_of[token]
            self._field_tokens += 1
            self._append(token, Kind.ENTITY if self.state is State.ENTITY else Kind.RELATION, then=self.state)

    def _begin_field(self, names: Names | None) -> None:
        self._names, self._field_tokens = names, 0
        self._written.clear()

    def _field(self) -> str:
        return self._written.decode(errors="replace").strip()

    def _record(self, lookup: Lookup) -> None:
        place = len(self._text.text)
        self._lookups.append(replace(lookup, start=place, end=place))
        self._events.append(CallResolved(self._lookups[-1]))

    def _append(self, token: int, kind: Kind, *, then: State, telling: bool = True) -> None:
        self._encoded.add([token], kind)
        if telling and kind not in (Kind.ENTITY, Kind.VALUE):
            self.trail.append(token)
        self.state = then
        if len(self.ids) >= self._context:
            self._end("length")

    def _show(self, *, last: bool = False) -> None:
        if text := self._text.show(last=last):
            self._events.append(TextWritten(text))

    def _end(self, finish: Finish) -> None:
        if finish != "stop":
            self._text.add(b"", last=True)
        self.state, self._finish = State.DONE, finish
        self._show(last=True)
        self._events.append(Done(self.generation()))
