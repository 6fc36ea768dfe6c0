"""Facts from files into a knowledge base and out of it, and whole knowledge bases from one database into another.

What is in a file, and how, is left to `kb.formats`. Export and import carry what holds now; `copy_database` carries
everything: ids, history, aliases, tombstones.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from lamlam.corpus.corpus import FactRecord
from lamlam.errors import InputError, LamLamError
from lamlam.kb.database import Database
from lamlam.kb.fact import Fact
from lamlam.kb.formats import FORMATS, ImportContext, InputFile, Mapping, find_files, format_of
from lamlam.kb.schema import INDEXES, LAYOUT, TableLayout
from lamlam.kb.sqlite import BESIDE
from lamlam.kb.store import KnowledgeBase
from lamlam.kb.verify import Namesakes
from lamlam.kb.writer import AddReport

__all__ = ["ImportReport", "OnError", "copy_database", "export_file", "import_file"]

OnError = Literal["stop", "skip"]

_LARGE = 1 << 22  # bytes, from which on files are worth another process and another file
_HEAD = 1 << 20

_BAD_ROWS_KEPT = 20
_ROWS_A_REPORT = 1000


@dataclass(frozen=True, slots=True)
class ImportReport(AddReport):
    """What an import added, and what it left out.

    `skipped` counts the bad rows, and `bad` holds the first of them. `ignored` counts, by kind, what is well-formed but
    states no fact that a knowledge base can hold. `namesakes` are entities that may be several of one name.
    """

    skipped: int = 0
    bad: tuple[InputError, ...] = ()
    ignored: dict[str, int] = field(default_factory=dict)
    namesakes: tuple[Namesakes, ...] = ()


def import_file(
    kb: KnowledgeBase,
    path: str | Path | Sequence[str | Path],
    format: str | None = None,
    *,
    on_error: OnError = "stop",
    mapping: Mapping | None = None,
    language: str = "en",
    allow: bool = False,
    actor: str = "",
    reason: str = "",
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> ImportReport:
    """Add the facts of a file, of several, or of those in a folder, in one transaction.

    `format` is one of `FORMATS`; by default the files' endings say it. `mapping` says how nested JSON is read; of texts
    in several languages, those in `language` are. `on_progress` gets the bytes read so far, and all there are. What was
    forgotten is refused and reported, unless `allow` lets it in. A bad row raises `InputError`, with file, line and
    field, and nothing is imported; with `on_error="skip"` it is skipped and reported.
    """
    if on_error not in ("stop", "skip"):
        raise InputError(f"must be stop or skip, not '{on_error}'", field="on_error")
    places = [path] if isinstance(path, str | Path) else path
    files = find_files(map(Path, places), format, mapping)
    reading = ImportContext(files, mapping, language, _counter(files, on_progress))
    intake, before = _Intake(reading, on_error), kb.revision
    try:
        if sum(file.path.stat().st_size for file in files) < _LARGE:
            added = kb.add(intake.records(), allow=allow, actor=actor, reason=reason)
        else:
            whole = all(file.path.is_file() for file in files)  # what is no file, as a pipe, can be read only once
            identity = _identity(files, on_error, mapping, language) if whole else None
            added = kb.load(intake.records(), identity=identity, allow=allow, actor=actor, reason=reason)
    finally:
        reading.close()
    return ImportReport(
        **{field.name: getattr(added, field.name) for field in fields(AddReport)},
        skipped=intake.skipped,
        bad=tuple(intake.bad),
        ignored=dict(reading.ignored),
        namesakes=kb.namesakes(before),
    )


def export_file(
    kb: KnowledgeBase, path: str | Path, format: str | None = None, *, on_progress: Callable[[], object] = lambda: None
) -> int:
    """Write the facts that hold into a file, in the order of their ids, and return how many.

    The file appears whole or not at all. `on_progress` is called for each fact. Raises `InputError` if the file would
    overwrite the knowledge base, or what SQLite keeps beside it.
    """
    target = Path(path)
    if kb.path is not None and _belongs_to(target, kb.path):
        raise InputError("is the knowledge base itself: export to another file", path=path)
    writer = FORMATS[format_of(target, format, written=True)].write
    assert writer is not None  # `format_of` sees to it
    count = 0

    def facts() -> Iterator[Fact]:
        nonlocal count
        for fact in kb.facts():
            yield fact
            count += 1
            on_progress()

    writer(kb, facts(), target)
    return count


def _belongs_to(target: Path, kb: Path) -> bool:
    """Whether a path is that of the knowledge base, whatever leads to it, or of a file that is kept beside it.

    Nothing is opened: closing it would drop the locks that SQLite holds.
    """
    if target.exists() and os.path.samefile(target, kb):
        return True
    there = target.parent.resolve() / target.name
    return any(there == Path(f"{file}{ending}") for file in (kb.resolve(), kb.absolute()) for ending in BESIDE)


def _identity(files: Sequence[InputFile], *settings: object) -> str:
    """Return what distinguishes an import from another: its files' formats, sizes, times, beginnings and ends, and the
    settings."""
    digest = hashlib.sha256(repr(settings).encode())
    for file in files:
        size, changed = file.path.stat().st_size, file.path.stat().st_mtime_ns
        digest.update(f" {file.format} {size} {changed} ".encode())
        with file.path.open("rb") as raw:
            digest.update(raw.read(_HEAD))
            raw.seek(max(0, size - _HEAD), os.SEEK_SET)
            digest.update(raw.read(_HEAD))
    return digest.hexdigest()


class _Intake:
    """The records of files; bad rows are raised, or skipped and counted."""

    def __init__(self, reading: ImportContext, on_error: OnError) -> None:
        self._reading, self._on_error = reading, on_error
        self.skipped = 0
        self.bad: list[InputError] = []

    def records(self) -> Iterator[FactRecord]:
        for file in self._reading.files:
            try:
                for row in FORMATS[file.format].read(file, self._reading):
                    if isinstance(row, InputError):
                        self._pass_over(row)
                    else:
                        yield row[1]
            except InputError as error:
                self._pass_over(error)  # with the rest of its file

    def _pass_over(self, error: InputError) -> None:
        if self._on_error == "stop":
            raise error
        self.skipped += 1
        if len(self.bad) < _BAD_ROWS_KEPT:
            self.bad.append(error)


def _counter(files: Sequence[InputFile], on_progress: Callable[[int, int], object]) -> Callable[[int], None]:
    """Return a function that adds up what readers read, and reports it with the size of all files."""
    total = sum(file.path.stat().st_size * FORMATS[file.format].passes for file in files)
    done = 0

    def count(read: int) -> None:
        nonlocal done
        done += read
        on_progress(min(done, total), total)

    return count


def copy_database(
    source: Database, target: Database, *, on_progress: Callable[[int], object] = lambda rows: None
) -> int:
    """Copy all rows, in one transaction, and return how many; new ids follow on from the source's.

    Unlike export and import, this leaves out nothing but an erasure that waits to be finished: what it would erase is
    in no row. `on_progress` gets the rows since its last call. Raises `LamLamError`, and changes nothing, unless the
    target is empty.
    """
    count = 0

    def rows(table: str, layout: TableLayout) -> Iterator[tuple[Any, ...]]:
        nonlocal count
        where = "WHERE key <> 'erasing'" if table == "meta" else ""
        columns, key = ", ".join(layout.columns), ", ".join(layout.key)
        reported = count
        for row in source.stream(f"SELECT {columns} FROM {table} {where} ORDER BY {key}"):
            yield _settings(row) if table == "meta" else row
            count += 1
            if count - reported == _ROWS_A_REPORT:
                on_progress(_ROWS_A_REPORT)
                reported = count
        on_progress(count - reported)

    with source.snapshot(long=True), target.transaction():
        if any(target.one(f"SELECT 1 FROM {table} LIMIT 1") for table in LAYOUT if table != "meta"):
            raise LamLamError("the knowledge base to copy into is not empty")
        target.run("DELETE FROM meta")
        for index in INDEXES:
            target.run(f"DROP INDEX {index}")
        for table, layout in LAYOUT.items():
            last = source.last_id(table) if layout.counted else None
            target.fill(table, layout.columns, rows(table, layout), last)
        for definition in INDEXES.values():
            target.run(definition)
    return count


def _settings(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a setting with its value as bytes: SQLite keeps text in such a column too, and PostgreSQL would unescape
    it."""
    key, value = row
    return key, value.encode() if isinstance(value, str) else value
