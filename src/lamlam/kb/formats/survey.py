"""What a first pass over N-Triples finds out, on the disk until it is closed: names, namesakes, times of statements.

It looks at all N-Triples files of an import. What can be read only once, such as a pipe, is copied for the second pass.
"""

import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from lamlam.corpus.lines import opened
from lamlam.errors import InputError
from lamlam.kb.formats.labels import ALIAS, LABELS, Labels
from lamlam.kb.formats.row import Reading
from lamlam.kb.formats.statements import WIKIBASE, Statements, node_of
from lamlam.kb.formats.triples import parse, rdf_library

__all__ = ["NAMING", "TYPE", "Survey", "is_page"]

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


class Survey:
    """The names of things, and the times of statements, in the files of an import."""

    def __init__(self, reading: Reading) -> None:
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
    def lines(self, path: Path, reading: Reading) -> Iterator[Iterable[bytes]]:
        """The lines of a file, for the second pass."""
        if path in self._copies:
            yield self._copies[path]
            return
        with opened(path, reading.seen) as lines:
            yield lines

    def _look(self, database: sqlite3.Connection, reading: Reading) -> None:
        database.execute("BEGIN")
        for file in reading.files:
            if file.format == "nt":
                again = file.path.is_file()
                # What is wrong with a file is told by the second pass, if there can be one.
                with suppress(*[InputError] * again), opened(file.path, reading.seen) as lines:
                    self._take(parse(_telling(lines if again else self._copied(lines, file.path)), file.path))
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


def _telling(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines that may name something or tell of a statement, or are the first about their subject.

    A cheap look at the bytes: most lines tell nothing but one more fact of the subject of the line before.
    """
    last = b""
    for line in lines:
        subject = line[: line.find(b">")]
        if subject != last or _may_tell(line):
            last = subject
            yield line


def _may_tell(line: bytes) -> bool:
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
