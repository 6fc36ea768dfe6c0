"""Moves the calls of a model's annotated copy onto the document itself.

Models that are asked to repeat a text with calls in it alter the text: they repeat it, leave sentences out, add words.
Copy and document are aligned word by word, and each call goes before the words that it stands before in the copy. The
document's text is what it was. Which calls may stand there is left to `vetting`.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from lamlam.annotate.alignment import same_words
from lamlam.annotate.vetting import Vetted, Vetting
from lamlam.markup import AnnotatedDocument, dblookup
from lamlam.text import Word, plain_words

__all__ = ["WordMap", "opened_by", "propose_copied", "transfer"]

_MARKS = re.compile(r"[^\w\s]*")
_AROUND = 4  # words on either side of a call that tell whether its surroundings are the document's
_OPENER = "dblookup("


def transfer(document: AnnotatedDocument, copy: str) -> Vetted:
    """The document with the calls of `copy`, a model's version of its text with `dblookup` markup in it.

    Calls that the document has already are replaced.
    """
    vetting = Vetting(document)
    propose_copied(vetting, document.text, copy)
    return vetting.result()


def propose_copied(vetting: Vetting, text: str, copy: str, offset: int = 0) -> None:
    """Offer the calls of `copy` for the places of `text`, which stands at character `offset` of the vetted document."""
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
    """Where word `index` of a text starts, with the brackets and quotation marks before it that begin `opening`."""
    if index == len(words):
        return len(text)
    start = words[index].start
    for mark in reversed(_marks(opening)):
        if start == 0 or text[start - 1] != mark:
            break
        start -= 1
    return start


class WordMap:
    """Where the words of a copy stand in a text."""

    def __init__(self, text: str, copy: str) -> None:
        self._text, self._copy = text, copy
        self._words, self._copied = plain_words(text), plain_words(copy)
        self._same = same_words([word.key for word in self._words], [word.key for word in self._copied])
        self._next = _following(self._same, len(self._words))
        self._starts = [word.start for word in self._copied]

    def place(self, at: int) -> int | None:
        """The character of the text that stands where `at` does in the copy; None where the words there are others."""
        index = self._first_behind(at)
        if not self._is_surrounded_alike(index):
            return None
        gap = self._copy[at : self._starts[index]] if index < len(self._starts) else ""
        return opened_by(self._text, self._words, self._next[index], gap)

    def _first_behind(self, at: int) -> int:
        return bisect_left(self._starts, at)

    def _is_surrounded_alike(self, index: int) -> bool:
        """Whether the next word or both before are the text's, and half of those around, near each other there."""
        target = self._next[index]
        first, last = max(0, index - _AROUND), min(len(self._copied), index + _AROUND)
        near = [place for place in self._same[first:last] if place is not None and abs(place - target) <= 2 * _AROUND]
        before = self._same[max(0, index - 2) : index]
        beside = target in self._same[index : index + 1] or before == list(range(target - len(before), target))
        return beside and 2 * len(near) >= last - first


def _following(same: Sequence[int | None], length: int) -> list[int]:
    """For each word of a copy, and its end, the word of the text that comes there: it may be left out or another."""
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
