"""Decodes the calls of several passages at once, over one cache of keys and values.

One pass over each passage and its copy gives the probability of a call before each word. Those that are likely enough
become branches: each continues from its word, sees the copy before it and itself, and is decoded step by step, all of
all passages in the same passes. The text is given: of a value only the length is chosen, in one pass.
"""

import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor
from torch.nn.functional import embedding
from transformers import PreTrainedModel

from lamlam.annotate.causal.passage import NamePool, Passage
from lamlam.engine.cache import Branches, Layout, SlotCache, use_slot_cache
from lamlam.vocab import Vocabulary

__all__ = ["Decoded", "Decoder", "Inventory"]

_NAME, _VALUE = 32, 64  # tokens of an entity or relation, and of a value, at most
_AHEAD = 6  # tokens of a value that are read at once
# P passages; a pass reads N tokens, of which K have logits that are wanted; Q of one passage at most, W columns.


class Decoded(NamedTuple):
    """A call before token `at` of a passage, whose value ends before token `end`.

    `probability` is that of a call there, `likelihood` that of the whole call, of entity, relation and value as well.
    """

    at: int
    end: int
    entity: list[int]
    relation: list[int]
    probability: float
    likelihood: float


class Inventory:
    """A closed list of relations as a trie of their tokens; `stop` is the token after a relation."""

    def __init__(self, names: Iterable[Sequence[int]], stop: int) -> None:
        self.next: list[dict[int, int]] = [{}]
        for name in names:
            node = 0
            for token in (*name, stop):
                if token not in self.next[node]:
                    self.next[node][token] = len(self.next)
                    self.next.append({})
                node = self.next[node][token]


class _Walk(Protocol):
    """Where a name that is being decoded is among all that are allowed."""

    def options(self) -> list[int]: ...

    def advance(self, token: int) -> None: ...


class _InventoryWalk:
    def __init__(self, inventory: Inventory) -> None:
        self._next, self._node = inventory.next, 0

    def options(self) -> list[int]:
        return list(self._next[self._node])

    def advance(self, token: int) -> None:
        self._node = self._next[self._node][token]


class _PoolWalk:
    """Names of a passage that are known at a character of it."""

    def __init__(self, pool: NamePool, at: int, stop: int) -> None:
        self._pool, self._at, self._stop = pool, at, stop
        self._places: list[int] = []
        self._next = pool.begin(at)

    def options(self) -> list[int]:
        ids = dict.fromkeys(self._pool.ids[place] for place in self._next)
        stop = [self._stop] if any(self._pool.ends[place] for place in self._places) else []
        return [*ids, *stop]

    def advance(self, token: int) -> None:
        self._places = [place for place in self._next if self._pool.ids[place] == token]
        self._next = self._pool.follow(self._places, self._at)


@dataclass(slots=True)
class _Step:
    """Tokens to read, and what is asked after the last: which of `options` follows, or of any text and `stop`.

    Or, for the tokens at `ends`, whether the value ends there or its `rivals` follow.
    """

    run: list[int]
    options: list[int] | None = None
    stop: int | None = None
    ends: list[int] = field(default_factory=list)
    rivals: list[int] = field(default_factory=list)


class _Answer(NamedTuple):
    token: int = 0
    log_prob: float = 0.0
    ending: Sequence[float] = ()  # log odds of each of `ends`


_Branching = Generator[_Step, _Answer, Decoded | None]


@dataclass(slots=True)
class _Running:
    """A branch that is being decoded: its passage's slot, how much of that it sees, and its columns behind that."""

    slot: int
    limit: int
    work: _Branching
    step: _Step = field(default_factory=lambda: _Step([]))
    path: list[int] = field(default_factory=list)


class Decoder:
    """Decodes calls; without `names`, entities are free, and without an inventory, relations are."""

    def __init__(
        self, model: PreTrainedModel, vocabulary: Vocabulary, *, names: bool = True, inventory: Inventory | None = None
    ) -> None:
        self._model, self._vocabulary, self._names, self._inventory = model, vocabulary, names, inventory
        head = model.get_output_embeddings()
        self._weight = cast(Tensor, head.weight)
        self._no_mask = torch.zeros(1, 1, 1, 1, device=model.device)
        banned = torch.zeros(len(self._weight), dtype=torch.bool)
        banned[len(vocabulary) :] = True
        banned[sorted({*vocabulary.control_ids, vocabulary.bos_id, vocabulary.eos_id, vocabulary.pad_id})] = True
        self._banned = banned.to(model.device)

    @torch.inference_mode()
    def decode(self, passages: Sequence[Passage], threshold: float) -> list[list[Decoded]]:
        """Return the calls of each passage, from left to right, that are at least as probable as `threshold`."""
        cache = SlotCache(len(passages))
        branches: list[_Running] = []
        bases = [len(passage.prefix) for passage in passages]
        used = list(bases)
        for slot, (passage, odds) in enumerate(zip(passages, self._decide(passages, cache), strict=True)):
            for at, log_odds in zip(passage.boundaries, odds, strict=True):
                probability = 1 / (1 + math.exp(-log_odds))
                if probability >= threshold:
                    limit = len(passage.head) + at
                    branches.append(_Running(slot, limit, self._branch(passage, at, probability)))
        found: list[list[Decoded]] = [[] for _ in passages]
        branches = [branch for branch in branches if _go_on(branch, None, found)]
        while branches:
            answers = self._read(branches, cache, bases, used)
            branches = [
                branch for branch, answer in zip(branches, answers, strict=True) if _go_on(branch, answer, found)
            ]
        return [sorted(calls) for calls in found]

    @torch.inference_mode()
    def decide(self, passages: Sequence[Passage]) -> list[list[float]]:
        """Return for each passage the log odds of a call before each of its boundaries."""
        return self._decide(passages, SlotCache(len(passages)))

    def _decide(self, passages: Sequence[Passage], cache: SlotCache) -> list[list[float]]:
        use_slot_cache(self._model)
        heads = [len(passage.head) - 1 for passage in passages]
        # The document first: its tokens then don't attend to columns of the copy that they can't see.
        self._prefill([passage.head[:-1] for passage in passages], [0] * len(passages), cache)
        pieces = [[passage.head[-1], *passage.ids] for passage in passages]
        hidden = self._prefill(pieces, heads, cache).split([len(piece) for piece in pieces])
        decided = torch.cat([states[passage.boundaries] for states, passage in zip(hidden, passages, strict=True)])
        copied = [passage.ids[at] for passage in passages for at in passage.boundaries]
        odds = iter(self._log_odds(decided, self._vocabulary.entity_id, copied))
        return [list(islice(odds, len(passage.boundaries))) for passage in passages]

    def _prefill(self, pieces: Sequence[Sequence[int]], starts: Sequence[int], cache: SlotCache) -> Tensor:
        """Read a piece of each passage from a column on; return the hidden states [N, H]."""
        lengths, model = [len(piece) for piece in pieces], self._model
        layout = Layout.of(range(len(pieces)), lengths, starts, dtype=model.dtype, device=model.device)
        return self._forward([token for piece in pieces for token in piece], layout, cache)

    def _branch(self, passage: Passage, at: int, probability: float) -> _Branching:
        """Decode one call; None if there is no name or value for it."""
        vocabulary = self._vocabulary
        known = _PoolWalk(passage.pool, passage.spans[at][0], vocabulary.relation_id) if self._names else None
        closed = _InventoryWalk(self._inventory) if self._inventory else None
        entity = yield from _name([vocabulary.entity_id], known, vocabulary.relation_id)
        if entity is None:
            return None
        relation = yield from _name(entity.unread, closed, vocabulary.return_id)
        value = (yield from _value(relation.unread, passage, at)) if relation else None
        if relation is None or value is None:
            return None
        end, log_prob = value
        likelihood = math.exp(math.log(probability) + entity.log_prob + relation.log_prob + log_prob)
        return Decoded(at, end, entity.ids, relation.ids, probability, likelihood)

    def _read(
        self, branches: Sequence[_Running], cache: SlotCache, bases: Sequence[int], used: list[int]
    ) -> list[_Answer]:
        """Let the model read the next tokens of all branches; return what follows them.

        Branches have the columns from `bases` on, of which those before `used` are taken.
        """
        by_slot: dict[int, list[_Running]] = {}
        for branch in branches:
            by_slot.setdefault(branch.slot, []).append(branch)
        slots = sorted(by_slot)
        in_order = [branch for slot in slots for branch in by_slot[slot]]
        trees = [_branches(by_slot[slot], bases[slot], used[slot] - bases[slot]) for slot in slots]
        lengths, starts, model = [len(tree.paths) for tree in trees], [used[slot] for slot in slots], self._model
        layout = Layout.of(slots, lengths, starts, dtype=model.dtype, device=model.device, branches=trees)
        for slot, length in zip(slots, lengths, strict=True):
            used[slot] += length
        hidden = self._forward([token for branch in in_order for token in branch.step.run], layout, cache)
        answers = dict(zip(map(id, in_order), self._answers(in_order, hidden), strict=True))
        return [answers[id(branch)] for branch in branches]

    def _answers(self, branches: Sequence[_Running], hidden: Tensor) -> list[_Answer]:
        """Answer the branches' steps from hidden states [N, H]; all of one kind at once."""
        answers = [_Answer()] * len(branches)
        first = 0
        chosen: list[tuple[int, int]] = []  # branch and place of its last token
        free: list[tuple[int, int]] = []
        ends: list[tuple[int, int]] = []
        for number, branch in enumerate(branches):
            step, last = branch.step, first + len(branch.step.run) - 1
            if step.ends:
                ends += [(number, first + end) for end in step.ends]
            else:
                (free if step.options is None else chosen).append((number, last))
            first = last + 1
        if chosen:
            for (number, _), answer in zip(chosen, self._choose(branches, hidden, chosen), strict=True):
                answers[number] = answer
        if free:
            for (number, _), answer in zip(free, self._write(branches, hidden, free), strict=True):
                answers[number] = answer
        if ends:
            rivals = [rival for branch in branches if branch.step.ends for rival in branch.step.rivals]
            odds = self._log_odds(hidden[[place for _, place in ends]], self._vocabulary.end_id, rivals)
            for (number, _), log_odds in zip(ends, odds, strict=True):
                answers[number] = _Answer(ending=(*answers[number].ending, log_odds))
        return answers

    def _choose(
        self, branches: Sequence[_Running], hidden: Tensor, places: Sequence[tuple[int, int]]
    ) -> Iterator[_Answer]:
        """Choose among options: logits are computed for those tokens only."""
        options = [branches[number].step.options or [] for number, _ in places]
        tokens = sorted({token for allowed in options for token in allowed})
        column = {token: place for place, token in enumerate(tokens)}
        logits = (hidden[[place for _, place in places]] @ self._weight[tokens].T).float()
        for row, allowed in zip(logits, options, strict=True):
            scores = row[[column[token] for token in allowed]].log_softmax(-1)
            best = int(scores.argmax())
            yield _Answer(allowed[best], float(scores[best]))

    def _write(
        self, branches: Sequence[_Running], hidden: Tensor, places: Sequence[tuple[int, int]]
    ) -> Iterator[_Answer]:
        """Choose among all tokens of text, and the step's `stop`."""
        logits = (hidden[[place for _, place in places]] @ self._weight.T).float()  # [K, V]
        stops = [branches[number].step.stop for number, _ in places]
        kept = [float(row[stop]) if stop is not None else -math.inf for row, stop in zip(logits, stops, strict=True)]
        logits[:, self._banned] = -torch.inf
        for row, stop, score in zip(logits, stops, kept, strict=True):
            if stop is not None:
                row[stop] = score
        scores, tokens = logits.log_softmax(-1).max(-1)
        return map(_Answer, tokens.tolist(), scores.tolist())

    def _log_odds(self, hidden: Tensor, token: int, rivals: Sequence[int]) -> list[float]:
        """Return for hidden states [K, H] the logit of a token less that of each one's rival."""
        own = (hidden @ self._weight[token]).float()
        others = (hidden * embedding(self._tensor(rivals), self._weight)).sum(-1, dtype=torch.float32)
        return cast(list[float], (own - others).tolist())

    def _forward(self, ids: Sequence[int], layout: Layout, cache: SlotCache) -> Tensor:
        """Return the hidden states [N, H] of tokens [N]."""
        cache.layout = layout
        output = self._model.base_model(
            input_ids=self._tensor(ids)[None],
            attention_mask=self._no_mask,
            position_ids=layout.position[None],
            use_cache=False,
            slot_cache=cache.number,
        )
        return cast(Tensor, output.last_hidden_state[0])

    def _tensor(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(values, device=self._model.device)


class _Name(NamedTuple):
    ids: list[int]
    log_prob: float
    unread: list[int]  # tokens that the model hasn't read, the one after the name included


def _name(run: list[int], walk: _Walk | None, stop: int) -> Generator[_Step, _Answer, _Name | None]:
    """Decode a name up to `stop`; where only one token is possible, nothing is asked."""
    name: list[int] = []
    log_prob = 0.0
    while len(name) <= _NAME:
        options = walk.options() if walk else None
        if options == []:
            return None
        if options is not None and len(options) == 1:
            [token] = options
        else:
            token, chosen, _ = yield _Step(run, options, stop if name else None)
            run, log_prob = [], log_prob + chosen
        run = [*run, token]
        if token == stop:
            return _Name(name, log_prob, run)
        if walk:
            walk.advance(token)
        name.append(token)
    return None


def _value(run: list[int], passage: Passage, at: int) -> Generator[_Step, _Answer, tuple[int, float] | None]:
    """Return where the value most likely ends, and the log probability of that."""
    best: tuple[float, int] | None = None
    unended, token = 0.0, at
    while token < min(at + _VALUE, len(passage.ids)):
        ahead = range(token, min(token + _AHEAD, len(passage.ids)))
        asked = [place for place in ahead if passage.ends[place] and place + 1 < len(passage.ids)]
        if asked:
            ends = [len(run) + place - token for place in asked]
            rivals = [passage.ids[place + 1] for place in asked]
            answer = yield _Step([*run, *(passage.ids[place] for place in ahead)], ends=ends, rivals=rivals)
            for place, log_odds in zip(asked, answer.ending, strict=True):
                log_prob = unended + _log_sigmoid(log_odds)
                if best is None or log_prob > best[0]:
                    best = log_prob, place + 1
                unended += _log_sigmoid(-log_odds)
            run = []
        else:
            run = [*run, *(passage.ids[place] for place in ahead)]
        token = ahead.stop
        if best is not None and unended <= best[0]:
            break
    if token == len(passage.ids) and (best is None or unended > best[0]) and passage.ends[-1]:
        best = unended, token
    return None if best is None else (best[1], best[0])


def _log_sigmoid(value: float) -> float:
    return -math.log1p(math.exp(-value)) if value > 0 else value - math.log1p(math.exp(value))


def _go_on(branch: _Running, answer: _Answer | None, found: list[list[Decoded]]) -> bool:
    """Take a branch to its next step, from the first one on; return whether there is one."""
    try:
        branch.step = next(branch.work) if answer is None else branch.work.send(answer)
    except StopIteration as end:
        if end.value is not None:
            found[branch.slot].append(end.value)
        return False
    return True


def _branches(running: Iterable[_Running], base: int, first: int) -> Branches:
    """Give the next tokens of a passage's branches columns, from the `first` behind `base` on."""
    paths: list[list[int]] = []
    limits: list[int] = []
    for branch in running:
        for _ in branch.step.run:
            branch.path.append(first + len(paths))
            paths.append(list(branch.path))
            limits.append(branch.limit)
    return Branches(base, paths, limits)
