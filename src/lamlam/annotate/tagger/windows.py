"""Cuts documents into windows that an encoder can read, each with the head of its document before it.

A window is `[CLS] head [SEP] part of the text [SEP]`. It shares tokens with the windows beside it, and decides only on
what starts nearer to its own middle than to theirs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from lamlam.annotate.tagger.names import Name, names
from lamlam.markup import AnnotatedDocument

__all__ = ["SHAPES", "Candidate", "Window", "Windows"]

SHAPES = ("special", "lower", "capital", "upper", "digits", "signs")
"""How a token is written, of which an encoder that knows no capitals sees nothing."""


_Pieces = tuple[list[int], list[tuple[int, int]]]  # token ids, and the characters of each token


class Candidate(NamedTuple):
    """A name that a window shows, by its first and last token; the head's is shown before the text."""

    first: int
    last: int
    name: Name


@dataclass(frozen=True, slots=True)
class Window:
    """A part of document number `document`: the text's tokens are [body, body + len(offsets)) of `ids`.

    `shapes` say how each of `ids` is written (see `SHAPES`). `offsets` are the characters of the text's tokens, and
    `begins` tells which begin a word. It decides on spans that start in the characters [since, until).
    """

    document: int
    ids: list[int]
    shapes: list[int]
    body: int
    offsets: list[tuple[int, int]]
    begins: list[bool]
    since: int
    until: int
    candidates: list[Candidate]

    def tokens(self, start: int, end: int) -> tuple[int, int] | None:
        """The first and last of `ids` that hold the characters [start, end); None where they are not all here."""
        return _tokens(self.offsets, self.body, start, end)


class Windows:
    """Makes windows of at most `length` tokens that share `stride` tokens of the text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, length: int, stride: int) -> None:
        self._tokenizer, self._length, self._stride = tokenizer, length, stride
        self.pad_id: int = tokenizer.pad_token_id

    def cut(self, documents: Sequence[AnnotatedDocument]) -> list[Window]:
        """The windows of all documents, in order; a text without a token has none."""
        if not documents:
            return []
        found = [names(document.text, document.title) for document in documents]
        heads = [each[0].name if each and each[0].is_head else "" for each in found]
        texts = [*(document.text for document in documents), *heads]
        encoded = self._tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        pieces = list(zip(encoded["input_ids"], encoded["offset_mapping"], strict=True))
        return [
            window
            for i, document in enumerate(documents)
            for window in self._windows(i, document.text, found[i], pieces[i], pieces[len(documents) + i])
        ]

    def _windows(self, document: int, text: str, found: list[Name], body: _Pieces, head: _Pieces) -> Iterator[Window]:
        ids, head_ids = body[0], head[0][: self._length // 4]
        spans = [_stripped(text, start, end) for start, end in body[1]]
        shown = [_shape(found[0].name[start:end]) for start, end in head[1][: len(head_ids)]]
        cls, sep = self._tokenizer.cls_token_id, self._tokenizer.sep_token_id
        front = [cls, *head_ids, sep]
        room = self._length - len(front) - 1
        starts = list(_starts(len(spans), room, min(self._stride, room // 2)))
        for number, first in enumerate(starts):
            last = min(first + room, len(spans))
            until = spans[(starts[number + 1] + last) // 2][0] if number + 1 < len(starts) else len(text) + 1
            since = spans[(first + starts[number - 1] + room) // 2][0] if number else 0
            part = spans[first:last]
            yield Window(
                document,
                [*front, *ids[first:last], sep],
                [0, *shown, 0, *(_shape(text[start:end]) for start, end in part), 0],
                len(front),
                part,
                [_begins_word(text, start) for start, _ in part],
                since,
                until,
                list(_candidates(found, part, len(front), head[1][: len(head_ids)])),
            )


def _starts(tokens: int, room: int, shared: int) -> Iterator[int]:
    first = 0
    while tokens:
        yield first
        if first + room >= tokens:
            return
        first += room - shared


def _candidates(
    found: list[Name], offsets: list[tuple[int, int]], body: int, head: list[tuple[int, int]]
) -> Iterator[Candidate]:
    origin = found[0].start if found else 0
    for name in found:
        if name.is_head:
            if head:
                shown = _tokens(head, 1, name.start - origin, min(name.end - origin, head[-1][1]))
                yield Candidate(*(shown or (1, len(head))), name)
        elif tokens := _tokens(offsets, body, name.start, name.end):
            yield Candidate(*tokens, name)


def _tokens(offsets: list[tuple[int, int]], body: int, start: int, end: int) -> tuple[int, int] | None:
    if not offsets or start < offsets[0][0] or end > offsets[-1][1]:
        return None
    inside = [index for index, (first, last) in enumerate(offsets) if first < end and last > start]
    return (body + inside[0], body + inside[-1]) if inside else None


def _shape(token: str) -> int:
    if any(map(str.isdigit, token)):
        return SHAPES.index("digits")
    if not token.isalpha():
        return SHAPES.index("signs")
    if token.islower():
        return SHAPES.index("lower")
    return SHAPES.index("upper" if len(token) > 1 and token.isupper() else "capital")


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """The characters of a token without the space that some tokenizers give it."""
    while start < end and text[start].isspace():
        start += 1
    return start, end


def _begins_word(text: str, start: int) -> bool:
    return start == 0 or not (text[start - 1].isalnum() and text[start : start + 1].isalnum())
