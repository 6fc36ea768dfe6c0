"""How the fields of documents are called in files that were made for something else."""

from dataclasses import dataclass

__all__ = ["Columns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The fields of a JSON Lines file, or the columns of a table, that hold a document's text, id and title."""

    text: str = "text"
    id: str = "id"
    title: str = "title"
