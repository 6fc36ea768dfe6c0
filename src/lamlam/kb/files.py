"""Facts from files into a knowledge base, and from it into files.

Three formats, told by a file's ending. `.jsonl`: JSON Lines, with sources and aliases; what is exported so comes back
whole. `.csv`: the columns entity, relation and value. `.json`: the paper's, whose `triplets` are the facts. The latter
two hold propositions only. History, tombstones and ids stay in the knowledge base.
"""

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from lamlam.corpus.corpus import FactRecord
from lamlam.corpus.files import fact_of, write_facts
from lamlam.corpus.lines import read_entries, read_object
from lamlam.errors import InputError
from lamlam.files import atomic_write
from lamlam.kb.fact import Fact
from lamlam.kb.names import checked
from lamlam.kb.store import KnowledgeBase
from lamlam.kb.writer import AddReport

__all__ = ["FORMATS", "export_file", "import_file"]

_LARGE = 1 << 22  # bytes, from which on a file is worth another process and another file
_HEAD = 1 << 20
_COLUMNS = ("entity", "relation", "value")

Row = tuple[int | None, FactRecord]


def import_file(
    kb: KnowledgeBase,
    path: str | Path,
    format: str | None = None,
    *,
    allow: bool = False,
    actor: str = "",
    reason: str = "",
    seen: Callable[[], object] = lambda: None,
) -> AddReport:
    """Add the facts of a file, in one transaction; `format` is one of `FORMATS`, or as the file's ending says.

    `seen` is called for each row. What was forgotten is refused and told, unless `allow` lets it in. Raises
    `InputError`, with file, line and field, for a bad row; nothing is imported then.
    """
    source = Path(path)
    read = _READERS[_format(source, format)]
    line: int | None = None

    def records() -> Iterator[FactRecord]:
        nonlocal line
        for row in read(source):
            line = row[0]
            yield row[1]
            seen()

    try:
        if source.is_file() and source.stat().st_size >= _LARGE:
            return kb.load(records(), identity=_identity(source), allow=allow, actor=actor, reason=reason)
        return kb.add(records(), allow=allow, actor=actor, reason=reason)
    except InputError as error:
        if error.path is not None:
            raise
        raise InputError(error.reason, path=source, line=line, field=error.field) from error


def export_file(
    kb: KnowledgeBase, path: str | Path, format: str | None = None, *, seen: Callable[[], object] = lambda: None
) -> int:
    """Write the facts that hold into a file, in the order of their ids; how many.

    The file appears whole or not at all. `seen` is called for each fact.
    """
    target = Path(path)
    writer = _WRITERS[_format(target, format)]
    count = 0

    def facts() -> Iterator[Fact]:
        nonlocal count
        for fact in kb.facts():
            yield fact
            count += 1
            seen()

    writer(kb, facts(), target)
    return count


def _identity(path: Path) -> str:
    """What tells a file from another, or from what it was before: its size, time, beginning and end."""
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(_HEAD))
        file.seek(-min(_HEAD, path.stat().st_size), os.SEEK_END)
        digest.update(file.read(_HEAD))
    return f"{path.stat().st_size} {path.stat().st_mtime_ns} {digest.hexdigest()}"


def _format(path: Path, format: str | None) -> str:
    if format is None and path.suffix.removeprefix(".") not in FORMATS:
        raise InputError("must end in .jsonl, .csv or .json, or its format must be given", path=path)
    chosen = format or path.suffix.removeprefix(".")
    if chosen not in FORMATS:
        raise InputError(f"there is no format '{chosen}': choose among {', '.join(FORMATS)}", field="format")
    return chosen


# Reading


def _read_jsonl(path: Path) -> Iterator[Row]:
    return ((entry.line, fact_of(entry)) for entry in read_entries(path))


def _read_csv(path: Path) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _csv_rows(file, path)
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise InputError(reason, path=path) from error


def _csv_rows(file: TextIO, path: Path) -> Iterator[Row]:
    rows = _numbered(file, path)
    _, columns = next(rows, (1, []))
    if sorted(columns) != sorted(_COLUMNS):
        raise InputError(f"the first line must name the columns {', '.join(_COLUMNS)}", path=path, line=1)
    for line, fields in rows:
        if len(fields) != len(columns):
            raise InputError(f"has {len(fields)} fields, not {len(columns)}", path=path, line=line)
        entity, relation, value = (fields[columns.index(name)] for name in _COLUMNS)
        yield line, FactRecord(entity, relation, value)


def _numbered(file: TextIO, path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file that are not blank, each with the line where it begins."""
    reader = csv.reader(file, strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8", path=path, line=line) from error
    except csv.Error as error:
        raise InputError(f"is no CSV ({error})", path=path, line=line) from error


def _read_paper(path: Path) -> Iterator[Row]:
    triplets = read_object(path).value.get("triplets")
    if not isinstance(triplets, list):
        raise InputError("must be a list of [entity, relation, value]", path=path, field="triplets")
    for index, triplet in enumerate(triplets):
        field = f"triplets[{index}]"
        if not isinstance(triplet, list) or len(triplet) != len(_COLUMNS):
            raise InputError("must be [entity, relation, value]", path=path, field=field)
        try:
            entity, relation, value = (
                checked(part, f"{field}.{name}") for name, part in zip(_COLUMNS, triplet, strict=True)
            )
        except InputError as error:
            raise InputError(error.reason, path=path, field=error.field) from error
        yield None, FactRecord(entity, relation, value)


# Writing


def _write_jsonl(kb: KnowledgeBase, facts: Iterator[Fact], path: Path) -> None:
    write_facts(_records(kb, facts), path)


def _records(kb: KnowledgeBase, facts: Iterator[Fact]) -> Iterator[FactRecord]:
    """A record for each source of a fact, or one without; aliases go with the first record of what they name."""
    aliases: dict[tuple[str, str], list[str]] = {}
    for kind, alias, name in kb.aliases():
        aliases.setdefault((kind, name), []).append(alias)
    for fact in facts:
        for source in fact.sources or (None,):
            yield FactRecord(
                fact.entity,
                fact.relation,
                fact.value,
                document=source.document if source else None,
                start=source.start if source else None,
                end=source.end if source else None,
                entity_aliases=tuple(aliases.pop(("entity", fact.entity), ())),
                relation_aliases=tuple(aliases.pop(("relation", fact.relation), ())),
            )


def _write_csv(kb: KnowledgeBase, facts: Iterator[Fact], path: Path) -> None:
    with atomic_write(path) as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows((fact.entity, fact.relation, fact.value) for fact in facts)


def _write_paper(kb: KnowledgeBase, facts: Iterator[Fact], path: Path) -> None:
    triplets = [(fact.entity, fact.relation, fact.value) for fact in facts]
    names = [list(dict.fromkeys(triplet[at] for triplet in triplets)) for at in range(3)]
    database = dict(zip(("entities", "relationships", "return_values"), names, strict=True)) | {"triplets": triplets}
    with atomic_write(path) as file:
        json.dump(database, file, ensure_ascii=False)


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {"jsonl": _read_jsonl, "csv": _read_csv, "json": _read_paper}
_WRITERS: dict[str, Callable[[KnowledgeBase, Iterator[Fact], Path], None]] = {
    "jsonl": _write_jsonl,
    "csv": _write_csv,
    "json": _write_paper,
}
FORMATS = tuple(_READERS)
