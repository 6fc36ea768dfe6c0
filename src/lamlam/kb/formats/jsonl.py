"""JSON Lines: facts with sources and aliases, an object a line (`corpus.files` says what is in one)."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lamlam.corpus.corpus import FactRecord
from lamlam.corpus.files import fact_of, write_facts
from lamlam.corpus.lines import Entry, once, opened, parse_line
from lamlam.errors import InputError
from lamlam.kb.fact import Fact
from lamlam.kb.formats.row import ImportContext, InputFile, Row, Rows, records, unread_field, vetted

if TYPE_CHECKING:
    from lamlam.kb.view import View

__all__ = ["read_jsonl", "write_jsonl"]

_QUOTED = (b'"entity"', b'"relation"', b'"value"')
_decode = json.JSONDecoder().decode


def read_jsonl(file: InputFile, reading: ImportContext) -> Rows:
    """Yield the facts of a file; a line that cannot be read becomes an error in its place."""
    path = file.path
    with opened(path, reading.on_progress) as lines:
        for number, raw in enumerate(lines, start=1):
            try:
                value = _decode(raw.decode())
                # The shape that nearly all lines of a large file have; all others, bad ones too, take the long way.
                if len(value) == 3 and type(value) is dict and not any(raw.count(name) > 1 for name in _QUOTED):
                    entity, relation, text = value["entity"], value["relation"], value["value"]
                    if type(entity) is type(relation) is type(text) is str:
                        yield vetted(path, number, FactRecord(entity, relation, text))
                        continue
            except (ValueError, TypeError, KeyError, RecursionError):
                value = None
            row = _row(raw, value, path, number, reading.ignored)
            if row is not None:
                yield row


def _row(raw: bytes, value: object, path: Path, number: int, ignored: Counter[str]) -> Row | InputError | None:
    try:
        entry = Entry(value, path, number) if isinstance(value, dict) else parse_line(raw, path, number)
        if entry is None:
            return None
        if any(raw.count(name) > 1 for name in _QUOTED):
            json.loads(raw, object_pairs_hook=once)
        unread: list[str] = []
        row = vetted(path, number, fact_of(entry, unread.append))
    except InputError as error:
        return InputError(error.reason, path=path, line=number, field=error.field)
    for field in unread:
        ignored[unread_field(field, ignored)] += 1
    return row


def write_jsonl(kb: "View", facts: Iterator[Fact], path: Path) -> None:
    write_facts(records(kb, facts), path)
