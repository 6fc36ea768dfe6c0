"""Distant supervision: puts a call before each place where a text states a known fact.

A fact is stated where its value is mentioned after its entity was. The text itself is never altered. Which facts a
text may state is given from outside; how names are written and found is left to `forms` and `mentions`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from lamlam.annotate.forms import Strength
from lamlam.annotate.mentions import Mention, MentionFinder
from lamlam.annotate.spans import with_article
from lamlam.corpus import FactRecord
from lamlam.markup import AnnotatedDocument, Call

__all__ = ["Aligner", "Alignment", "Reason"]


class Reason(StrEnum):
    """Why a fact found no place in a text."""

    ENTITY_NOT_FOUND = "entity_not_found"
    VALUE_NOT_FOUND = "value_not_found"
    BEFORE_ENTITY = "before_entity"


@dataclass(frozen=True, slots=True)
class Alignment:
    """An annotated document, the facts placed in it with document and span, and those not placed with the reason."""

    document: AnnotatedDocument
    placed: list[FactRecord]
    unplaced: list[tuple[FactRecord, Reason]]


class Aligner:
    """Aligns texts with facts; it keeps nothing between texts.

    `stated` says that each text is known to state the facts it is given. Then a near spelling or a part of a name is
    evidence enough; otherwise only a name or another way to write it is.
    """

    def __init__(self, *, stated: bool = True) -> None:
        self._stated = stated

    def annotate(self, text: str, facts: Iterable[FactRecord], id: str) -> Alignment:
        """Place a call before the value's mention for every fact of `facts` that `text` states after its entity.

        A call's value is the fact's own value; the span of a placed fact is the mention, as the text writes it.
        """
        facts = list(dict.fromkeys(facts))
        finder = MentionFinder(text)
        mentions = _mentions(finder, facts, self._stated)
        entities = {fact.entity: mentions[fact.entity] or _nested(finder, fact.entity) for fact in facts}
        placed: list[FactRecord] = []
        unplaced: list[tuple[FactRecord, Reason]] = []
        taken: set[int] = set()
        for fact in sorted(facts, key=lambda fact: _order(entities[fact.entity], mentions[fact.value])):
            place = _place(entities[fact.entity], mentions[fact.value], taken)
            if isinstance(place, Reason):
                unplaced.append((fact, place))
            else:
                taken.add(place.start)
                start = with_article(text, place.start, fact.value)
                placed.append(replace(fact, document=id, start=start, end=place.end))
        placed.sort(key=lambda fact: (fact.start, fact.entity, fact.relation))
        calls = tuple(Call(fact.entity, fact.relation, fact.value, fact.start or 0) for fact in placed)
        return Alignment(AnnotatedDocument(id, text, calls), placed, unplaced)


def _mentions(finder: MentionFinder, facts: Sequence[FactRecord], weaker: bool) -> dict[str, list[Mention]]:
    """Mentions of every entity and value: sure ones first, weaker ones only for names that have none, where free."""
    names = dict.fromkeys(name for fact in facts for name in (fact.entity, fact.value))
    found = {name: finder.find(name, Strength.NAME, Strength.VARIANT) for name in names}
    found = {name: _unhidden(name, found, finder.text) for name in names}
    searches: tuple[Callable[[str], list[Mention]], ...] = (
        lambda name: finder.find(name, Strength.PART, Strength.PART),
        finder.find_near,
        lambda name: finder.find(name, Strength.HINT, Strength.HINT),
        finder.find_moved,
    )
    for search in searches if weaker else ():
        for name in names:
            if not found[name]:
                others = [mention for other in names for mention in found[other]]
                found[name] = [m for m in search(name) if not _hidden(m, others, finder.text)]
    return found


def _unhidden(name: str, found: dict[str, list[Mention]], text: str) -> list[Mention]:
    others = [mention for other, mentions in found.items() if other != name for mention in mentions]
    return [mention for mention in found[name] if not _hidden(mention, others, text)]


def _hidden(mention: Mention, others: Iterable[Mention], text: str) -> bool:
    """Whether a mention is only a piece of a longer name, and not an item of a list such as "Abilene, Texas"."""
    for other in others:
        longer = other.last - other.first > mention.last - mention.first
        if (
            longer
            and other.first <= mention.first
            and mention.last <= other.last
            and not _is_item(mention, other, text)
        ):
            return True
    return False


def _is_item(mention: Mention, other: Mention, text: str) -> bool:
    whole = text[other.start : other.end]
    marks = (",", "(", ")") if " of " in whole else (",", "(", ")", " and", " or")
    before, after = text[other.start : mention.start].rstrip(), text[mention.end : other.end].lstrip()
    return (not before or before.endswith(marks)) and (not after or after.startswith(tuple(map(str.lstrip, marks))))


def _nested(finder: MentionFinder, entity: str) -> list[Mention]:
    """Mentions at the end of a longer name ("President of the United States"): they do introduce the entity."""
    mentions = finder.find(entity, Strength.NAME, Strength.VARIANT)
    joints = (" of", " of the", " in", " in the")
    return [mention for mention in mentions if finder.text[: mention.start].rstrip().endswith(joints)]


def _order(entity: list[Mention], value: list[Mention]) -> tuple[int, int]:
    """Facts with fewer places to choose from go first, then those whose entity comes first."""
    return len(value), entity[0].start if entity else -1


def _place(entity: list[Mention], value: list[Mention], taken: set[int]) -> Mention | Reason:
    """The surest, then freest, then first mention of the value behind the first mention of the entity."""
    if not value:
        return Reason.VALUE_NOT_FOUND
    if not entity:
        return Reason.ENTITY_NOT_FOUND
    after = [mention for mention in value if mention.first >= entity[0].last]
    if not after:
        return Reason.BEFORE_ENTITY
    return min(after, key=lambda mention: (mention.strength, mention.start in taken, mention.start))
