"""Reads WebNLG: short texts by people, each with the triples that it states.

Where in a text a triple is stated is not said: that is left to `lamlam.annotate`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamlam.corpus.corpus import FactRecord
from lamlam.corpus.lines import Entry, read_entries

__all__ = ["StatedDocument", "read_webnlg", "readable", "spaced", "stated_document"]

_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class StatedDocument:
    """A text and the facts that it is known to state, without their places."""

    id: str
    text: str
    facts: tuple[FactRecord, ...]
    category: str = ""

    @property
    def subjects(self) -> set[str]:
        return {fact.entity for fact in self.facts}


def read_webnlg(path: str | Path) -> Iterator[StatedDocument]:
    """Yield the texts of a JSON Lines file of `{"category", "triples", "text"}`, as "<file's stem>-<line>".

    Relations become readable words: "cityServed" is read as "city served". The category may be missing.
    Raises `InputError` with the line and field for a file that cannot be read so.
    """
    return (stated_document(entry) for entry in read_entries(path))


def stated_document(entry: Entry) -> StatedDocument:
    """The text of one object, and the facts that it states. Raises `InputError`."""
    rows = entry.value.get("triples")
    if not isinstance(rows, list):
        raise entry.error("must be a list of [entity, relation, value]", "triples")
    facts = dict.fromkeys(_fact(entry, f"triples[{place}]", row) for place, row in enumerate(rows))
    category = entry.text("category") if entry.has("category") else ""
    return StatedDocument(f"{entry.path.stem}-{entry.line}", entry.text("text", empty=False), tuple(facts), category)


def _fact(entry: Entry, field: str, row: Any) -> FactRecord:
    parts = Entry({field: row}, entry.path, entry.line).texts(field)
    if len(parts) != 3 or not all(part.strip() for part in parts):
        raise entry.error("must be [entity, relation, value], none of them empty", field)
    entity, relation, value = parts
    return FactRecord(spaced(entity), readable(relation), spaced(value))


def spaced(name: str) -> str:
    """A name with spaces for its underscores."""
    return " ".join(name.replace("_", " ").split())


def readable(relation: str) -> str:
    """Split camel case and lower its words; abbreviations such as ISBN keep their capitals."""
    words = _WORD_START.sub(" ", spaced(relation)).split()
    return " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in words)
