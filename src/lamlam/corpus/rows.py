"""A document as an object of JSON, and as a row of a table, be it of Parquet or of a dataset."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamlam.corpus.columns import Columns
from lamlam.corpus.lines import Entry
from lamlam.markup import AnnotatedDocument, Call

__all__ = ["document_object", "document_of", "document_of_row"]


def document_of_row(row: Mapping[str, Any], columns: Columns, path: Path, number: int) -> AnnotatedDocument:
    """The document of the row of this number (from 1), whose id may be a whole number.

    Raises `InputError` that names file, row and column.
    """
    id = row.get(columns.id)
    if isinstance(id, int) and not isinstance(id, bool):
        row = {**row, columns.id: str(id)}
    return document_of(Entry(row, path, number), columns)


def document_of(entry: Entry, columns: Columns = Columns()) -> AnnotatedDocument:
    """The document that an object holds. A missing id is the file's name, without endings, and the line."""
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
    """The object that `document_of` reads back."""
    calls = [{"entity": c.entity, "relation": c.relation, "value": c.value, "at": c.at} for c in document.calls]
    title = {"title": document.title} if document.title else {}
    return {"id": document.id, **title, "text": document.text, "calls": calls}


def _call(entry: Entry, length: int) -> Call:
    at = entry.number("at", least=0)
    if at > length:
        raise entry.error(f"stands outside the text of {length} characters", "at")
    return Call(entry.text("entity"), entry.text("relation"), entry.text("value"), at)
