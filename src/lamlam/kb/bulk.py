"""Importing many facts at once into a knowledge base that holds nothing yet.

The facts are stored in a file beside it (`kb.builder`), in a process of their own (`kb.build_process`), and the file
takes the knowledge base's place when it is whole. An import that was killed goes on where it was, when the same
import is asked for again. What a fact, an alias and a source become is the same as when `kb.writer` writes them.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import TypeGuard

from lamlam.corpus.corpus import FactRecord
from lamlam.errors import InputError
from lamlam.kb.build_process import BuildProcess
from lamlam.kb.builder import Batch, Builder, discard
from lamlam.kb.database import Database
from lamlam.kb.fact import Source
from lamlam.kb.names import canonical, checked
from lamlam.kb.sqlite import SQLiteDatabase
from lamlam.kb.writer import AddReport, checked_span

__all__ = ["bulk_import", "can_bulk_import"]

_BATCH = 50_000


def can_bulk_import(database: Database) -> TypeGuard[SQLiteDatabase]:
    """Whether it is an SQLite file that can be written, and into which nothing was ever written."""
    if not isinstance(database, SQLiteDatabase) or database.path is None or not database.writable:
        return False
    return database.is_blank()


def bulk_import(
    database: SQLiteDatabase,
    records: Iterable[FactRecord],
    *,
    source: Source | None = None,
    identity: str | None = None,
    actor: str = "",
    reason: str = "",
    apart: bool = True,
) -> AddReport:
    """Store facts in a knowledge base for which `can_bulk_import`; `source` is that of records without a document.

    `identity` stands for the records and their order: an import of the same identity that did not end is gone on with.
    `apart` is whether a second process stores them. Raises `InputError` for a bad record, and nothing is imported.
    """
    with database.replacement() as path:
        try:
            report = _build(path, records, source, identity or token_hex(16), actor, reason, apart)
        except BaseException as error:
            if identity is None or isinstance(error, InputError):
                discard(path)
            raise
    return report


def _build(
    path: Path,
    records: Iterable[FactRecord],
    source: Source | None,
    identity: str,
    actor: str,
    reason: str,
    apart: bool,
) -> AddReport:
    with (BuildProcess if apart else Builder)(path, identity) as builder:
        for batch in _batches(islice(records, builder.rows, None), source):
            builder.add(batch)
        return AddReport(*builder.finish(actor, reason))


def _batches(records: Iterator[FactRecord], source: Source | None) -> Iterator[Batch]:
    batch = Batch([], [], [], [], [])
    for place, record in enumerate(records):
        place %= _BATCH
        if place == 0 and batch.values:
            yield batch
            batch = Batch([], [], [], [], [])
        batch.entities.append(canonical(checked(record.entity, "entity")))
        batch.relations.append(canonical(checked(record.relation, "relation")))
        batch.values.append(checked(record.value, "value"))
        if record.document is not None:
            span = checked_span(record.start, record.end)
            batch.sources.append((place, checked(record.document, "document"), *span))
        elif source is not None:
            batch.sources.append((place, checked(source.document, "document"), *checked_span(source.start, source.end)))
        if record.entity_aliases or record.relation_aliases:
            for kind, names in (("entity", record.entity_aliases), ("relation", record.relation_aliases)):
                batch.aliases.extend((place, kind, canonical(checked(name, f"aliases.{kind}"))) for name in names)
    if batch.values:
        yield batch
