"""Places calls that a model lists by themselves, each with the words before it, in a document.

A list is what models give where a server makes them keep to a schema: no word of the document is repeated but these.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from lamlam.annotate.transfer import opened_by
from lamlam.annotate.vetting import Vetting
from lamlam.markup import Call
from lamlam.text import plain_words

__all__ = ["QuotedCall", "propose_quoted"]

_TOLD = 10  # words before a call that are compared
_QUOTES = '"“„«'
_FOLLOWS = 2  # as many words as it counts that the value follows at once
_ENOUGH = 2  # of them must be the text's, fewer only where fewer are told


class QuotedCall(NamedTuple):
    """A call, and the words of a text that it follows."""

    entity: str
    relation: str
    value: str
    before: str


def propose_quoted(vetting: Vetting, text: str, calls: Iterable[QuotedCall], offset: int = 0) -> None:
    """Offer calls for the places of `text`, which stands at character `offset` of the vetted document.

    Of several places it is the one that has most of the words told, and the value behind them; then the next behind the
    call that was listed before.
    """
    places = _Places(text)
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


class _Places:
    def __init__(self, text: str) -> None:
        self._text, self._words = text, plain_words(text)
        self._keys = [word.key for word in self._words]
        self._ends: dict[str, list[int]] = defaultdict(list)
        for index, key in enumerate(self._keys, start=1):
            self._ends[key].append(index)

    def find(self, before: str, value: str, behind: int) -> tuple[int, int] | None:
        """The word and character of the text that come behind the words `before`; None where these are not there."""
        told, wanted = [word.key for word in plain_words(before)], [word.key for word in plain_words(value)]
        if wanted and told[-len(wanted) :] == wanted:  # some quote the value as well
            del told[-len(wanted) :]
        told = told[-_TOLD:]
        ends = set(self._ends.get(told[-1], ()) if told else (0,))
        if wanted:
            ends.update(end - len(wanted) for end in self._ends.get(wanted[-1], ()) if end >= len(wanted))
        best = max(ends, key=lambda end: (self._likeness(end, told, wanted), end >= behind, -end), default=None)
        if best is None or self._shared(best, told) < min(_ENOUGH, len(told)):
            return None
        at = opened_by(self._text, self._words, best, value)
        while at > 0 and self._text[at - 1] in _QUOTES:
            at -= 1
        return best, at

    def _likeness(self, end: int, told: list[str], wanted: list[str]) -> int:
        follows = self._keys[end : end + len(wanted)] == wanted
        return self._shared(end, told) + _FOLLOWS * follows

    def _shared(self, end: int, told: list[str]) -> int:
        """How many of the words told stand before `end`, each in its place."""
        stand = self._keys[max(0, end - len(told)) : end]
        return sum(there == wanted for there, wanted in zip(reversed(stand), reversed(told), strict=False))
