r"""Calls as Python-like text: `[dblookup('E', 'R') -> V] `.

In the quotes `\'` stands for an apostrophe, in the value `\[` and `\]` for brackets, and `\\` for a backslash in both;
all other characters stand for themselves, line ends too. A `[dblookup(` that is meant as plain text has a backslash
before it; `notation` says how backslashes before it are counted and which space a call owns.

Language models that write calls do not keep to this. A lenient parse reads as well: bare apostrophes
(`'King's College'`), double quotes, `\'` or balanced brackets in a value, `')]` for `')`, other or no spaces between
the parts, no space behind the call. Rendering writes them well-formed.
"""

from lamlam.markup.document import AnnotatedDocument, Call, MarkupError
from lamlam.markup.notation import CallText, Notation

__all__ = ["parse", "render"]

_OPENER = "[dblookup("
_QUOTES = ("'", '"')


def parse(text: str, *, id: str = "", lenient: bool = False) -> AnnotatedDocument:
    """The document that `text` denotes, under the given id.

    Raises `MarkupError` where a `[dblookup(` begins no well-formed call. When `lenient`, the spellings that models use
    are read too, and what is no call even so is kept as plain text.
    """
    return _NOTATION.parse(text, id, lenient)


def render(document: AnnotatedDocument) -> str:
    """The document with its calls; `parse` gives it back, but for its id."""
    return _NOTATION.render(document)


def _write_call(call: Call) -> str:
    entity, relation = (_escaped(field, "\\'") for field in (call.entity, call.relation))
    value = _escaped(call.value, "\\[]")
    return f"{_OPENER}'{entity}', '{relation}') -> {value}]"


def _escaped(field: str, characters: str) -> str:
    return "".join("\\" + char if char in characters else char for char in field)


def _read_call(text: str, start: int, lenient: bool) -> CallText:
    try:
        return _read_well_formed(text, start)
    except MarkupError as error:
        variant = _read_variant(text, start) if lenient else None
        if variant is None:
            raise error
        return variant


def _read_well_formed(text: str, start: int) -> CallText:
    position = _expect(text, start, _OPENER + "'")
    entity, position = _read_field(text, position, "'", "\\'")
    position = _expect(text, position, "', '")
    relation, position = _read_field(text, position, "'", "\\'")
    position = _expect(text, position, "') -> ")
    value, position = _read_field(text, position, "]", "\\[]")
    return CallText(entity, relation, value, position + 1)


def _expect(text: str, position: int, expected: str) -> int:
    if not text.startswith(expected, position):
        raise MarkupError(f"a call must go on with {expected} here", position)
    return position + len(expected)


def _read_field(text: str, position: int, stop: str, escapable: str) -> tuple[str, int]:
    """An escaped field and where its `stop` stands; `escapable` characters need a backslash, and only they have one."""
    start = position
    pieces: list[str] = []
    while position < len(text):
        char = text[position]
        if char == stop:
            return "".join(pieces), position
        if char == "\\":
            position += 1
            char = text[position : position + 1]
            if not char or char not in escapable:
                raise MarkupError("a backslash that escapes nothing", position - 1)
        elif char in escapable:
            raise MarkupError(f"a {char} without a backslash before it", position)
        pieces.append(char)
        position += 1
    raise MarkupError(f"a field without its closing {stop}", start)


def _read_variant(text: str, start: int) -> CallText | None:
    """A call as models spell it, up to the next call's opener; None where there is none."""
    limit = text.find(_OPENER, start + 1)
    call = text[start : limit if limit >= 0 else len(text)]
    entity = _find_quoted(call, len(_OPENER), (",", _QUOTES))
    relation = _find_quoted(call, entity[1] - 1, (")", "->")) if entity else None
    if entity is None or relation is None:
        return None
    value_start = relation[1] + call.startswith(" ", relation[1])
    value_end = _find_value_end(call, value_start)
    if value_end < 0:
        return None
    spans = ((len(_OPENER) + 1, entity[0]), (entity[1], relation[0]), (value_start, value_end))
    entity_text, relation_text, value = (_unescape(call[first:last]) for first, last in spans)
    return CallText(entity_text, relation_text, value, start + value_end + 1)


def _find_quoted(call: str, start: int, then: tuple[str | tuple[str, ...], ...]) -> tuple[int, int] | None:
    """Where the field closes whose quote opens at `start`, and where what must follow it, `then`, ends."""
    quote = call[start : start + 1]
    if quote not in _QUOTES:
        return None
    end = call.find(quote, start + 1)
    while end >= 0:
        position = _skip(call, end + 1, then)
        if position >= 0 and call[end - 1] != "\\":
            return end, position
        end = call.find(quote, end + 1)
    return None


def _skip(call: str, position: int, parts: tuple[str | tuple[str, ...], ...]) -> int:
    """The position behind `parts`, before which spaces or a stray bracket may stand; -1 where they do not follow."""
    for part in parts:
        while call.startswith((" ", "]"), position):
            position += 1
        if not call.startswith(part, position):
            return -1
        position += len(part) if isinstance(part, str) else 1
    return position


def _find_value_end(call: str, start: int) -> int:
    """The bracket that closes the value: the one that balances, where its line has one, else the first."""
    depth, position = 0, start
    while position < len(call) and call[position] != "\n":
        if call[position] == "\\":
            position += 1
        elif call[position] == "[":
            depth += 1
        elif call[position] == "]":
            if depth == 0:
                return position
            depth -= 1
        position += 1
    return call.find("]", start)


def _unescape(field: str) -> str:
    pieces: list[str] = []
    position = 0
    while position < len(field):
        if field[position] == "\\" and field[position + 1 : position + 2] in ("\\", "'", '"', "[", "]"):
            position += 1
        pieces.append(field[position])
        position += 1
    return "".join(pieces)


_NOTATION = Notation((_OPENER,), _read_call, _write_call)
