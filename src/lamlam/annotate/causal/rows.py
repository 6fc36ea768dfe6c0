"""Training rows: a passage, its copy and all its calls, each of which sees the copy up to its place and itself.

Every supervised position has a token that is right. At some the choice is between two tokens: to call or to copy on,
to end a value or to go on with it; the other one is the position's rival, and no other token counts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from lamlam.annotate.causal.gold import GoldDocument
from lamlam.annotate.causal.passage import Passage, PassageCoder
from lamlam.vocab import IGNORE_INDEX, Vocabulary

__all__ = ["Row", "collate", "rows_of", "visible"]

_COPY, _PAD = -1, -2  # branch numbers of what isn't in a branch
_ANY = -1  # the rival where all tokens compete
# B rows of T tokens.


class _Branch(NamedTuple):
    """A call before token `at`, whose value ends before token `end`."""

    at: int
    end: int
    entity: list[int]
    relation: list[int]
    learns_entity: bool


@dataclass(slots=True)
class Row:
    """Tokens with positions; what is right after each of them (`IGNORE_INDEX`: not supervised) and its rival.

    A token sees those before it of its own branch, and of the passage those before `limits`.
    """

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    rivals: list[int] = field(default_factory=list)
    branches: list[int] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)

    def add(self, ids: Sequence[int], first: int, branch: int, limit: int) -> None:
        """Add unsupervised tokens."""
        self.ids += ids
        self.positions += range(first, first + len(ids))
        self.labels += [IGNORE_INDEX] * len(ids)
        self.rivals += [_ANY] * len(ids)
        self.branches += [branch] * len(ids)
        self.limits += [limit] * len(ids)

    def supervise(self, place: int, right: int, rival: int = _ANY) -> None:
        """Let `right` follow the token at `place`."""
        self.labels[place], self.rivals[place] = right, rival

    def __len__(self) -> int:
        return len(self.ids)


def rows_of(gold: GoldDocument, coder: PassageCoder, vocabulary: Vocabulary) -> list[Row]:
    """Return a row for each passage of a document."""
    return [_row(passage, gold, coder, vocabulary) for passage in coder.passages(gold.document, gold.style)]


def _row(passage: Passage, gold: GoldDocument, coder: PassageCoder, vocabulary: Vocabulary) -> Row:
    branches, undecided = _placed(passage, gold, coder)
    row, prefix = Row(), passage.prefix
    row.add(prefix, 0, _COPY, len(prefix))
    copied = len(passage.head)
    for at in passage.boundaries:
        if at not in undecided:
            call, copy = vocabulary.entity_id, passage.ids[at]
            row.supervise(copied + at - 1, *((call, copy) if at in branches else (copy, call)))
    for number, branch in enumerate(branches.values()):
        _add_branch(row, number, branch, passage, vocabulary)
    return row


def _placed(passage: Passage, gold: GoldDocument, coder: PassageCoder) -> tuple[dict[int, _Branch], set[int]]:
    """Return the calls of a passage by their tokens, and the tokens before which nothing is decided."""
    branches: dict[int, _Branch] = {}
    left_open = list(gold.undecided)
    for call in gold.calls:
        at = passage.token_at(call.start - passage.start)
        end = None if at is None else passage.end_token(call.end - passage.start, at)
        if at is None or end is None:
            left_open.append((call.start, call.end))
        else:
            entity = coder.name(call.entity or call.call.entity)
            branches[at] = _Branch(at, end, entity, coder.name(call.call.relation), call.entity is not None)
    spans = [(start - passage.start, end - passage.start) for start, end in left_open]
    undecided = {
        at
        for at in passage.boundaries
        if any(start <= passage.spans[at][0] < max(end, start + 1) for start, end in spans)
    }
    return branches, undecided - branches.keys()


def _add_branch(row: Row, number: int, branch: _Branch, passage: Passage, vocabulary: Vocabulary) -> None:
    named = [vocabulary.entity_id, *branch.entity, vocabulary.relation_id, *branch.relation, vocabulary.return_id]
    first, limit = len(row), len(passage.head) + branch.at
    row.add([*named, *passage.ids[branch.at : branch.end]], limit, number, limit)
    skipped = 0 if branch.learns_entity else len(branch.entity) + 1
    for place, right in enumerate(named[1:]):
        if place >= skipped:
            row.supervise(first + place, right)
    for token in range(branch.at, min(branch.end, len(passage.ids) - 1)):
        if passage.ends[token]:
            end, following = vocabulary.end_id, passage.ids[token + 1]
            choice = (end, following) if token + 1 == branch.end else (following, end)
            row.supervise(first + len(named) + token - branch.at, *choice)


def collate(rows: Iterable[Row], pad_id: int) -> dict[str, Tensor]:
    """Return rows as tensors [B, T], padded at the end, with the mask [B, 1, T, T] of what each token sees."""
    rows = list(rows)
    width = max(map(len, rows))

    def padded(name: str, fill: int) -> Tensor:
        return torch.tensor([getattr(row, name) + [fill] * (width - len(row)) for row in rows])

    return {
        "input_ids": padded("ids", pad_id),
        "position_ids": padded("positions", 0),
        "labels": padded("labels", IGNORE_INDEX),
        "rivals": padded("rivals", _ANY),
        "attention_mask": visible(padded("branches", _PAD), padded("limits", 0)),
    }


def visible(branches: Tensor, limits: Tensor) -> Tensor:
    """Return the mask [B, 1, T, T] of the tokens that each token sees, from their branches and limits [B, T]."""
    place = torch.arange(branches.shape[1])
    own = branches[:, :, None] == branches[:, None, :]
    copied = (branches == _COPY)[:, None, :] & (place < limits[:, :, None])
    return ((own | copied) & (place <= place[:, None]))[:, None]
