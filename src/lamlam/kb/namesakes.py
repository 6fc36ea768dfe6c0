"""Entities that may be two people of one name: those that were born, or died, at two times that cannot both be right.

Names are all that tells entities apart where a file has no more, as in CSV: namesakes become one entity there. To give
them names of their own is left to whoever has the file.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations, groupby, islice
from operator import itemgetter

from lamlam.kb.database import Database

__all__ = ["Namesakes", "find_namesakes"]

_ONCE = {
    "birth": ("birth date", "birthdate", "date of birth", "birth year", "year of birth", "birthday", "born", "born on"),
    "death": ("death date", "deathdate", "date of death", "death year", "year of death", "died", "died on"),
}
_MOST = 50  # facts of an entity that are compared
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?"
_DATES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?P<year>\d{4})-(?P<number>\d\d)-(?P<day>\d\d)\b",
        rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\.? (?:of )?{_MONTH},? (?P<year>\d{{1,4}})(?P<era> BC)?\b",
        rf"\b{_MONTH} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<year>\d{{1,4}})(?P<era> BC)?\b",
        rf"\b{_MONTH},? (?P<year>\d{{1,4}})(?P<era> BC)?\b",
        r"\b(?P<year>\d{3,4})(?P<era> BC)?\b",
    )
]

_Date = tuple[int, int | None, int | None]


@dataclass(frozen=True, slots=True)
class Namesakes:
    """An entity with times that contradict each other, and one relation that states them."""

    entity: str
    relation: str
    values: tuple[str, ...]


def find_namesakes(database: Database, since: int) -> tuple[Namesakes, ...]:
    """The entities to which something was added behind revision `since` by which they may be several of one name."""
    return tuple(found for names in _ONCE.values() for found in _contradictions(database, names, since))


def _contradictions(database: Database, names: Iterable[str], since: int) -> Iterable[Namesakes]:
    asked = tuple(names)
    marks = ", ".join("?" * len(asked))
    relations = [
        target for (target,) in database.rows(f"SELECT target FROM relation_spelling WHERE norm IN ({marks})", asked)
    ]
    if not relations:
        return
    chosen = ", ".join(map(str, relations))
    rows = database.rows(
        "SELECT f.entity, e.name, r.name, f.value FROM fact f "
        "JOIN entity e ON e.id = f.entity JOIN relation r ON r.id = f.relation "
        f"WHERE f.relation IN ({chosen}) AND f.until = 0 AND f.entity IN ("
        f"SELECT entity FROM fact WHERE relation IN ({chosen}) AND until = 0 "
        "GROUP BY entity HAVING count(*) > 1 AND max(since) > ?) ORDER BY f.entity, f.id",
        (since,),
    )
    for _, group in groupby(rows, itemgetter(0)):
        facts = list(islice(group, _MOST))
        if any(_differ(_date(a), _date(b)) for a, b in combinations((fact[3] for fact in facts), 2)):
            yield Namesakes(facts[0][1], facts[0][2], tuple(dict.fromkeys(fact[3] for fact in facts)))


def _date(text: str) -> _Date | None:
    """The date that a text begins with or holds: year, and month and day as far as they are told."""
    found = next((match for pattern in _DATES if (match := pattern.search(text))), None)
    if found is None:
        return None
    parts = found.groupdict()
    year = int(parts["year"]) * (-1 if parts.get("era") else 1)
    month = _MONTHS.index(parts["month"].lower()) + 1 if parts.get("month") else int(parts.get("number") or 0)
    return year, month or None, int(parts["day"]) if parts.get("day") else None


def _differ(a: _Date | None, b: _Date | None) -> bool:
    """Whether both cannot be right; a date that says less than another contradicts it in what it says alone."""
    if a is None or b is None:
        return False
    return any(x != y for x, y in zip(a, b, strict=True) if x is not None and y is not None)
