"""RDF terms as people read them: the local names of IRIs, dates, numbers, coordinates."""

import re
from decimal import Decimal, InvalidOperation
from urllib.parse import unquote

from lamlam.corpus.webnlg import readable, spaced

__all__ = ["entity_name", "literal_text", "local_name", "relation_name"]

_XSD = "http://www.w3.org/2001/XMLSchema#"
_NUMBERS = {"integer", "decimal", "double", "float", "int", "long", "short", "byte", "nonNegativeInteger",
            "positiveInteger", "nonPositiveInteger", "negativeInteger", "unsignedInt", "unsignedLong",
            "unsignedShort", "unsignedByte"}  # fmt: skip
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_DATE = re.compile(r"([+-]?)(\d{1,12})(?:-(\d\d)(?:-(\d\d))?)?(?:T(\d\d:\d\d)(:\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?")
_POINT = re.compile(r"Point\(\s*([-+.\deE]{1,30})\s+([-+.\deE]{1,30})\s*\)", re.IGNORECASE)
_PAGE = re.compile(r"\.[A-Za-z]{2,5}$|[?=&]")


def local_name(iri: str) -> str:
    """What stands behind an IRI's last `#`, `/` or `:`; empty where nothing does."""
    return re.split(r"[#/:]", iri)[-1]


def entity_name(iri: str) -> str:
    """A name from an IRI's own letters, with the spaces and signs that it had; an address that names nothing, whole."""
    local = local_name(iri)
    deep = "#" in iri or iri.count("/") > 3 or not iri.startswith(("http://", "https://"))
    if not deep or _PAGE.search(local):
        return iri
    return spaced(unquote(local)) or iri


def relation_name(iri: str) -> str:
    """Words from a property's IRI: `birthPlace` is read as `birth place`."""
    return readable(unquote(local_name(iri))) or iri


def literal_text(text: str, datatype: str) -> str:
    """A literal's text: a date in words, a number without signs that say nothing, a point as latitude and longitude."""
    kind = datatype.removeprefix(_XSD) if datatype.startswith(_XSD) else ""
    if kind in _NUMBERS:
        return _number(text)
    if kind in ("date", "dateTime", "gYear", "gYearMonth"):
        return _date(text)
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


def _date(text: str) -> str:
    match = _DATE.fullmatch(text.strip())
    if match is None or not 1 <= int(match[3] or 1) <= 12:
        return text
    sign, year, month, day, clock, _ = match.groups()
    named = _MONTHS[int(month) - 1] if month else ""
    era, time = "BC" if sign == "-" else "", clock if clock != "00:00" else ""
    return " ".join(filter(None, (day and str(int(day)), named, str(int(year)), era, time)))
