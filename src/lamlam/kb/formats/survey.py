"""The first pass over N-Triples, kept on the disk until it is closed: names, namesakes, times of statements.

A file may hold more names than fit into memory. What can be read only once, such as a pipe, is copied for the second
pass.
"""

import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from lamlam.corpus.lines import opened
from lamlam.errors import InputError
from lamlam.kb.formats.row import ImportContext
from lamlam.kb.formats.statements import WIKIBASE, Statements, node_of
from lamlam.kb.formats.terms import entity_name, local_name, parse, rdf_library
from lamlam.kb.names import canonical

__all__ = ["ALIAS", "LABELS", "NAMING", "TYPE", "Labels", "Survey", "is_page"]

LABELS = (
    "http://www.w3.org/2000/01/rdf-schema#label",
    "http://www.w3.org/2004/02/skos/core#prefLabel",
    "http://schema.org/name",
    "https://schema.org/name",
)
ALIAS = "http://www.w3.org/2004/02/skos/core#altLabel"

_CACHED = 200_000
_CACHED_GROUPS = 1_000
_TABLES = """
CREATE TABLE label (iri TEXT PRIMARY KEY, name TEXT NOT NULL, rank INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE alias (iri TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (iri, name)) WITHOUT ROWID;
CREATE TABLE subject (iri TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE record (iri TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_THINGS = """
CREATE TABLE thing AS
    SELECT iri, name FROM label WHERE iri NOT IN (SELECT iri FROM record)
    UNION ALL
    SELECT iri, own_name(iri) FROM subject WHERE iri NOT IN (SELECT iri FROM record)
    AND iri NOT IN (SELECT iri FROM label);
CREATE INDEX thing_name ON thing (name);
"""
_LABEL = (
    "INSERT INTO label VALUES (?, ?, ?) ON CONFLICT (iri) DO UPDATE SET name = excluded.name, rank = excluded.rank "
    "WHERE excluded.rank < rank"
)
NAMING = frozenset((*LABELS, ALIAS))
TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_ABOUT = ("http://schema.org/about", "https://schema.org/about", "http://xmlns.com/foaf/0.1/primaryTopic")
_OWL = "http://www.w3.org/2002/07/owl#"
_PROPERTIES = (
    f"{WIKIBASE}Property",
    f"{_OWL}ObjectProperty",
    f"{_OWL}DatatypeProperty",
    f"{_OWL}AnnotationProperty",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#Property",
)
_WIKIDATA_PROPERTY = re.compile(r".+/entity/P\d+")
_PRAGMAS = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;"


class Labels:
    """The best name of each IRI, and its other names, in one language; and which IRIs share a name.

    All that has a label or is a subject may share one, except records: pages and properties, which are not things.
    """

    def __init__(self, database: sqlite3.Connection, language: str) -> None:
        self._language = language.lower()
        self._database = database
        self._database.executescript(_TABLES)
        self._database.create_function("own_name", 1, _own_name, deterministic=True)
        self.name = lru_cache(_CACHED)(self._name)
        self.is_record = lru_cache(_CACHED)(self._is_record)
        self._namesakes = lru_cache(_CACHED_GROUPS)(self._apart)

    def add(self, iri: str, named_by: str, text: str, language: str | None) -> None:
        """Add the name that a label, or alternative label, gives an IRI."""
        name = canonical(text)
        if not name:
            return
        if named_by != ALIAS:
            rank = self._distance(language) * len(LABELS) + LABELS.index(named_by)
            self._database.execute(_LABEL, (iri, name, rank))
        elif self.reads(language):
            self._database.execute("INSERT INTO alias VALUES (?, ?) ON CONFLICT DO NOTHING", (iri, name))

    def add_subject(self, iri: str) -> None:
        """Add an IRI about which something is stated."""
        self._database.execute("INSERT INTO subject VALUES (?) ON CONFLICT DO NOTHING", (iri,))

    def add_record(self, iri: str) -> None:
        """Add an IRI that is a page about a thing, or a property."""
        self._database.execute("INSERT INTO record VALUES (?) ON CONFLICT DO NOTHING", (iri,))

    def finish(self) -> None:
        """Compute who shares a name, once everything is added."""
        self._database.executescript(_THINGS)

    def reads(self, language: str | None) -> bool:
        """Whether to read a text in a language: the chosen one, or none in particular."""
        return self._distance(language) < 3

    def _distance(self, language: str | None) -> int:
        if language is None or language == "mul":
            return 2
        language = language.lower()
        return 0 if language == self._language else 1 if language.startswith(f"{self._language}-") else 3

    def _name(self, iri: str) -> str | None:
        """Return the name of an IRI, if it was given one."""
        row = self._database.execute("SELECT name FROM label WHERE iri = ?", (iri,)).fetchone()
        return row and row[0]

    def _is_record(self, iri: str) -> bool:
        return self._database.execute("SELECT 1 FROM record WHERE iri = ?", (iri,)).fetchone() is not None

    def entity(self, iri: str) -> tuple[str, list[str]]:
        """Return the name of a subject, which no other one has, and its other names.

        A name that several have is told apart by the end of the IRI, else by its host, else by the IRI, and is an alias
        of each.
        """
        name = self.name(iri) or _own_name(iri)
        aliases = [alias for alias in self.aliases(iri) if alias != name]
        mark = self._namesakes(name).get(iri)
        return (name, aliases) if mark is None else (f"{name} ({mark})", [*aliases, name])

    def _apart(self, name: str) -> dict[str, str]:
        """Return what tells the IRIs of a name apart; empty if only one has it."""
        iris = [iri for (iri,) in self._database.execute("SELECT iri FROM thing WHERE name = ?", (name,))]
        if len(iris) < 2:
            return {}
        for mark in (local_name, _host):
            marks = {iri: canonical(mark(iri)) for iri in iris}
            if all(marks.values()) and len(set(marks.values())) == len(iris):
                return marks
        alike = len({canonical(iri) for iri in iris}) < len(iris)  # such as a letter composed and decomposed
        return {iri: quote(iri, safe=":/?#[]@!$&'()*+,;=%~") if alike else iri for iri in iris}

    def aliases(self, iri: str) -> list[str]:
        return [name for (name,) in self._database.execute("SELECT name FROM alias WHERE iri = ?", (iri,))]


def _own_name(iri: str) -> str:
    return canonical(entity_name(iri))


def _host(iri: str) -> str:
    return iri.partition("//")[2].partition("/")[0]


class Survey:
    """The names of things, and the times of statements, in the files of an import."""

    def __init__(self, reading: ImportContext) -> None:
        self._open = ExitStack()
        database = sqlite3.connect("", isolation_level=None)  # a file that SQLite removes by itself
        self._open.callback(database.close)
        database.executescript(_PRAGMAS)
        self.labels, self.statements = Labels(database, reading.language), Statements(database)
        self._copies: dict[Path, IO[bytes]] = {}
        try:
            self._look(database, reading)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._open.close()

    @contextmanager
    def lines(self, path: Path, reading: ImportContext) -> Iterator[Iterable[bytes]]:
        """Yield the lines of a file, for the second pass."""
        if path in self._copies:
            yield self._copies[path]
            return
        with opened(path, reading.on_progress) as lines:
            yield lines

    def _look(self, database: sqlite3.Connection, reading: ImportContext) -> None:
        database.execute("BEGIN")
        for file in reading.files:
            if file.format == "nt":
                again = file.path.is_file()
                # The second pass reports what is wrong with a file, if there can be one.
                with suppress(*[InputError] * again), opened(file.path, reading.on_progress) as lines:
                    self._take(parse(_relevant(lines if again else self._copied(lines, file.path)), file.path))
        database.execute("COMMIT")
        self.labels.finish()

    def _copied(self, lines: Iterable[bytes], path: Path) -> Iterator[bytes]:
        copy = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        for line in lines:
            copy.write(line)
            yield line
        copy.seek(0)
        self._copies[path] = copy

    def _take(self, triples: Iterator[tuple[int, Any] | InputError]) -> None:
        library = rdf_library()
        literal, named = library.Literal, library.NamedNode
        for parsed in triples:
            if isinstance(parsed, InputError):
                continue
            subject, predicate, object = parsed[1].subject, parsed[1].predicate.value, parsed[1].object
            if type(subject) is not named:
                continue
            iri = subject.value
            node = node_of(iri)
            if node is not None:
                if type(object) in (literal, named):
                    datatype = object.datatype.value if type(object) is literal else None
                    self.statements.add(iri, node, predicate, object.value, datatype)
                if node.owner:
                    self.labels.add_subject(node.owner)
                continue
            self.labels.add_subject(iri)
            if type(object) is literal:
                if predicate in NAMING:
                    self.labels.add(iri, predicate, object.value, object.language)
            elif type(object) is named and (
                (predicate in _ABOUT and is_page(iri)) or (predicate == TYPE and object.value in _PROPERTIES)
            ):
                self.labels.add_record(iri)
            if _WIKIDATA_PROPERTY.fullmatch(iri):
                self.labels.add_record(iri)


def is_page(iri: str) -> bool:
    """Whether an IRI may be the address of a page about something."""
    return "/wiki/" in iri


def _relevant(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines that may name something or concern a statement, or are the first about their subject.

    A cheap look at the bytes: most lines give nothing but one more fact of the subject of the line before.
    """
    last = b""
    for line in lines:
        subject = line[: line.find(b">")]
        if subject != last or _may_matter(line):
            last = subject
            yield line


def _may_matter(line: bytes) -> bool:
    return (
        b"abel>" in line  # label, prefLabel, altLabel
        or b"/name>" in line
        or b"/about>" in line
        or b"/primaryTopic>" in line
        or b"Property>" in line
        or b"__" in line
        or b"/statement/" in line
        or b"/value/" in line
    )
