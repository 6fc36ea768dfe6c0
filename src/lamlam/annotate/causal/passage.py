"""A window of a document as tokens, and the places in it: where a call may stand, where a value may end, what is named.

The model reads `bos, style, title, document, separator` and then the same document again, the copy. A call branches off
the copy before the word that begins its value; nothing is ever written into the copy itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from lamlam.markup import AnnotatedDocument
from lamlam.text import windows
from lamlam.vocab import Vocabulary
from lamlam.vocab.encoding import opened

__all__ = ["NamePool", "Passage", "PassageCoder"]

_STYLE = "Style: {style}\n\n"
_TITLE = "{title}\n\n"
_COPY = "\n\n### Copy\n"
_NAME_REACH = 80  # characters of a name after a quotation mark or bracket


@dataclass(slots=True)
class NamePool:
    """The tokens from which an entity's name may be copied, and for each where it starts, ends and is first known.

    A name is a run of tokens from one that may start a name to one that may end it. It's known from character
    `known[i]` of the passage on: 0 for the title's tokens. `ids` after the end of a run don't continue it.
    """

    ids: list[int] = field(default_factory=list)
    starts: list[bool] = field(default_factory=list)
    ends: list[bool] = field(default_factory=list)
    known: list[int] = field(default_factory=list)
    last: list[bool] = field(default_factory=list)

    def add(self, ids: Sequence[int], starts: Sequence[bool], ends: Sequence[bool], known: Sequence[int]) -> None:
        """Add a run of tokens."""
        if ids:
            self.ids += ids
            self.starts += starts
            self.ends += ends
            self.known += known
            self.last += [False] * (len(ids) - 1) + [True]

    def begin(self, at: int) -> list[int]:
        """Return the tokens with which a name may start that is known at character `at`."""
        return [place for place, starts in enumerate(self.starts) if starts and self.known[place] <= at]

    def follow(self, places: Sequence[int], at: int) -> list[int]:
        """Return the tokens that continue names whose last tokens are at `places`."""
        return [place + 1 for place in places if not self.last[place] and self.known[place + 1] <= at]


@dataclass(frozen=True)
class Passage:
    """A window of document number `document`, from its character `start` on.

    `head` is what is read before the copy, whose tokens are `ids`; `spans` are their characters in `text`, without
    white space.
    """

    document: int
    start: int
    text: str
    head: list[int]
    ids: list[int]
    spans: list[tuple[int, int]]
    pool: NamePool

    @property
    def prefix(self) -> list[int]:
        """Everything that is read once: head and copy."""
        return self.head + self.ids

    @cached_property
    def boundaries(self) -> list[int]:
        """The tokens of the copy before which a call may stand: each begins a word."""
        return [place for place, starts in enumerate(_starts(self.text, self.spans)) if starts]

    @cached_property
    def ends(self) -> list[bool]:
        """For each token of the copy, whether a value may end with it: no word continues in the next token."""
        return _ends(self.text, self.spans)

    def token_at(self, character: int) -> int | None:
        """Return the boundary at a character of the passage."""
        return self._by_start.get(character)

    def end_token(self, character: int, first: int) -> int | None:
        """Return the end, exclusive, of the tokens from `first` on that spell the text up to a character."""
        for place in range(first, len(self.ids)):
            if self.spans[place][1] >= character and self.ends[place]:
                return place + 1
        return None

    @cached_property
    def _by_start(self) -> dict[int, int]:
        return {self.spans[place][0]: place for place in self.boundaries}


class PassageCoder:
    """Cuts documents into passages of at most `window` characters."""

    def __init__(self, vocabulary: Vocabulary, window: int) -> None:
        self._vocabulary, self._window = vocabulary, window
        self._copy = vocabulary.encode(_COPY)

    def passages(self, document: AnnotatedDocument, style: str, number: int = 0) -> Iterator[Passage]:
        """Yield the non-blank windows of a document."""
        for start, end in windows(document.text, self._window):
            text = document.text[start:end]
            if text.strip():
                title = "" if text.startswith(document.title) else document.title
                yield self._passage(number, start, text, title, style)

    def name(self, text: str) -> list[int]:
        """Return the tokens of an entity or relation, as they follow their control token."""
        return self._vocabulary.encode(" " + text)

    def _passage(self, number: int, start: int, text: str, title: str, style: str) -> Passage:
        encode = self._vocabulary.encode
        ids, spans = self._encoded(text)
        head = [self._vocabulary.bos_id, *encode(_STYLE.format(style=style))]
        head += encode(opened(_TITLE.format(title=title))) if title else []
        return Passage(number, start, text, [*head, *ids, *self._copy], ids, spans, self._pool(text, title, ids, spans))

    def _encoded(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        ids, offsets = self._vocabulary.encode_with_offsets(opened(text))
        return ids, [_stripped(text, start - 1, end - 1) for start, end in offsets]

    def _pool(self, text: str, title: str, ids: list[int], spans: list[tuple[int, int]]) -> NamePool:
        """Return the names of title and text; words after a mark are encoded as they are in a call, with a space."""
        pool = NamePool()
        if title:
            own, places = self._encoded(title)
            pool.add(own, _with_space(_starts(title, places), places), _ends(title, places), [0] * len(own))
        starts = _starts(text, spans)
        spaced = [start and (at == 0 or text[at - 1].isspace()) for start, (at, _) in zip(starts, spans, strict=True)]
        pool.add(ids, _with_space(spaced, spans), _ends(text, spans), [end for _, end in spans])
        for start, is_spaced, (at, _) in zip(starts, spaced, spans, strict=True):
            if start and not is_spaced:
                piece = text[at : at + _NAME_REACH]
                own, places = self._encoded(piece)
                ends = _ends(text, [(at + first, at + last) for first, last in places])
                pool.add(own, [True] + [False] * (len(own) - 1), ends, [at + last for _, last in places])
        return pool


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a token's characters without the white space before them."""
    start = max(start, 0)
    while start < end and text[start].isspace():
        start += 1
    return start, end


def _starts(text: str, spans: Sequence[tuple[int, int]]) -> list[bool]:
    """Return for each token whether it begins a word, or whatever else follows white space."""
    found, before = [], 0
    for start, end in spans:
        after = text[start - 1 : start]
        begins = not after or after.isspace() or (text[start : start + 1].isalnum() and not after.isalnum())
        found.append(begins and before <= start < end)
        before = max(before, end)
    return found


def _with_space(starts: Sequence[bool], spans: Sequence[tuple[int, int]]) -> list[bool]:
    """Return the same for names, which have a space before them: where it's a token of its own, they start there."""
    blank = [start == end for start, end in spans]
    return [
        (starts[place] and not (place and blank[place - 1]))
        or (blank[place] and starts[place + 1 : place + 2] == [True])
        for place in range(len(starts))
    ]


def _ends(text: str, spans: Sequence[tuple[int, int]]) -> list[bool]:
    """Return for each token whether a word ends with it."""
    found = []
    for place, (start, end) in enumerate(spans):
        inside = 0 < end < len(text) and text[end - 1].isalnum() and text[end].isalnum()
        torn = place + 1 < len(spans) and spans[place + 1][0] < end
        found.append(start < end and not inside and not torn)
    return found
