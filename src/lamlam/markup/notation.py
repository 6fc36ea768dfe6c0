r"""What both notations share: where calls stand in a text, the space behind them, and escaping.

A *mark* is a string that opens (or divides) a call. In front of a mark, and nowhere else, backslashes are counted:
an even number 2n stands for n backslashes and the mark counts; an odd number 2n + 1 stands for n backslashes and the
mark's characters as plain text. Text without marks is thus its own notation.

A call owns one space behind it. Where nothing but spaces follows up to the end of the text, it owns none: there
`x[call]` and `x[call] ` are the plain texts `x` and `x `. With this, parsing and rendering are inverse to each other on
all well-formed texts and all documents. How a call itself is spelt is left to `dblookup` and `tokens`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from lamlam.markup.document import AnnotatedDocument, Call, MarkupError

__all__ = ["CallText", "Mark", "Notation"]


class Mark(NamedTuple):
    """A mark's span in a text, and how many backslashes stand before it."""

    start: int
    end: int
    backslashes: int


class CallText(NamedTuple):
    """A call's fields as read from a text, and where its notation ends."""

    entity: str
    relation: str
    value: str
    end: int


@dataclass(frozen=True, slots=True)
class Notation:
    """A way to write calls: its marks, and functions that read and write one call.

    `read_call(text, start, lenient)` reads the call whose mark stands at `start` and raises `MarkupError` where there
    is none. All marks begin with one character, which stands nowhere else
    in a mark.
    """

    marks: tuple[str, ...]
    read_call: Callable[[str, int, bool], CallText]
    write_call: Callable[[Call], str]

    def parse(self, text: str, id: str, lenient: bool) -> AnnotatedDocument:
        """The document that `text` denotes; when lenient, what is no call is plain text, else `MarkupError`."""
        pieces: list[str] = []
        calls: list[Call] = []
        length = position = 0
        while True:
            plain, mark = read_plain(text, position, self.marks)
            pieces.append(plain)
            length += len(plain)
            if mark is None:
                return AnnotatedDocument(id, "".join(pieces), tuple(calls))
            try:
                call = self.read_call(text, mark.start, lenient)
                position = _after_separator(text, call.end, lenient)
                calls.append(Call(call.entity, call.relation, call.value, length))
            except MarkupError:
                if not lenient:
                    raise
                as_written = "\\" * (mark.backslashes // 2) + text[mark.start : mark.end]
                pieces.append(as_written)
                length += len(as_written)
                position = mark.end

    def render(self, document: AnnotatedDocument) -> str:
        """The document in this notation."""
        pieces: list[str] = []
        position = 0
        spaces_only_from = len(document.text.rstrip(" "))
        for index, call in enumerate(document.calls, start=1):
            pieces.append(escape(document.text[position : call.at], self.marks, before_mark=True))
            pieces.append(self.write_call(call))
            if index < len(document.calls) or call.at < spaces_only_from:
                pieces.append(" ")
            position = call.at
        pieces.append(escape(document.text[position:], self.marks, before_mark=False))
        return "".join(pieces)


def read_plain(text: str, position: int, marks: tuple[str, ...]) -> tuple[str, Mark | None]:
    """The plain text from `position` up to the next mark that counts, unescaped; that mark, or None at the end."""
    pieces: list[str] = []
    while (mark := _next_mark(text, position, marks)) is not None:
        pieces.append(text[position : mark.start - mark.backslashes])
        pieces.append("\\" * (mark.backslashes // 2))
        if mark.backslashes % 2 == 0:
            return "".join(pieces), mark
        pieces.append(text[mark.start : mark.end])
        position = mark.end
    pieces.append(text[position:])
    return "".join(pieces), None


def escape(text: str, marks: tuple[str, ...], *, before_mark: bool) -> str:
    """The inverse of `read_plain`, for text that a mark that counts follows at once (`before_mark`) or not."""
    pieces: list[str] = []
    position = 0
    while (mark := _next_mark(text, position, marks)) is not None:
        pieces += (text[position : mark.start], "\\" * (mark.backslashes + 1), text[mark.start : mark.end])
        position = mark.end
    tail = text[position:]
    pieces.append(tail)
    if before_mark:
        pieces.append("\\" * _backslashes_before(tail, len(tail), 0))
    return "".join(pieces)


def _next_mark(text: str, position: int, marks: tuple[str, ...]) -> Mark | None:
    lead = marks[0][0]
    start = text.find(lead, position)
    while start >= 0:
        for mark in marks:
            if text.startswith(mark, start):
                return Mark(start, start + len(mark), _backslashes_before(text, start, position))
        start = text.find(lead, start + 1)
    return None


def _backslashes_before(text: str, position: int, first: int) -> int:
    start = position
    while start > first and text[start - 1] == "\\":
        start -= 1
    return position - start


def _after_separator(text: str, end: int, lenient: bool) -> int:
    position = end
    while position < len(text) and text[position] == " ":
        position += 1
    if position == len(text):
        return end
    if position == end and not lenient:
        raise MarkupError("a call must be followed by a space", end)
    return min(position, end + 1)
