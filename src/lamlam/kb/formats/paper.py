"""The paper's JSON: one object whose `triplets` are the facts, read as a stream, however large the file."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import ijson

from lamlam.corpus.corpus import FactRecord
from lamlam.errors import InputError
from lamlam.files import atomic_write
from lamlam.kb.fact import Fact
from lamlam.kb.formats.opened import opened
from lamlam.kb.formats.row import InputFile, Reading, Rows, vetted

if TYPE_CHECKING:
    from lamlam.kb.view import View

__all__ = ["read_paper", "write_paper"]

_PARTS = ("entity", "relation", "value")
_CHUNK = 1 << 16

# Events and not `ijson.items`: that one joins the keys above each event, which for deep nesting takes all the memory.
_Events = Iterator[tuple[str, Any]]


def read_paper(file: InputFile, reading: Reading) -> Rows:
    """The triplets of a file. Raises `InputError`, with the line, where it is no whole JSON."""
    try:
        with opened(file.path, reading.seen) as raw:
            yield from _rows(ijson.basic_parse(_Unmarked(raw), buf_size=_CHUNK), file.path)
    except (ijson.JSONError, ValueError) as error:
        reason, line = _broken(file.path)
        raise InputError(f"is no whole JSON ({reason})", path=file.path, line=line) from error


def _rows(events: _Events, path: Path) -> Rows:
    if next(events)[0] != "start_map":
        raise InputError("is no JSON object", path=path)
    found = False
    for event, key in events:
        if event == "map_key" and key == "triplets":
            found = True
            if next(events)[0] != "start_array":
                raise InputError("must be a list of [entity, relation, value]", path=path, field="triplets")
            yield from _triplets(events, path)
        elif event == "map_key":
            _skip(events, next(events)[0])
    if not found:
        raise InputError("must be a list of [entity, relation, value]", path=path, field="triplets")


def _triplets(events: _Events, path: Path) -> Rows:
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
        if len(parts) == len(_PARTS) and None not in parts:
            yield vetted(path, None, FactRecord(*parts), f"triplets[{index}].")
        else:
            yield _wrong(index, path, parts)


def _skip(events: _Events, event: str) -> None:
    """Pass over a value whose first event was read already."""
    depth = 0
    while (depth := depth + event.startswith("start_") - event.startswith("end_")) > 0:
        event = next(events)[0]


def _wrong(index: int, path: Path, parts: list[str | None] | None = None) -> InputError:
    field = f"triplets[{index}]"
    if parts is None or len(parts) != len(_PARTS):
        return InputError("must be [entity, relation, value]", path=path, field=field)
    return InputError("must be text", path=path, field=f"{field}.{_PARTS[parts.index(None)]}")


def _broken(path: Path) -> tuple[str, int | None]:
    """What the parser says of a broken file, and the line: read once more, a line at a time, which is slow."""
    with opened(path) as raw:
        lines = _Unmarked(raw, by_line=True)
        try:
            for _ in ijson.basic_parse(lines, buf_size=_CHUNK):
                pass
        except (ijson.JSONError, ValueError) as error:
            told = str(error).removeprefix("b'").removeprefix('b"').splitlines()[0]
            return told.partition("\\n")[0].split(": ", 1)[-1], max(lines.line, 1)
    return "it changed while it was read", None


class _Unmarked:
    """Bytes without the mark that some programs put before UTF-8; at a line's pace, and with its number, if need be."""

    def __init__(self, raw: BinaryIO, *, by_line: bool = False) -> None:
        self._raw, self._by_line = raw, by_line
        self.line, self._ended = 0, True
        self._begun = False

    def read(self, size: int = -1) -> bytes:
        if size == 0:
            return b""
        block = self._raw.readline(size) if self._by_line else self._raw.read(size)
        if not self._begun:
            self._begun = True
            block = block.removeprefix(codecs.BOM_UTF8)
        self.line += self._ended and block != b""
        self._ended = block.endswith(b"\n") if block else self._ended
        return block


def write_paper(kb: "View", facts: Iterator[Fact], path: Path) -> None:
    names: list[dict[str, None]] = [{}, {}, {}]
    with atomic_write(path) as file:
        file.write('{"triplets": [')
        for count, fact in enumerate(facts):
            triplet = (fact.entity, fact.relation, fact.value)
            for seen, name in zip(names, triplet, strict=True):
                seen[name] = None
            file.write(("," if count else "") + "\n" + json.dumps(triplet, ensure_ascii=False))
        file.write("\n]")
        for key, seen in zip(("entities", "relationships", "return_values"), names, strict=True):
            file.write(f', "{key}": {json.dumps(list(seen), ensure_ascii=False)}')
        file.write("}\n")
