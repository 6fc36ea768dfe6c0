"""Validation of request bodies: JSON or CSV, in valid Unicode.

An accepted body is safe to parse again: no lone surrogates, which neither databases nor responses can hold; no numbers
beyond 64 bits; no duplicate fields; no deep nesting.
"""

import json
import math
from collections.abc import Iterator
from typing import Any

from lamlam.serve.errors import Fault

__all__ = ["check_body"]

_JSON, _CSV = "application/json", "text/csv"
_DEEPEST = 16


def check_body(body: bytes, content_type: str) -> None:
    """Raise `Fault`, 415 or 422, for an invalid body."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (_JSON, _CSV):
        raise Fault(415, f"a body must be {_JSON}, or {_CSV} for a table")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Fault(422, f"the body is not UTF-8 at byte {error.start}") from None
    if kind == _JSON:
        _check_json(text)


def _check_json(text: str) -> None:
    try:
        said = json.loads(
            text, parse_int=_whole_number, parse_float=_number, parse_constant=_number, object_pairs_hook=_object
        )
    except json.JSONDecodeError as error:
        raise Fault(422, f"the body is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise _too_deep() from None
    for part in _texts(said):
        if not part.isascii() and any("\ud800" <= letter <= "\udfff" for letter in part):
            raise Fault(422, "the body contains a lone surrogate, which is not valid Unicode")


def _number(written: str) -> float:
    """Also called for NaN and Infinity, which are not JSON."""
    value = float(written)
    if not math.isfinite(value):
        raise Fault(422, "the body contains an invalid or too large number")
    return value


def _whole_number(written: str) -> float:
    value = _number(written)
    if abs(value) >= 2**63:
        raise Fault(422, "the body contains a number of more than 64 bits")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Fault(422, "the body has a duplicate field")
    return fields


def _texts(said: Any) -> Iterator[str]:
    """Yield all strings, field names included."""
    rest = [(said, 1)]
    while rest:
        part, depth = rest.pop()
        if depth > _DEEPEST:
            raise _too_deep()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            yield from part
            rest.extend((each, depth + 1) for each in part.values())
        elif isinstance(part, list):
            rest.extend((each, depth + 1) for each in part)


def _too_deep() -> Fault:
    return Fault(422, f"the body is nested more than {_DEEPEST} deep")
