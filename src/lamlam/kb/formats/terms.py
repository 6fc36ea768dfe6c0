"""Triples and terms of RDF as people read them: names from IRIs, dates, numbers, coordinates.

The library that knows the grammar is optional: the extra `rdf` brings it.
"""

import calendar
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lamlam.errors import InputError, needs_extra
from lamlam.text import readable, spaced

__all__ = ["date_text", "entity_name", "literal_text", "local_name", "parse", "rdf_library", "relation_name"]

_BLOCK = 1 << 17
_XSD = "http://www.w3.org/2001/XMLSchema#"
_NUMBERS = {"integer", "decimal", "double", "float", "int", "long", "short", "byte", "nonNegativeInteger",
            "positiveInteger", "nonPositiveInteger", "negativeInteger", "unsignedInt", "unsignedLong",
            "unsignedShort", "unsignedByte"}  # fmt: skip
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_DATE = re.compile(r"([+-]?\d{1,12})(?:-(\d\d)(?:-(\d\d))?)?(?:T(\d\d:\d\d)(:\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?")
_YEARLESS = re.compile(r"--(\d\d)(?:-(\d\d))?(?:Z|[+-]\d\d:\d\d)?")
_CENTURY, _DECADE, _YEAR, _MONTH, _DAY, _TIME = 7, 8, 9, 10, 11, 14  # Wikidata's precisions
_PRECISION = {"gYear": _YEAR, "gYearMonth": _MONTH, "date": _DAY, "dateTime": _TIME, "dateTimeStamp": _TIME}
_POINT = re.compile(r"Point\(\s*([-+.\deE]{1,30})\s+([-+.\deE]{1,30})\s*\)", re.IGNORECASE)
_RESOURCE = re.compile(r"https?://[^/]+/resource/(.+)", re.DOTALL)
_PAGE = re.compile(r"[?=]|\.(?:html?|xhtml|php|aspx?|jsp|cgi|pdf|txt|xml|json|rdf|ttl|nt|jpe?g|png|gif|svg|webp)$",
                   re.IGNORECASE)  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def rdf_library() -> Any:
    """Import `pyoxigraph`. Raises `LamLamError` if it is not installed."""
    with needs_extra("rdf", "an N-Triples file"):
        import pyoxigraph
    return pyoxigraph


def parse(lines: Iterable[bytes], path: Path) -> Iterator[tuple[int, Any] | InputError]:
    """Yield the triples with their lines: by the block, for speed, and by the line if one is not a triple a line."""
    library, rest = rdf_library(), iter(lines)
    form = library.RdfFormat.N_TRIPLES
    first = 1
    while block := _block(rest):
        try:
            triples = list(library.parse(b"".join(block), format=form))
        except SyntaxError:
            triples = []
        if len(triples) == len(block):
            yield from enumerate(triples, first)
        else:
            yield from _by_line(block, first, path)
        first += len(block)


def _by_line(block: list[bytes], first: int, path: Path) -> Iterator[tuple[int, Any] | InputError]:
    library = rdf_library()
    for number, line in enumerate(block, first):
        try:
            for triple in library.parse(line, format=library.RdfFormat.N_TRIPLES):
                yield number, triple
        except SyntaxError as error:
            reason = str(error.msg).splitlines()[0].partition(": ")[2] or "broken"
            yield InputError(f"is not a valid N-Triple ({reason.removesuffix(' (line 1)')})", path=path, line=number)


def _block(lines: Iterator[bytes]) -> list[bytes]:
    block, size = [], 0
    for line in lines:
        block.append(line)
        size += len(line)
        if size >= _BLOCK:
            break
    return block


def local_name(iri: str) -> str:
    """Return what tells an IRI from others of its kind: all behind `/resource/` or `#`, else behind the last `/`.

    Of an IRI without slashes, such as urn:isbn:0451450523, that is what follows the last colon. May be empty.
    """
    if found := _RESOURCE.fullmatch(iri):
        return found[1]
    if "#" in iri:
        return iri.partition("#")[2]
    return iri.rpartition("/" if "/" in iri else ":")[2]


def entity_name(iri: str) -> str:
    """Make a name from an IRI's own letters, with the spaces and signs that it had; return an address that names
    nothing whole."""
    local = local_name(iri)
    if not _RESOURCE.fullmatch(iri):
        deep = "#" in iri or iri.count("/") > 3 or not iri.startswith(("http://", "https://"))
        if not deep or _PAGE.search(local):
            return iri
    return spaced(_decoded(local)) or iri


def relation_name(iri: str) -> str:
    """Make words from a property's IRI: `birthPlace` is read as `birth place`."""
    local = local_name(iri).rpartition("/")[2]
    return readable(_decoded(local)) or iri


def _decoded(text: str) -> str:
    """Remove percent-encoding that hides text."""
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text
    return text if _CONTROL.search(decoded) else decoded


def literal_text(text: str, datatype: str) -> str:
    """Return a literal's text: a date in words, a number without redundant signs, a point as latitude and longitude."""
    kind = datatype.removeprefix(_XSD) if datatype.startswith(_XSD) else ""
    if kind in _NUMBERS:
        return _number(text)
    if kind in _PRECISION:
        return date_text(text, _PRECISION[kind])
    if kind in ("gMonth", "gMonthDay"):
        return _yearless(text)
    if datatype.endswith("wktLiteral") and (point := _POINT.search(text)):
        return f"{_number(point[2])}, {_number(point[1])}"
    return " ".join(text.split())


def _number(text: str) -> str:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return text
    if not number.is_finite() or abs(number.adjusted()) > 20:
        return text
    plain = f"{number:f}" if number else "0"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def date_text(text: str, precision: int = _TIME) -> str:
    """Write a date in words; return text that is not a date as it is.

    `precision` is Wikidata's: 7 a century, 8 a decade, 9 a year, 10 a month, 11 a day, 14 a second. Years are those of
    XSD 1.1: 0000 is 1 BC. A month or day of 00, as in older data of Wikidata, is unknown.
    """
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return text
    year, month, day, clock = int(match[1]), int(match[2] or 0), int(match[3] or 0), match[4]
    if not _is_day(year, month, day):
        return text
    if precision < _YEAR and year > 0:
        return _span(year, precision)
    return " ".join(
        (
            *([str(day)] if day and precision >= _DAY else []),
            *([_MONTHS[month - 1]] if month and precision >= _MONTH else []),
            str(year) if year > 0 else f"{1 - year} BC",
            *([clock] if clock and clock != "00:00" and precision >= _TIME else []),
        )
    )


def _span(year: int, precision: int) -> str:
    """Return the decade or the century of a year; the year itself if it is less exact still."""
    if precision == _DECADE:
        return f"{year // 10 * 10}s"
    if precision != _CENTURY:
        return str(year)
    century = (year + 99) // 100
    ending = "th" if century % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(century % 10, "th")
    return f"{century}{ending} century"


def _is_day(year: int, month: int, day: int) -> bool:
    """Whether there is such a day, or month, or year; 0 stands for an unknown part."""
    if month == 0:
        return day == 0
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return month <= 12 and day <= calendar.monthrange(2000 if leap else 2001, month)[1]


def _yearless(text: str) -> str:
    """Write a day of every year, or a month, in words."""
    match = _YEARLESS.fullmatch(text.strip())
    if match is None or not 1 <= int(match[1]) <= 12 or not _is_day(4, int(match[1]), int(match[2] or 0)):
        return text
    return " ".join(filter(None, (match[2] and str(int(match[2])), _MONTHS[int(match[1]) - 1])))
