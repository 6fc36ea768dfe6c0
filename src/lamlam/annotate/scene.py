"""What stands around a mention in one text: is it a piece of a longer name, and which entity was named last before it?

Which mention states a fact is left to `align`.
"""

from bisect import bisect_right
from collections.abc import Mapping

from lamlam.annotate.mentions import Mention, MentionFinder

__all__ = ["Scene"]

_STOPS = ".!?:;"


class Scene:
    """The mentions of entities in a text.

    `claims` says, by where a mention starts, which entities have a value that it may mean; `taken` holds places that
    are to be left to the facts that stand there already.
    """

    def __init__(
        self, finder: MentionFinder, entities: Mapping[str, list[Mention]], claims: Mapping[int, set[str]]
    ) -> None:
        self._text, self._words, self.entities, self._claims = finder.text, finder.words, entities, claims
        self.taken: set[int] = set()
        self._named = sorted((each.last, each.end, name) for name, found in entities.items() for each in found)
        self._ends = [last for last, _, _ in self._named]

    def rank(self, mention: Mention, entity: str) -> tuple[int, bool, bool, int]:
        """The least is the best: sure, not taken, and with no other entity named in between."""
        _, nearest = self._nearest(mention)
        return mention.strength, mention.start in self.taken, nearest not in ("", entity), mention.start

    def embedded(self, mention: Mention) -> bool:
        """Whether a capitalised word stands right beside it, as in "AEK Athens"."""
        if not self._text[mention.start].isupper() or self._text[: mention.end].endswith(("'s", "’s")):
            return False
        return self._capital_before(mention) or self._capital_after(mention)

    def belongs(self, mention: Mention, entity: str) -> bool:
        """Whether the entity that was named last has no such value itself.

        It may have: "Chicago, Illinois, US" says a country of both.
        """
        end, nearest = self._nearest(mention)
        if nearest in ("", entity) or nearest not in self._claims.get(mention.start, ()):
            return True
        return self._text[end : mention.start] in (", ", " , ", " (")

    def _nearest(self, mention: Mention) -> tuple[int, str]:
        """The entity named last before a mention, and where that ends; no name where there is none."""
        at = bisect_right(self._ends, mention.first)
        return self._named[at - 1][1:] if at else (0, "")

    def _capital_before(self, mention: Mention) -> bool:
        if not mention.first:
            return False
        before = self._words[mention.first - 1]
        begins = mention.first == 1 or self._text[: before.start].rstrip()[-1:] in _STOPS
        return not begins and self._text[before.start].isupper() and self._text[before.end : mention.start] == " "

    def _capital_after(self, mention: Mention) -> bool:
        if mention.last == len(self._words):
            return False
        after = self._words[mention.last]
        return self._text[after.start].isupper() and self._text[mention.end : after.start] == " "
