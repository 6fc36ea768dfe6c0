"""A document as a JSON object or a row of a table: its fields' names, its unique id, and both directions."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lamlam.corpus.lines import Entry
from lamlam.errors import InputError
from lamlam.markup import AnnotatedDocument, Call

__all__ = ["Columns", "Ids", "document_object", "document_of", "document_of_row"]

_TABLE = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -32768;
CREATE TABLE id (id TEXT PRIMARY KEY, place TEXT NOT NULL) WITHOUT ROWID;
BEGIN;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The fields of a JSON Lines file, or the columns of a table, that hold a document's text, id and title."""

    text: str = "text"
    id: str = "id"
    title: str = "title"


class Ids:
    """The ids of a corpus and where they are, on disk if there are many. A context manager.

    Ids must be unique: sources name documents by them, and are forgotten by them.
    """

    def __init__(self) -> None:
        # Readers are iterators, which may continue in another thread; SQLite removes a nameless file itself.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_TABLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()

    def add(self, id: str, path: str | Path, line: int | None = None, field: str = "id") -> None:
        """Add the id of a document. Raises `InputError` if it is taken."""
        place = f"{path}:{line}" if line else str(path)
        sql = "INSERT INTO id VALUES (?, ?) ON CONFLICT DO NOTHING"
        if self._database.execute(sql, (id, place)).rowcount == 0:
            [first] = self._database.execute("SELECT place FROM id WHERE id = ?", (id,)).fetchone()
            where = first if first != place else "another document"
            raise InputError(f"'{id}' is the id of {where} already", path=path, line=line, field=field)


def document_of_row(row: Mapping[str, Any], columns: Columns, path: Path, number: int) -> AnnotatedDocument:
    """Return the document in a row, numbered from 1; its id may be a whole number. Raises `InputError`."""
    id = row.get(columns.id)
    if isinstance(id, int) and not isinstance(id, bool):
        row = {**row, columns.id: str(id)}
    return document_of(Entry(row, path, number), columns)


def document_of(entry: Entry, columns: Columns = Columns()) -> AnnotatedDocument:
    """Return the document that an object holds. A missing id becomes the file's name, without endings, and the line."""
    text = entry.text(columns.text)
    id = entry.text(columns.id) if entry.has(columns.id) else f"{entry.path.name.split('.')[0]}-{entry.line}"
    title = entry.text(columns.title) if entry.has(columns.title) else ""
    if not entry.has("calls"):
        for field in entry.value:
            if field != "calls" and field.strip().lower() in ("call", "calls"):
                raise entry.error("is not known: it must be called 'calls'", field)
    calls = tuple(_call(item, len(text)) for item in entry.entries("calls")) if entry.has("calls") else ()
    return AnnotatedDocument(id, text, calls, title)


def document_object(document: AnnotatedDocument) -> dict[str, Any]:
    """Return the object that `document_of` reads."""
    calls = [{"entity": c.entity, "relation": c.relation, "value": c.value, "at": c.at} for c in document.calls]
    title = {"title": document.title} if document.title else {}
    return {"id": document.id, **title, "text": document.text, "calls": calls}


def _call(entry: Entry, length: int) -> Call:
    at = entry.number("at", least=0)
    if at > length:
        raise entry.error(f"is outside the text of {length} characters", "at")
    return Call(entry.text("entity"), entry.text("relation"), entry.text("value"), at)
