"""N-Triples, as Wikidata and DBpedia are published: IRIs become names, literals text, alternative labels aliases.

Files are read twice: the first pass gathers what must be known beforehand (`survey`), the second reads the facts. What
has no label is named after its IRI (`terms`); a statement that has a time is a fact of whom it is about (`statements`).
"""

from collections import Counter
from typing import Any

from lamlam.corpus.corpus import FactRecord
from lamlam.errors import InputError
from lamlam.kb.formats.row import ImportContext, InputFile, Rows, vetted
from lamlam.kb.formats.statements import WIKIBASE, Node, node_of, property_of
from lamlam.kb.formats.survey import NAMING, TYPE, Survey, is_page
from lamlam.kb.formats.terms import entity_name, literal_text, parse, rdf_library, relation_name

__all__ = ["read_ntriples"]

_SAME = "http://www.w3.org/2002/07/owl#sameAs"
_NAMELESS = "/.well-known/genid/"  # how blank nodes are written where every node must have an IRI
_VOCABULARIES = (WIKIBASE, "http://www.w3.org/2002/07/owl#", "http://www.w3.org/2000/01/rdf-schema#",
                 "http://www.w3.org/1999/02/22-rdf-syntax-ns#")  # fmt: skip


def read_ntriples(file: InputFile, reading: ImportContext) -> Rows:
    """Yield the facts of a file; a subject's IRI is their source. Names may be in another file of the same import."""
    if reading.survey is None:
        reading.survey = Survey(reading)
    facts = _Facts(reading.survey, reading.ignored)
    with reading.survey.lines(file.path, reading) as lines:
        for parsed in parse(lines, file.path):
            if isinstance(parsed, InputError):
                yield parsed
            elif (record := facts.record(parsed[1])) is not None:
                yield vetted(file.path, parsed[0], record)


class _Facts:
    """Turns triples into records, and counts those that state no fact."""

    def __init__(self, survey: Survey, ignored: Counter[str]) -> None:
        self._labels, self._statements, self._ignored = survey.labels, survey.statements, ignored
        library = rdf_library()
        self._literal, self._named = library.Literal, library.NamedNode
        self._subject, self._entity, self._is_record = "", "", False
        self._aliases: list[str] = []
        self._relations: dict[str, str] = {}

    def record(self, triple: Any) -> FactRecord | None:
        subject, predicate, object = triple.subject, triple.predicate.value, triple.object
        literal = type(object) is self._literal
        if literal and predicate in NAMING:
            return None
        if reason := self._no_fact(subject, predicate, object, literal):
            self._ignored[reason] += 1
            return None
        node = node_of(subject.value)
        if node is not None:
            return self._of_node(subject.value, node, predicate, object, literal)
        return self._of_thing(subject.value, predicate, object, literal)

    def _no_fact(self, subject: Any, predicate: str, object: Any, literal: bool) -> str:
        """Return why a triple states nothing to keep; empty if it may."""
        if not self._has_name(subject) or not (literal or self._has_name(object)):
            return "statements about things without a name"
        if predicate == _SAME:
            return "addresses of the same thing elsewhere"
        if literal and not self._labels.reads(object.language):
            return "texts in other languages"
        return ""

    def _has_name(self, term: Any) -> bool:
        return type(term) is self._named and _NAMELESS not in term.value

    def _of_thing(self, subject: str, predicate: str, object: Any, literal: bool) -> FactRecord | None:
        self._turn_to(subject)
        if (
            self._is_record
            or predicate.startswith(WIKIBASE)
            or (predicate == TYPE and object.value.startswith(_VOCABULARIES))
        ):
            self._ignored["statements about pages, properties and the data set itself"] += 1
            return None
        property, use = property_of(predicate)
        if use == "claim/" or (use and self._statements.says_more(subject, property, object.value)):
            return None  # the statement itself is read
        value = self._value(predicate, object, literal)
        if not literal and (node := node_of(object.value)) is not None and node.owner == subject:
            if self._statements.has_parts(object.value):
                return None  # they are read, as facts of the subject
            value = self._statements.when(object.value) or value
        return self._made(predicate, value)

    def _of_node(self, iri: str, node: Node, predicate: str, object: Any, literal: bool) -> FactRecord | None:
        """Return what a statement with a time states, as a fact of its owner whose value says when."""
        if self._statements.is_time(predicate, literal):
            return None  # read with what holds then
        states = property_of(predicate)[1] == "statement/" if node.wikidata else predicate != TYPE
        if node.owner is None or not states:
            self._ignored["particulars of statements: ranks, references, qualifiers other than dates"] += 1
            return None
        if self._statements.outranked(iri):
            self._ignored["statements that are deprecated or outranked"] += 1
            return None
        exact = self._statements.exactly(iri) if node.wikidata and literal else None
        value, when = exact or self._value(predicate, object, literal), self._statements.when(iri)
        self._turn_to(node.owner)
        return self._made(predicate, f"{value} ({when})" if when else value)

    def _turn_to(self, subject: str) -> None:
        """Take up a subject and its names. Triples of one subject are mostly together; taking it up twice does
        no harm."""
        if subject != self._subject:
            self._subject, self._is_record = subject, self._labels.is_record(subject)
            self._entity, self._aliases = self._labels.entity(subject)

    def _made(self, predicate: str, value: str) -> FactRecord:
        """Return a fact of the subject that was taken up; the first has its other names."""
        kinds: list[str] = []
        relation = self._relations.get(predicate)
        if relation is None:
            relation = self._relations[predicate] = self._named_relation(predicate, kinds)
        names, self._aliases = tuple(self._aliases), []
        return FactRecord(self._entity, relation, value, self._subject, None, None, names, tuple(kinds))

    def _named_relation(self, iri: str, aliases: list[str]) -> str:
        iri = iri if self._labels.name(iri) else property_of(iri)[0]  # Wikidata labels the property
        name = self._labels.name(iri) or relation_name(iri)
        aliases += [alias for alias in self._labels.aliases(iri) if alias != name]
        return name

    def _value(self, predicate: str, object: Any, literal: bool) -> str:
        if literal:
            return literal_text(object.value, object.datatype.value)
        iri = object.value
        if is_page(iri) and self._labels.is_record(iri):
            return iri
        return self._labels.name(iri) or (relation_name(iri) if predicate == TYPE else entity_name(iri))
