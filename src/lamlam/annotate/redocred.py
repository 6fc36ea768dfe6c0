"""Re-DocRED as a corpus to train on: Wikipedia introductions in which people marked entities and their relations.

A triple says that a text states a fact, not where. It becomes a call where the text first mentions the tail after it
has mentioned the head.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lamlam.corpus import Corpus
from lamlam.corpus.lines import Entry, read_entries
from lamlam.corpus.split import hold_out_documents
from lamlam.markup import AnnotatedDocument, Call

__all__ = ["read_redocred", "redocred_corpus"]


@dataclass(frozen=True, slots=True)
class _Entity:
    name: str
    mentions: tuple[tuple[int, int], ...]


def redocred_corpus(path: str | Path, *, heldout_every: int = 20) -> Corpus:
    """The documents of a JSON Lines file with their calls, every `heldout_every`-th held out. Raises `InputError`."""
    return hold_out_documents(list(read_redocred(path)), every=heldout_every)


def read_redocred(path: str | Path) -> Iterator[AnnotatedDocument]:
    """The documents of a JSON Lines file of `{"title", "text", "entities", "triples"}`. Raises `InputError`.

    A pair of entities has at most one call, at the tail's first mention behind the head's; of a relation and its
    inverse the one that comes first in the text. A place has one call at most, that of the head mentioned most.
    """
    for entry in read_entries(path):
        yield _document(entry)


def _document(entry: Entry) -> AnnotatedDocument:
    title, text = entry.text("title", empty=False), entry.text("text", empty=False)
    entities = [_entity(one) for one in entry.entries("entities")]
    chosen: dict[int, tuple[int, Call]] = {}
    pairs: set[frozenset[int]] = set()
    for head, tail, relation in _triples(entry, len(entities)):
        known_from = min(end for _, end in entities[head].mentions)
        at = min((start for start, _ in entities[tail].mentions if start >= known_from), default=None)
        if at is None or frozenset((head, tail)) in pairs:
            continue
        pairs.add(frozenset((head, tail)))
        weight = len(entities[head].mentions) + 10 * (entities[head].name == title)
        if at not in chosen or weight > chosen[at][0]:
            chosen[at] = weight, Call(_written(text, entities[head]), relation, entities[tail].name, at)
    return AnnotatedDocument(title, text, tuple(chosen[at][1] for at in sorted(chosen)), title)


def _entity(entry: Entry) -> _Entity:
    spans = entry.value.get("mentions")
    if not isinstance(spans, list) or not spans or not all(_is_span(span) for span in spans):
        raise entry.error("must be a list of [start, end]", "mentions")
    return _Entity(entry.text("name", empty=False), tuple(sorted((start, end) for start, end in spans)))


def _is_span(span: object) -> bool:
    return isinstance(span, list) and len(span) == 2 and all(isinstance(place, int) for place in span)


def _triples(entry: Entry, entities: int) -> Iterator[tuple[int, int, str]]:
    for one in entry.entries("triples"):
        head, tail = one.number("head", least=0), one.number("tail", least=0)
        if max(head, tail) >= entities:
            raise one.error(f"there are {entities} entities", "head" if head >= entities else "tail")
        if head != tail:
            yield head, tail, one.text("relation", empty=False)


def _written(text: str, entity: _Entity) -> str:
    """The entity as the text writes it first: what a model can copy."""
    start, end = entity.mentions[0]
    return " ".join(text[start:end].split())
