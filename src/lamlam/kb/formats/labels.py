"""The names of things in RDF files, gathered in a first pass into a table that lies on the disk until it is closed.

A file may hold more names than fit into memory. Which triples are facts is left to `ntriples`.
"""

import sqlite3
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["ALIAS", "LABELS", "Labels"]

LABELS = (
    "http://www.w3.org/2000/01/rdf-schema#label",
    "http://www.w3.org/2004/02/skos/core#prefLabel",
    "http://schema.org/name",
    "https://schema.org/name",
)
ALIAS = "http://www.w3.org/2004/02/skos/core#altLabel"

_CACHED = 200_000
_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -65536;
CREATE TABLE label (iri TEXT PRIMARY KEY, name TEXT NOT NULL, rank INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE alias (iri TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (iri, name)) WITHOUT ROWID;
"""
_LABEL = (
    "INSERT INTO label VALUES (?, ?, ?) ON CONFLICT (iri) DO UPDATE SET name = excluded.name, rank = excluded.rank "
    "WHERE excluded.rank < rank"
)


class Labels:
    """The best name of each IRI, and its other names, in one language."""

    def __init__(self, language: str) -> None:
        self._language = language.lower()
        self._database = sqlite3.connect("", isolation_level=None)  # a file that SQLite removes by itself
        self._database.executescript(_TABLES)
        self.name = lru_cache(_CACHED)(self._name)
        self.shared = lru_cache(_CACHED)(self._shared)

    def add(self, statements: Iterable[tuple[str, str, str, str | None]]) -> None:
        """Take what (IRI, property, text, language) say about names."""
        self._database.execute("BEGIN")
        try:
            for iri, named_by, text, language in statements:
                if name := " ".join(text.split()):
                    self._take(iri, named_by, name, language)
        finally:
            self._database.execute("COMMIT")

    def _take(self, iri: str, named_by: str, name: str, language: str | None) -> None:
        if named_by != ALIAS:
            rank = self._distance(language) * len(LABELS) + LABELS.index(named_by)
            self._database.execute(_LABEL, (iri, name, rank))
        elif self.reads(language):
            self._database.execute("INSERT INTO alias VALUES (?, ?) ON CONFLICT DO NOTHING", (iri, name))

    def finish(self) -> None:
        """Nothing more is to come."""
        self._database.execute("CREATE INDEX label_name ON label (name)")

    def close(self) -> None:
        self._database.close()

    def reads(self, language: str | None) -> bool:
        """Whether a text in a language is one to read: the one that was chosen, or none in particular."""
        return self._distance(language) < 3

    def _distance(self, language: str | None) -> int:
        if language is None or language == "mul":
            return 2
        language = language.lower()
        return 0 if language == self._language else 1 if language.startswith(f"{self._language}-") else 3

    def _name(self, iri: str) -> str | None:
        """The name of an IRI, where one was given."""
        row = self._database.execute("SELECT name FROM label WHERE iri = ?", (iri,)).fetchone()
        return row and row[0]

    def _shared(self, name: str) -> bool:
        """Whether several things have this name."""
        return len(self._database.execute("SELECT 1 FROM label WHERE name = ? LIMIT 2", (name,)).fetchall()) > 1

    def aliases(self, iri: str) -> list[str]:
        return [name for (name,) in self._database.execute("SELECT name FROM alias WHERE iri = ?", (iri,))]
