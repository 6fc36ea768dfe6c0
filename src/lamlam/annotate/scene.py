"""What surrounds a mention in a text, and which of a value's mentions is the best place for a fact.

A dense text mentions a value as often as it has facts with it. Places are indexed: trying each mention for each fact
would take time quadratic in the length of the text.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet

from lamlam.annotate.forms import Strength
from lamlam.annotate.mentions import Mention, MentionFinder

__all__ = ["MentionIndex", "Scene", "ValueMentions", "text_before"]

_STOPS = ".!?:;"
_REACH = 32


class Scene:
    """The mentions of entities in a text.

    `holders` maps a value to the entities that have it, `values` a start to the values that a mention there may mean.
    """

    def __init__(
        self,
        finder: MentionFinder,
        entities: Mapping[str, list[Mention]],
        holders: Mapping[str, set[str]],
        values: Mapping[int, Collection[str]],
    ) -> None:
        self._text, self._words, self.entities = finder.text, finder.words, entities
        self._holders, self._values = holders, values
        self._named = sorted((mention.last, mention.end, name) for name in entities for mention in entities[name])
        self._ends = [last for last, _, _ in self._named]

    def embedded(self, mention: Mention) -> bool:
        """Return whether a capitalised word is right beside it, as in "AEK Athens"."""
        if not self._text[mention.start].isupper() or self._text.endswith(("'s", "’s"), 0, mention.end):
            return False
        return self._capital_before(mention) or self._capital_after(mention)

    def open_to_all(self, mention: Mention) -> bool:
        """Return whether the entity named last has no such value itself, or shares it.

        "Chicago, Illinois, US" gives the country of both.
        """
        end, nearest = self._last_named(mention)
        if not any(nearest in self._holders[value] for value in self._values.get(mention.start, ())):
            return True
        return self._text[end : min(mention.start, end + 4)] in (", ", " , ", " (")

    def nearest(self, mention: Mention) -> str:
        """Return the entity named last before a mention, or ""."""
        return self._last_named(mention)[1]

    def _last_named(self, mention: Mention) -> tuple[int, str]:
        at = bisect_right(self._ends, mention.first)
        return self._named[at - 1][1:] if at else (0, "")

    def _capital_before(self, mention: Mention) -> bool:
        if not mention.first:
            return False
        before = self._words[mention.first - 1]
        begins = mention.first == 1 or text_before(self._text, before.start)[-1:] in _STOPS
        return not begins and self._text[before.start].isupper() and self._text[before.end : mention.start] == " "

    def _capital_after(self, mention: Mention) -> bool:
        if mention.last == len(self._words):
            return False
        after = self._words[mention.last]
        return self._text[after.start].isupper() and self._text[mention.end : after.start] == " "


def text_before(text: str, at: int) -> str:
    """Return the last characters before a place, without trailing white space."""
    return text[max(0, at - _REACH) : at].rstrip()


class ValueMentions:
    """The mentions of one value at which a fact may be placed; with `stated` all of them.

    Otherwise pieces of longer names are left out, and a mention that the entity named last can claim is reserved for
    it.
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
        """Return the best mention from word `first` on, or None.

        The surest are best; of these, those that don't start at a `taken` place, then those with no other entity named
        in between, then the first. Taken places stay taken from one call to the next.
        """
        for strength in Strength:
            rows = self._of_nearest.get((strength, entity)), self._of_any.get(strength)
            for without in (taken, frozenset[int]()):
                for row in rows:
                    if row is not None and (mention := row.after(first, without)) is not None:
                        return mention
        return None

    def reaches(self, first: int) -> bool:
        """Return whether there is a mention from word `first` on."""
        return bool(self.mentions) and self.mentions[-1].first >= first


class _Row:
    """Mentions in the order of the text. Those found to be taken are skipped from then on."""

    def __init__(self) -> None:
        self._mentions: list[Mention] = []
        self._firsts: list[int] = []
        self._next: list[int] = []

    def add(self, mention: Mention) -> None:
        self._mentions.append(mention)
        self._firsts.append(mention.first)
        self._next.append(len(self._mentions))

    def after(self, first: int, taken: AbstractSet[int]) -> Mention | None:
        """Return the first mention from word `first` on that doesn't start at a `taken` place."""
        at, passed = bisect_left(self._firsts, first), []
        while at < len(self._mentions) and self._mentions[at].start in taken:
            passed.append(at)
            at = self._next[at]
        for taken_at in passed:
            self._next[taken_at] = at
        return self._mentions[at] if at < len(self._mentions) else None


class MentionIndex:
    """Mentions by where they begin, to find those that contain a shorter one."""

    def __init__(self, found: Iterable[list[Mention]]) -> None:
        self._from: dict[int, dict[int, Mention]] = defaultdict(dict)  # by first and last word
        self._longest = 0
        for mentions in found:
            self.add(mentions)

    def add(self, mentions: list[Mention]) -> None:
        for mention in mentions:
            self._from[mention.first][mention.last] = mention
            self._longest = max(self._longest, mention.last - mention.first)

    def around(self, mention: Mention) -> list[Mention]:
        """Return the longer mentions that contain a mention."""
        begun = range(max(0, mention.last - self._longest), mention.first + 1)
        held = (other for first in begun for other in self._from.get(first, {}).values())
        return [
            other
            for other in held
            if other.last >= mention.last and other.last - other.first > mention.last - mention.first
        ]
