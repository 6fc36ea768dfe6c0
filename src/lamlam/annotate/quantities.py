"""Numbers, measures, years and dates in the ways in which texts write them.

Punctuation, thousands separators, "of" and "the" don't count (see `lamlam.text.words`), so few orders need listing. A
number without its unit, or a date's year, is only a hint of it; a currency may be left out.
"""

import re
from collections.abc import Iterator

from lamlam.text import MONTHS

__all__ = ["date_forms", "quantity_forms", "respelled"]

_UNITS = (
    ("m", "metres", "meters"), ("km", "kilometres", "kilometers"), ("cm", "centimetres", "centimeters"),
    ("mm", "millimetres", "millimeters"), ("ft", "feet", "foot"), ("mi", "miles"), ("in", "inches"),
    ("kg", "kilograms", "kilogrammes"), ("g", "grams", "grammes"), ("mph", "miles per hour"),
    ("km/h", "kilometres per hour", "kilometers per hour"), ("%", "percent", "per cent"),
    ("sq km", "km2", "km²", "square kilometres", "square kilometers"),
    ("sq m", "m2", "m²", "square metres", "square meters"), ("sq mi", "square miles"), ("ha", "hectares"),
    ("°C", "degrees Celsius"), ("min", "minutes"), ("s", "seconds"), ("h", "hours"),
)  # fmt: skip
_ERAS = (("BC", "B.C.", "BCE", "B.C.E."), ("AD", "A.D.", "CE", "C.E."))
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_LEAST_SCALED = 10**6
_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_IRREGULAR = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
              "twelve": "twelfth"}  # fmt: skip
_NUMBER = r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_LONGEST = 15
_QUANTITY = re.compile(rf"(?:US)?[$€£]?\s*(?P<number>{_NUMBER})(?P<rest>.*)")
_RANGE = re.compile(
    r"(?:from |between )?(?P<first>1\d{3}|20\d\d)\s*(?:[–—-]|to|and|until)\s*(?P<last>1\d{3}|20\d\d|\d\d)"
)
_ORDINAL = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)\b")
_CARDINAL = re.compile(r"(?<![\w.,/-])(\d{1,3})(?![\w.,/%-])")
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


def quantity_forms(name: str) -> Iterator[tuple[str, bool]]:
    """Yield ways to write what begins with a number, each with whether it is complete."""
    text = respelled_as_digits(name)
    if match := _RANGE.fullmatch(text):
        yield from ((form, True) for form in _ranges(match["first"], match["last"]))
        return
    match = _QUANTITY.fullmatch(text)
    if match is None or len(match["number"]) > _LONGEST:
        return
    if text != name:
        yield text, True
    rest = match["rest"].strip(' "')
    if era := next((names for names in _ERAS if rest in names), ()):
        yield from ((f"{match['number']} {named}", True) for named in era)
        return
    if rest and not match["rest"].startswith((" ", '"', "%", "°")) and not _unit(rest):
        return
    yield from _measures(float(match["number"].replace(",", "")), match["number"], rest)


def respelled(name: str) -> Iterator[str]:
    """Yield a name with its first small number or ordinal spelled the other way: 19th century, nineteenth century."""
    for pattern, words in ((_ORDINAL, _ordinal_words), (_CARDINAL, _number_words)):
        if match := pattern.search(name):
            yield name[: match.start()] + words(int(match[1])) + name[match.end() :]
    if match := _ORDINAL_WORDS.search(name):
        number = _ORDINAL_NUMBERS[match[0].lower().replace(" ", "-")]
        yield name[: match.start()] + _ordinal(number) + name[match.end() :]


def respelled_as_digits(name: str) -> str:
    """Return a name that begins with a number in words with it in digits; any other unchanged."""
    match = _WORDS.match(name.strip())
    return (
        name if match is None else str(_WORD_NUMBERS[match[0].lower().replace(" ", "-")]) + name.strip()[match.end() :]
    )


def _measures(value: float, number: str, rest: str) -> Iterator[tuple[str, bool]]:
    scale, _, unit = rest.partition(" ")
    if scale in _SCALES:
        value, rest = value * _SCALES[scale], unit
    elif rest and not (len(rest) <= 3 or rest.startswith(("square", "inhabitants", "(")) or _unit(rest)):
        return
    units = _unit(rest)
    for written in dict.fromkeys(_numbers(value, number if scale not in _SCALES else f"{number} {scale}")):
        yield written, not units
        yield from ((f"{written} {named}", True) for named in units)
    if not value.is_integer() and value >= 100:
        yield from ((str(rounded), False) for rounded in (int(value), round(value)))


def _numbers(value: float, written: str) -> Iterator[str]:
    yield written
    for scale, factor in _SCALES.items():
        if factor <= value < 1000 * factor and (factor >= _LEAST_SCALED or value % factor == 0):
            scaled = value / factor
            if round(scaled, 2) == scaled:
                yield f"{scaled:g} {scale}"
                if scaled.is_integer() and scaled < 100:
                    yield f"{_number_words(int(scaled))} {scale}"
    if value.is_integer():
        yield str(int(value))
        if 0 <= value < 1000:
            yield _number_words(int(value))
    else:
        yield f"{value:.10g}"


def _unit(rest: str) -> tuple[str, ...]:
    """Return all names of the unit that a text is; none if it isn't a unit."""
    plain = rest.strip(" ().")
    return next((names for names in _UNITS if plain and (plain in names or f"{plain}s" in names)), ())


def _ranges(first: str, last: str) -> Iterator[str]:
    whole = first[: 4 - len(last)] + last
    for joint in ("–", " to ", " until "):
        yield f"{first}{joint}{whole}"
    yield f"{first} and {whole}"
    if whole[:2] == first[:2]:
        yield f"{first}–{whole[2:]}"


def _number_words(number: int) -> str:
    if number < len(_SMALL):
        return _SMALL[number]
    if number < 100:
        return _TENS[number // 10] + (f"-{_SMALL[number % 10]}" if number % 10 else "")
    rest = f" {_number_words(number % 100)}" if number % 100 else ""
    return f"{_SMALL[number // 100]} hundred{rest}"


def _ordinal_words(number: int) -> str:
    head, dash, last = _number_words(number).rpartition("-")
    ordinal = _IRREGULAR.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return head + dash + ordinal


def _any_of(words: list[str]) -> str:
    return "|".join(word.replace("-", "[- ]") for word in sorted(words, key=len, reverse=True))


_WORD_NUMBERS = {_number_words(number): number for number in range(1, 100)}
_ORDINAL_NUMBERS = {_ordinal_words(number): number for number in range(1, 100)}
_WORD_NUMBERS |= {f"{word}-hundred": 100 * number for word, number in list(_WORD_NUMBERS.items())[:9]}
_WORDS = re.compile(rf"(?:{_any_of(list(_WORD_NUMBERS))})\b", re.IGNORECASE)
_ORDINAL_WORDS = re.compile(rf"\b(?:{_any_of(list(_ORDINAL_NUMBERS))})\b", re.IGNORECASE)


def date_forms(name: str) -> list[tuple[str, bool]] | None:
    """Return ways to write the date that a name is, each with whether it is complete; None for anything but a date."""
    date = _date(name.strip().removeprefix("the "))
    if date is None:
        return None
    year, month, day = date
    return list(_days(year, month, day) if day else _months(year, month))


def _date(text: str) -> tuple[int, int, int] | None:
    """Return year, month and day, which is 0 if only a month is given."""
    for written in _WRITTEN:
        if match := written.fullmatch(text):
            parts = match.groupdict()
            month = int(parts["number"]) if parts.get("number") else _month(parts["month"])
            day = int(parts.get("day") or 0)
            return (int(parts["year"]), month, day) if 1 <= month <= 12 and day <= 31 else None
    return None


def _month(name: str) -> int:
    """Return a month's number by its name or abbreviation; 0 for anything else."""
    return next((number for number, month in enumerate(MONTHS, 1) if name in _named(month)), 0)


def _named(month: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((month, month[:3], month[:4])))


def _days(year: int, month: int, day: int) -> Iterator[tuple[str, bool]]:
    for named in _named(MONTHS[month - 1]):
        for written in (str(day), _ordinal(day)):
            yield f"{named} {written}, {year}", True
            yield f"{written} {named} {year}", True
            yield f"{year} {named} {written}", True
            yield f"{written} {named} in {year}", True
            yield f"{named} {written} in {year}", True
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


def _ordinal(number: int) -> str:
    """Return a number with its ending: 1st, 12th."""
    ending = "th" if 11 <= number <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
