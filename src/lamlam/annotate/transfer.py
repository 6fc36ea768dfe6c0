"""Place a model's calls in the document: from an annotated copy of its text, or from a list with quoted contexts.

Models that copy a text alter it: they repeat, leave out and add words. Copy and document are aligned word by word, and
each call goes before the words that it precedes in the copy. A listed call is placed by the words quoted before it.
Which calls are kept is left to `vetting`.
"""

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from rapidfuzz.distance import Indel

from lamlam.annotate.vetting import Vetted, Vetting
from lamlam.markup import AnnotatedDocument, Call, dblookup
from lamlam.text import Word, plain_words

__all__ = ["QuotedCall", "WordMap", "opened_by", "propose_copied", "propose_quoted", "same_words", "transfer"]

_MARKS = re.compile(r"[^\w\s]*")
_AROUND = 4  # words on either side of a call that tell whether its surroundings are the document's
_OPENER = "dblookup("
_COMPARED = 10  # words before a call that are compared
_QUOTES = '"“„«'
_FOLLOWS = 2  # a value that follows at once counts as much as so many words
_ENOUGH = 2  # of the quoted words must be the text's, or all if there are fewer
_AT_ONCE = 25_000_000  # pairs of words compared at once: 3 MB of bits
_RUN = 6  # words that identify a cut


def transfer(document: AnnotatedDocument, copy: str) -> Vetted:
    """Return the document with the calls of `copy`, a model's version of its text with `dblookup` markup.

    Earlier calls are replaced.
    """
    vetting = Vetting(document)
    propose_copied(vetting, document.text, copy)
    return vetting.result()


def propose_copied(vetting: Vetting, text: str, copy: str, offset: int = 0) -> None:
    """Offer the calls of `copy` at places of `text`, which starts at character `offset` of the vetted document."""
    parsed = dblookup.parse(copy, lenient=True)
    vetting.malformed(parsed.text.count(_OPENER) - text.count(_OPENER))
    words = WordMap(text, parsed.text)
    rejected = []
    for call in parsed.calls:
        at = words.place(call.at)
        if at is None:
            rejected.append(call)
        else:
            vetting.offer(replace(call, at=offset + at))
    for call in rejected:
        vetting.reject(call)


def opened_by(text: str, words: Sequence[Word], index: int, opening: str) -> int:
    """Return where word `index` of a text starts, with the brackets and quotation marks before it that `opening`
    has.
    """
    if index == len(words):
        return len(text)
    start = words[index].start
    for mark in reversed(_marks(opening)):
        if start == 0 or text[start - 1] != mark:
            break
        start -= 1
    return start


class WordMap:
    """Where the words of a copy are in a text."""

    def __init__(self, text: str, copy: str) -> None:
        self._text, self._copy = text, copy
        self._words, self._copied = plain_words(text), plain_words(copy)
        self._same = same_words([word.key for word in self._words], [word.key for word in self._copied])
        self._next = _following(self._same, len(self._words))
        self._starts = [word.start for word in self._copied]

    def place(self, at: int) -> int | None:
        """Return the character of the text that corresponds to `at` in the copy; None if the words there differ."""
        index = bisect_left(self._starts, at)
        if not self._is_surrounded_alike(index):
            return None
        gap = self._copy[at : self._starts[index]] if index < len(self._starts) else ""
        return opened_by(self._text, self._words, self._next[index], gap)

    def _is_surrounded_alike(self, index: int) -> bool:
        """Return whether the next word or both before are the text's, and half of those around, close together."""
        target = self._next[index]
        first, last = max(0, index - _AROUND), min(len(self._copied), index + _AROUND)
        near = [place for place in self._same[first:last] if place is not None and abs(place - target) <= 2 * _AROUND]
        before = self._same[max(0, index - 2) : index]
        beside = target in self._same[index : index + 1] or before == list(range(target - len(before), target))
        return beside and 2 * len(near) >= last - first


def _following(same: Sequence[int | None], length: int) -> list[int]:
    """Return for each word of a copy, and for its end, the word of the text that comes there, even if the copy lacks
    it.
    """
    following, target = [], 0
    for place in same:
        following.append(target if place is None else place)
        target = following[-1] + 1
    limit = length
    for index in reversed(range(len(same))):
        place = same[index]
        limit = limit if place is None else place
        following[index] = min(following[index], limit)
    return [*following, length]


def _marks(opening: str) -> str:
    match = _MARKS.match(opening.lstrip())
    return match.group() if match else ""


class QuotedCall(NamedTuple):
    """A call, and the words before it in the text."""

    entity: str
    relation: str
    value: str
    before: str


def propose_quoted(vetting: Vetting, text: str, calls: Iterable[QuotedCall], offset: int = 0) -> None:
    """Offer calls at places of `text`, which starts at character `offset` of the vetted document.

    Of several places the best has most of the quoted words and then the value; then the next after the call listed
    before.
    """
    places = _QuotedPlaces(text)
    behind, rejected = 0, []
    for quoted in calls:
        place = places.find(quoted.before, quoted.value, behind)
        call = Call(quoted.entity, quoted.relation, quoted.value, 0 if place is None else offset + place[1])
        if place is None:
            rejected.append(call)
        else:
            behind = place[0]
            vetting.offer(call)
    for call in rejected:
        vetting.reject(call)


class _QuotedPlaces:
    def __init__(self, text: str) -> None:
        self._text, self._words = text, plain_words(text)
        self._keys = [word.key for word in self._words]
        self._ends: dict[str, list[int]] = defaultdict(list)
        for index, key in enumerate(self._keys, start=1):
            self._ends[key].append(index)

    def find(self, before: str, value: str, behind: int) -> tuple[int, int] | None:
        """Return the word and character of the text that come after the words `before`, or None."""
        quoted, wanted = [word.key for word in plain_words(before)], [word.key for word in plain_words(value)]
        if wanted and quoted[-len(wanted) :] == wanted:  # some models quote the value as well
            del quoted[-len(wanted) :]
        quoted = quoted[-_COMPARED:]
        ends = set(self._ends.get(quoted[-1], ()) if quoted else (0,))
        if wanted:
            ends.update(end - len(wanted) for end in self._ends.get(wanted[-1], ()) if end >= len(wanted))
        best = max(ends, key=lambda end: (self._likeness(end, quoted, wanted), end >= behind, -end), default=None)
        if best is None or self._shared(best, quoted) < min(_ENOUGH, len(quoted)):
            return None
        at = opened_by(self._text, self._words, best, value)
        while at > 0 and self._text[at - 1] in _QUOTES:
            at -= 1
        return best, at

    def _likeness(self, end: int, quoted: list[str], wanted: list[str]) -> int:
        follows = self._keys[end : end + len(wanted)] == wanted
        return self._shared(end, quoted) + _FOLLOWS * follows

    def _shared(self, end: int, quoted: list[str]) -> int:
        """Return how many of the quoted words are before `end`, each in its place."""
        before = self._keys[max(0, end - len(quoted)) : end]
        return sum(word == other for word, other in zip(reversed(before), reversed(quoted), strict=False))


def same_words(text: Sequence[str], copy: Sequence[str]) -> list[int | None]:
    """Return for each word of the copy the place of the same word in the text, in order, or None.

    If the copy repeats itself, the first repetition is taken. Short texts are aligned by their longest common
    subsequence; long ones are cut where a run of words occurs once, and aligned piece by piece.
    """
    same: list[int | None] = [None] * len(copy)
    if len(text) * len(copy) <= _AT_ONCE:
        _align(text, copy, 0, 0, same)
        return same
    begun, done = 0, 0
    for place, index in [*_anchors(text, copy), (len(text), len(copy))]:
        piece, copied = text[begun:place], copy[done:index]
        if len(piece) * len(copied) <= _AT_ONCE:  # longer pieces share no run of words
            _align(piece, copied, begun, done, same)
        if index < len(copy):
            same[index] = place
        begun, done = place + 1, index + 1
    return same


def _align(text: Sequence[str], copy: Sequence[str], begun: int, done: int, same: list[int | None]) -> None:
    """Fill in the places of a piece. It is aligned from its end, so that the first repetition is matched.

    A sign before either keeps equal ends from being matched beforehand, which would match the last repetition.
    """
    for code in Indel.opcodes(["<", *text[::-1]], [">", *copy[::-1]]):
        if code.tag == "equal":
            for step in range(code.src_end - code.src_start):
                same[done + len(copy) - code.dest_start - step] = begun + len(text) - code.src_start - step


def _anchors(text: Sequence[str], copy: Sequence[str]) -> list[tuple[int, int]]:
    """Return the most places in text and copy where the same run of words begins, in rising order in both."""
    runs = [tuple(text[start : start + _RUN]) for start in range(len(text) - _RUN + 1)]
    counts = Counter(runs)
    places = {run: place for place, run in enumerate(runs) if counts[run] == 1}
    first: dict[int, int] = {}
    for index in range(len(copy) - _RUN + 1):
        place = places.get(tuple(copy[index : index + _RUN]))
        if place is not None:
            first.setdefault(place, index)
    return _rising(list(first.items()))


def _rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest subsequence of pairs, sorted by their second number, in which the first rises too."""
    ends: list[int] = []  # the least first number at the end of a subsequence of each length
    last: list[int] = []
    before: list[int | None] = []
    for number, (place, _) in enumerate(pairs):
        length = bisect_left(ends, place)
        before.append(last[length - 1] if length else None)
        ends[length : length + 1] = [place]
        last[length : length + 1] = [number]
    chain: list[tuple[int, int]] = []
    link = last[-1] if last else None
    while link is not None:
        chain.append(pairs[link])
        link = before[link]
    return chain[::-1]
