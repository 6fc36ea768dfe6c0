"""N-Triples, as Wikidata and DBpedia are published: IRIs become names, literals text, alternative labels aliases.

Read twice: the first pass gathers the names (`labels`), from all N-Triples files of an import, and the second the
facts. What has no label is called by its IRI's own letters (`terms`). The library that knows the grammar is optional:
the extra `rdf` brings it.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from lamlam.corpus.corpus import FactRecord
from lamlam.corpus.opened import opened
from lamlam.errors import InputError, LamLamError
from lamlam.kb.formats.labels import ALIAS, LABELS, Labels
from lamlam.kb.formats.row import InputFile, Reading, Rows, vetted
from lamlam.kb.formats.terms import entity_name, literal_text, local_name, relation_name

__all__ = ["read_ntriples"]

_NAMING = frozenset((*LABELS, ALIAS))
_MARKS = tuple(iri.encode() + b">" for iri in _NAMING)
_SAME = "http://www.w3.org/2002/07/owl#sameAs"
_BLOCK = 1 << 17
_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_PROPERTIES = ("/prop/direct/", "/prop/direct-normalized/")

_Parsed = Iterator[tuple[int, Any] | InputError]


def read_ntriples(file: InputFile, reading: Reading) -> Rows:
    """The facts of a file; a subject's IRI is their source. Names in a file apart are found if it is imported along."""
    if reading.labels is None:
        reading.labels = _gather(reading)
    facts = _Facts(reading.labels, reading.ignored)
    with opened(file.path, reading.seen) as lines:
        for parsed in _parse(lines, file.path):
            if isinstance(parsed, InputError):
                yield parsed
            elif (record := facts.record(parsed[1])) is not None:
                yield vetted(file.path, parsed[0], record)


def _gather(reading: Reading) -> Labels:
    labels = Labels(reading.language)
    for file in reading.files:
        if file.format == "nt":
            with suppress(InputError), opened(file.path, reading.seen) as lines:  # the second pass tells of it
                # A cheap look at the bytes first: most lines name nothing.
                naming = (line for line in lines if any(mark in line for mark in _MARKS))
                labels.add(_names(naming, file.path))
    labels.finish()
    return labels


def _names(lines: Iterator[bytes], path: Path) -> Iterator[tuple[str, str, str, str | None]]:
    literal, named = _library().Literal, _library().NamedNode
    for parsed in _parse(lines, path):
        if not isinstance(parsed, InputError):
            triple = parsed[1]
            if type(triple.subject) is named and type(triple.object) is literal and triple.predicate.value in _NAMING:
                yield triple.subject.value, triple.predicate.value, triple.object.value, triple.object.language


def _library() -> Any:
    try:
        import pyoxigraph
    except ImportError as error:
        raise LamLamError("N-Triples files need the extra 'rdf': pip install 'lamlam[rdf]'") from error
    return pyoxigraph


def _parse(lines: Any, path: Path) -> _Parsed:
    """The triples with their lines: by the block, for speed, and by the line where one is not a triple a line."""
    library = _library()
    form = library.RdfFormat.N_TRIPLES
    first = 1
    while block := _block(lines):
        try:
            triples = list(library.parse(b"".join(block), format=form))
        except SyntaxError:
            triples = []
        if len(triples) == len(block):
            yield from enumerate(triples, first)
        else:
            yield from _by_line(block, first, path)
        first += len(block)


def _by_line(block: list[bytes], first: int, path: Path) -> _Parsed:
    library = _library()
    for number, line in enumerate(block, first):
        try:
            for triple in library.parse(line, format=library.RdfFormat.N_TRIPLES):
                yield number, triple
        except SyntaxError as error:
            reason = str(error.msg).splitlines()[0].partition(": ")[2] or "broken"
            yield InputError(f"is no N-Triple ({reason.removesuffix(' (line 1)')})", path=path, line=number)


def _block(lines: Iterator[bytes]) -> list[bytes]:
    block, size = [], 0
    for line in lines:
        block.append(line)
        size += len(line)
        if size >= _BLOCK:
            break
    return block


class _Facts:
    """Turns triples into records, and counts those that are none."""

    def __init__(self, labels: Labels, ignored: Counter[str]) -> None:
        self._labels, self._ignored = labels, ignored
        library = _library()
        self._literal, self._named = library.Literal, library.NamedNode
        self._subject, self._entity = "", ""
        self._relations: dict[str, str] = {}

    def record(self, triple: Any) -> FactRecord | None:
        subject, predicate, object = triple.subject, triple.predicate.value, triple.object
        literal = type(object) is self._literal
        if literal and predicate in _NAMING:
            return None
        if reason := self._no_fact(subject, predicate, object, literal):
            self._ignored[reason] += 1
            return None
        value = literal_text(object.value, object.datatype.value) if literal else self._value(predicate, object.value)
        return self._made(subject.value, predicate, value)

    def _no_fact(self, subject: Any, predicate: str, object: Any, literal: bool) -> str:
        """Why a triple states nothing to keep; empty where it does."""
        if type(subject) is not self._named or not (literal or type(object) is self._named):
            return "statements about things without a name"
        if predicate == _SAME:
            return "addresses of the same thing elsewhere"
        if literal and not self._labels.reads(object.language):
            return "texts in other languages"
        return ""

    def _made(self, subject: str, predicate: str, value: str) -> FactRecord:
        names: list[str] = []
        kinds: list[str] = []
        if subject != self._subject:  # triples of one subject mostly stand together; twice does no harm
            self._subject, self._entity = subject, self._named_entity(subject, names)
        relation = self._relations.get(predicate)
        if relation is None:
            relation = self._relations[predicate] = self._named_relation(predicate, kinds)
        return FactRecord(self._entity, relation, value, subject, None, None, tuple(names), tuple(kinds))

    def _named_entity(self, iri: str, aliases: list[str]) -> str:
        """The name of a subject; one that several things share is told apart by the IRI, and is an alias of each."""
        name = self._labels.name(iri)
        aliases += [alias for alias in self._labels.aliases(iri) if alias != name]
        if name is None:
            return entity_name(iri)
        if not self._labels.shared(name):
            return name
        aliases.append(name)
        return f"{name} ({local_name(iri)})"

    def _named_relation(self, iri: str, aliases: list[str]) -> str:
        for prefix in _PROPERTIES:  # Wikidata labels the property, and states facts with a form of its IRI
            if self._labels.name(iri) is None:
                iri = iri.replace(prefix, "/entity/")
        name = self._labels.name(iri) or relation_name(iri)
        aliases += [alias for alias in self._labels.aliases(iri) if alias != name]
        return name

    def _value(self, predicate: str, iri: str) -> str:
        return self._labels.name(iri) or (relation_name(iri) if predicate == _TYPE else entity_name(iri))
