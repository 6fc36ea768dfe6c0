"""What stands around a mention in one text: is it a piece of a longer name, and which entity was named last before it?

Which mention states a fact is left to `align`.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping

from lamlam.annotate.mentions import Mention, MentionFinder

__all__ = ["Scene", "text_before"]

_STOPS = ".!?:;"
_REACH = 32


class Scene:
    """The mentions of entities in a text.

    `holders` says which entities have a value, and `values` which values a mention that starts at a place may mean.
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
        self._named = sorted((each.last, each.end, name) for name, found in entities.items() for each in found)
        self._ends = [last for last, _, _ in self._named]

    def embedded(self, mention: Mention) -> bool:
        """Whether a capitalised word stands right beside it, as in "AEK Athens"."""
        if not self._text[mention.start].isupper() or self._text.endswith(("'s", "’s"), 0, mention.end):
            return False
        return self._capital_before(mention) or self._capital_after(mention)

    def open_to_all(self, mention: Mention) -> bool:
        """Whether the entity that was named last has no such value itself.

        It may have: "Chicago, Illinois, US" says a country of both.
        """
        end, nearest = self._last_named(mention)
        if not any(nearest in self._holders[value] for value in self._values.get(mention.start, ())):
            return True
        return self._text[end : min(mention.start, end + 4)] in (", ", " , ", " (")

    def nearest(self, mention: Mention) -> str:
        """The entity named last before a mention; no name where there is none."""
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
    """The last characters before a place, without white space at their end."""
    return text[max(0, at - _REACH) : at].rstrip()
