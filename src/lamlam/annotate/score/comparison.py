"""Compares one annotated document with the gold's: counts, which `score` adds up."""

from collections import Counter
from dataclasses import dataclass

from lamlam.annotate.introduced import Introductions
from lamlam.annotate.score.matching import PlacedCall, match
from lamlam.annotate.score.textmap import TextMap
from lamlam.annotate.spans import value_span
from lamlam.kb.names import normalise
from lamlam.markup import AnnotatedDocument

__all__ = ["Comparison", "Profile", "compare", "profile"]

Counts = tuple[int, int, int]  # hits, predicted, gold


@dataclass(frozen=True, slots=True)
class Comparison:
    """Hits, predicted and gold of each measure; each measure is told in `compare`."""

    span_exact: Counts
    span_overlap: Counts
    entity: Counts
    relation_exact: Counts
    relation_meaning: Counts
    call_exact: Counts
    call_meaning: Counts
    fact: Counts


@dataclass(frozen=True, slots=True)
class Profile:
    """Of one document's annotation: words, calls, calls without a place of their value, calls that come too early."""

    words: int
    calls: int
    unplaced: int
    early: int


def compare(gold: AnnotatedDocument, predicted: AnnotatedDocument, threshold: float) -> Comparison:
    """How far the prediction agrees with the gold; relations mean the same from `threshold` on.

    `span_*`: calls whose values stand in the same place, or overlap. `entity`, `relation_*`: of those that overlap, the
    ones with the same entity, the same relation. `call_exact`: same place, entity and relation. `call_meaning`: they
    overlap, the entity is the same, the relation means the same. Calls whose value stands nowhere in the text are in
    none of these, but in `fact`: the same entity, relation and value, wherever it stands.
    """
    there = _placed(predicted, TextMap(predicted.text, gold.text))
    here = _placed(gold, TextMap(gold.text, gold.text))
    pairs = match(here, there)

    def found(hits: int) -> Counts:
        return hits, len(there), len(here)

    def of_pairs(hits: int) -> Counts:
        return hits, len(pairs), len(pairs)

    return Comparison(
        span_exact=found(sum(pair.same_span for pair in pairs)),
        span_overlap=found(len(pairs)),
        entity=of_pairs(sum(pair.same_entity for pair in pairs)),
        relation_exact=of_pairs(sum(pair.same_relation for pair in pairs)),
        relation_meaning=of_pairs(sum(pair.relation >= threshold for pair in pairs)),
        call_exact=found(sum(pair.same_span and pair.same_entity and pair.same_relation for pair in pairs)),
        call_meaning=found(sum(pair.same_entity and pair.relation >= threshold for pair in pairs)),
        fact=((_facts(gold) & _facts(predicted)).total(), len(predicted.calls), len(gold.calls)),
    )


def profile(document: AnnotatedDocument) -> Profile:
    """What an annotation is like, by itself."""
    introductions = Introductions(document)
    return Profile(
        words=len(document.text.split()),
        calls=len(document.calls),
        unplaced=sum(value_span(document.text, call.value, call.at) is None for call in document.calls),
        early=sum(not introductions.precede(call) for call in document.calls),
    )


def _placed(document: AnnotatedDocument, onto: TextMap) -> list[PlacedCall]:
    found = ((call, value_span(document.text, call.value, call.at)) for call in document.calls)
    moved = ((call, onto.span(*span)) for call, span in found if span is not None)
    return [PlacedCall(call, *span) for call, span in moved if span is not None]


def _facts(document: AnnotatedDocument) -> Counter[tuple[str, str, str]]:
    return Counter((normalise(call.entity), normalise(call.relation), normalise(call.value)) for call in document.calls)
