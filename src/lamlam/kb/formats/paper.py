r"""The paper's JSON: one object whose `triplets` are the facts, read as a stream, however large the file.

Names and values are spelt in it as in `dblookup` calls, from which they were taken: `Ada\'s Band` is Ada's Band. A
backslash counts before a quote, a bracket and another backslash, and nowhere else.
"""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import ijson

from lamlam.corpus.corpus import FactRecord
from lamlam.corpus.lines import opened
from lamlam.errors import InputError
from lamlam.files import atomic_write
from lamlam.kb.fact import Fact
from lamlam.kb.formats.row import ImportContext, InputFile, Rows, vetted

if TYPE_CHECKING:
    from lamlam.kb.view import View

__all__ = ["read_paper", "write_paper"]

_PARTS = ("entity", "relation", "value")
_CHUNK = 1 << 16
_PAIR = 12
_ESCAPED = re.compile(r"\\([\\'\"\[\]])")
_TO_ESCAPE = re.compile(r"\\(?=[\\'\"\[\]])")
_ESCAPE = re.compile(rb"\\\\|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F])", re.DOTALL)

# Events and not `ijson.items`: that one joins the keys above each event, which for deep nesting takes all the memory.
_Events = Iterator[tuple[str, Any]]


def read_paper(file: InputFile, reading: ImportContext) -> Rows:
    """Yield the triplets of a file. Raises `InputError`, with the line, if it is not whole JSON."""
    try:
        with opened(file.path, reading.on_progress) as raw:
            blocks = _Blocks(raw)
            yield from _rows(ijson.basic_parse(blocks, buf_size=_CHUNK), blocks, file.path)
    except (ijson.JSONError, ValueError) as error:
        reason, line = _broken(file.path) if file.path.is_file() else (_message(error), None)
        raise InputError(f"is no whole JSON ({reason})", path=file.path, line=line) from error


def _rows(events: _Events, blocks: "_Blocks", path: Path) -> Rows:
    if next(events)[0] != "start_map":
        raise InputError("is no JSON object", path=path)
    found = False
    for event, key in events:
        if event == "map_key" and key == "triplets":
            found = True
            if next(events)[0] != "start_array":
                raise InputError("must be a list of [entity, relation, value]", path=path, field="triplets")
            yield from _triplets(events, blocks, path)
        elif event == "map_key":
            _skip(events, next(events)[0])
    if not found:
        raise InputError("must be a list of [entity, relation, value]", path=path, field="triplets")


def _triplets(events: _Events, blocks: "_Blocks", path: Path) -> Rows:
    for index, (event, _) in enumerate(events):
        if event == "end_array":
            return
        if event != "start_array":
            _skip(events, event)
            yield _wrong(index, path)
            continue
        parts: list[Any] = []  # None in the place of what is no text
        for inner, part in events:
            if inner == "end_array":
                break
            parts.append(part if inner == "string" else None)
            if inner.startswith("start_"):
                _skip(events, inner)
        if blocks.halved and any("?" in part for part in parts if part):
            reason = "may hold half of a surrogate pair, which is no character"
            yield InputError(reason, path=path, field=f"triplets[{index}]")
        elif len(parts) == len(_PARTS) and None not in parts:
            entity, relation, value = (_ESCAPED.sub(r"\1", part) if "\\" in part else part for part in parts)
            yield vetted(path, None, FactRecord(entity, relation, value), f"triplets[{index}].")
        else:
            yield _wrong(index, path, parts)


def _skip(events: _Events, event: str) -> None:
    """Skip a value whose first event was read already."""
    depth = 0
    while (depth := depth + event.startswith("start_") - event.startswith("end_")) > 0:
        event = next(events)[0]


def _wrong(index: int, path: Path, parts: list[str | None] | None = None) -> InputError:
    field = f"triplets[{index}]"
    if parts is None or len(parts) != len(_PARTS):
        return InputError("must be [entity, relation, value]", path=path, field=field)
    return InputError("must be text", path=path, field=f"{field}.{_PARTS[parts.index(None)]}")


def _broken(path: Path) -> tuple[str, int | None]:
    """Return what the parser says about a broken file, and the line: read once more, a line at a time, which is
    slow."""
    with opened(path) as raw:
        lines = _Lines(raw)
        try:
            for _ in ijson.basic_parse(lines, buf_size=_CHUNK):
                pass
        except (ijson.JSONError, ValueError) as error:
            return _message(error), max(lines.line, 1)
    return "it changed while it was read", None


def _message(error: Exception) -> str:
    message = str(error).removeprefix("b'").removeprefix('b"').splitlines()[0]
    return message.partition("\\n")[0].split(": ", 1)[-1]


class _Blocks:
    """The bytes of a file for the parser, without the mark that some programs put before UTF-8.

    `halved` says whether an escape for half of a surrogate pair was among them, which the parser reads as "?".
    """

    def __init__(self, raw: BinaryIO) -> None:
        self._raw, self._begun, self._rest = raw, False, b""
        self.halved = False

    def read(self, size: int) -> bytes:
        if size == 0:
            return b""
        block = self._raw.read(size)
        if not self._begun:
            self._begun, block = True, block.removeprefix(codecs.BOM_UTF8)
        text = self._rest + block
        if block and len(text) <= _PAIR:
            text += self._raw.read()
        sure = self._checked(text, len(text) - _PAIR if block else len(text))
        self._rest = text[sure:]
        return text[:sure]

    def _checked(self, text: bytes, sure: int) -> int:
        """Look for halves up to a place behind which an escape may continue in the next block; return that place, or
        one further."""
        for match in _ESCAPE.finditer(text) if b"\\u" in text else ():
            if match.start() >= sure:
                break
            self.halved = self.halved or match[1] is not None
            sure = max(sure, match.end())
        return sure


class _Lines:
    """The bytes of a file for the parser, a line at a time, and the line's number."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw, self._ended, self.line = raw, True, 0

    def read(self, size: int) -> bytes:
        block = self._raw.readline(size)
        self.line += self._ended and block != b""
        self._ended = block.endswith(b"\n") if block else self._ended
        return block.removeprefix(codecs.BOM_UTF8) if self.line == 1 else block


def write_paper(kb: "View", facts: Iterator[Fact], path: Path) -> None:
    names: list[dict[str, None]] = [{}, {}, {}]
    with atomic_write(path) as file:
        file.write('{"triplets": [')
        for count, fact in enumerate(facts):
            triplet = [_TO_ESCAPE.sub(r"\\\\", part) for part in (fact.entity, fact.relation, fact.value)]
            for seen, name in zip(names, triplet, strict=True):
                seen[name] = None
            file.write(("," if count else "") + "\n" + json.dumps(triplet, ensure_ascii=False))
        file.write("\n]")
        for key, seen in zip(("entities", "relationships", "return_values"), names, strict=True):
            file.write(f', "{key}": {json.dumps(list(seen), ensure_ascii=False)}')
        file.write("}\n")
