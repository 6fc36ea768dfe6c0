"""Where a value stands in a text, and which of these places is best for a fact: looked for, never searched through.

A dense text mentions one value as often as it has facts with it: trying each mention for each fact would take time in
the square of its length.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Set as AbstractSet

from lamlam.annotate.forms import Strength
from lamlam.annotate.mentions import Mention
from lamlam.annotate.scene import Scene

__all__ = ["Enclosing", "Standing"]


class Standing:
    """The mentions of one value that a fact may stand at; with `stated` they are all of them.

    Otherwise pieces of longer names are none, and a mention that the entity named last may claim is that entity's.
    """

    def __init__(self, mentions: list[Mention], scene: Scene, *, stated: bool) -> None:
        self.mentions = mentions if stated else [mention for mention in mentions if not scene.embedded(mention)]
        self._of_any: dict[Strength, _Row] = defaultdict(_Row)
        self._of_nearest: dict[tuple[Strength, str], _Row] = defaultdict(_Row)
        for mention in self.mentions:
            self._of_nearest[mention.strength, scene.nearest(mention)].add(mention)
            if stated or scene.open_to_all(mention):
                self._of_any[mention.strength].add(mention)

    def best(self, entity: str, first: int, taken: AbstractSet[int]) -> Mention | None:
        """The best mention from word `first` on; None where there is none.

        The surest are the best, of these those that do not start at a place that is `taken`, then those with no other
        entity named in between, then the first. What is taken stays so from one call to the next.
        """
        for strength in Strength:
            rows = self._of_nearest.get((strength, entity)), self._of_any.get(strength)
            for without in (taken, frozenset[int]()):
                for row in rows:
                    if row is not None and (mention := row.after(first, without)) is not None:
                        return mention
        return None

    def reaches(self, first: int) -> bool:
        """Whether there is a mention from word `first` on."""
        return bool(self.mentions) and self.mentions[-1].first >= first


class _Row:
    """Mentions in the order of the text. Those that were found to be taken are not passed again."""

    def __init__(self) -> None:
        self._mentions: list[Mention] = []
        self._firsts: list[int] = []
        self._next: list[int] = []

    def add(self, mention: Mention) -> None:
        self._mentions.append(mention)
        self._firsts.append(mention.first)
        self._next.append(len(self._mentions))

    def after(self, first: int, taken: AbstractSet[int]) -> Mention | None:
        """The first mention from word `first` on that does not start at a place that is `taken`."""
        at, passed = bisect_left(self._firsts, first), []
        while at < len(self._mentions) and self._mentions[at].start in taken:
            passed.append(at)
            at = self._next[at]
        for each in passed:
            self._next[each] = at
        return self._mentions[at] if at < len(self._mentions) else None


class Enclosing:
    """Mentions by where they begin, to find those that a shorter one lies within."""

    def __init__(self) -> None:
        self._from: dict[int, dict[int, Mention]] = defaultdict(dict)  # by first and last word
        self._longest = 0

    def add(self, mentions: list[Mention]) -> None:
        for mention in mentions:
            self._from[mention.first][mention.last] = mention
            self._longest = max(self._longest, mention.last - mention.first)

    def around(self, mention: Mention) -> list[Mention]:
        """The longer mentions that a mention lies within."""
        begun = range(max(0, mention.last - self._longest), mention.first + 1)
        held = (other for first in begun for other in self._from.get(first, {}).values())
        return [
            other
            for other in held
            if other.last >= mention.last and other.last - other.first > mention.last - mention.first
        ]
