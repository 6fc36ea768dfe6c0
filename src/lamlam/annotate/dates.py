"""A date in the ways in which texts write it: days, and months of a year.

Punctuation, "of" and "the" do not count (`words`), so that few orders are left to list.
"""

import re
from collections.abc import Iterator

from lamlam.text import MONTHS

__all__ = ["date_forms"]

_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_MONTH = r"(?P<month>[A-Z][a-z]{2,8})\.?"
_YEAR = r"(?P<year>\d{4})"
_WRITTEN = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?P<year>\d{4})-(?P<number>\d\d)-(?P<day>\d\d)",
        r"(?P<year>\d{4})-(?P<number>\d\d)",
        rf"{_DAY} (?:of )?{_MONTH},? (?:of |in )?{_YEAR}",
        rf"{_MONTH} (?:the )?{_DAY},? (?:of |in )?{_YEAR}",
        rf"{_YEAR},? {_MONTH} {_DAY}",
        rf"{_MONTH},? (?:of )?{_YEAR}",
        rf"(?P<day>1[3-9]|2\d|3[01])[/.](?P<number>0?\d|1[0-2])[/.]{_YEAR}",
        rf"(?P<number>0?\d|1[0-2])/(?P<day>1[3-9]|2\d|3[01])/{_YEAR}",
    )
)


def date_forms(name: str) -> list[tuple[str, bool]] | None:
    """Ways to write the date that a name is, each with whether it tells all of it; None for what is no date."""
    date = _date(name.strip().removeprefix("the "))
    if date is None:
        return None
    year, month, day = date
    return list(_days(year, month, day) if day else _months(year, month))


def _date(text: str) -> tuple[int, int, int] | None:
    """Year, month, and day, which is 0 where only a month is told."""
    for written in _WRITTEN:
        if match := written.fullmatch(text):
            told = match.groupdict()
            month = int(told["number"]) if told.get("number") else _month(told["month"])
            day = int(told.get("day") or 0)
            return (int(told["year"]), month, day) if 1 <= month <= 12 and day <= 31 else None
    return None


def _month(name: str) -> int:
    """From 1; 0 for no month's name or abbreviation."""
    return next((at for at, each in enumerate(MONTHS, 1) if name in _named(each)), 0)


def _named(month: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((month, month[:3], month[:4])))


def _days(year: int, month: int, day: int) -> Iterator[tuple[str, bool]]:
    for named in _named(MONTHS[month - 1]):
        for each in (str(day), f"{day}{_ordinal(day)}"):
            yield f"{named} {each}, {year}", True
            yield f"{each} {named} {year}", True
            yield f"{year} {named} {each}", True
            yield f"{each} {named} in {year}", True
            yield f"{named} {each} in {year}", True
        yield f"{named} {year}", False
    for a, b in ((month, day), (day, month)):
        for shown in (year, f"{year % 100:02}"):
            yield f"{a}/{b}/{shown}", True
            yield f"{a:02}/{b:02}/{shown}", True
    yield f"{year}-{month:02}-{day:02}", True
    yield str(year), False


def _months(year: int, month: int) -> Iterator[tuple[str, bool]]:
    for named in _named(MONTHS[month - 1]):
        yield f"{named} {year}", True
        yield f"{named} in {year}", True
    yield f"{year}-{month:02}", True
    yield str(year), False


def _ordinal(day: int) -> str:
    return "th" if 11 <= day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
