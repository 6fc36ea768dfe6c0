"""A document dense with facts: the work grows with its length, not with the square of it.

Every line has an entity of its own and a value that a seventh of all lines have, and all share their first word.
"""

import gc
import time
from collections.abc import Callable

import pytest

from lamlam.annotate.align import AlignAnnotator, Aligner
from lamlam.annotate.clean import Cleaner, CleaningTally
from lamlam.annotate.spans import Introductions, facts_in
from lamlam.corpus import FactRecord
from lamlam.markup import AnnotatedDocument

FEW, TIMES = 400, 5


def dense(lines: int) -> tuple[str, list[FactRecord]]:
    places = [f"North Township{i}" for i in range(lines)]
    text = "\n".join(f"{place} is in Region{i % 7} County, population {1000 + i}." for i, place in enumerate(places))
    facts = [FactRecord(place, "Region", f"Region{i % 7} County") for i, place in enumerate(places)]
    facts += [FactRecord(place, "Population", str(1000 + i)) for i, place in enumerate(places)]
    return text, facts


def annotated(lines: int) -> AnnotatedDocument:
    text, facts = dense(lines)
    return Aligner(stated=False).annotate(text, facts, "d").document


def align_known_facts(lines: int) -> Callable[[], object]:
    text, facts = dense(lines)
    annotator = AlignAnnotator(facts)
    return lambda: annotator.annotate(AnnotatedDocument("d", text))


def align_stated_facts(lines: int) -> Callable[[], object]:
    text, facts = dense(lines)
    return lambda: Aligner(stated=True).annotate(text, facts, "d")


def find_values(lines: int) -> Callable[[], object]:
    document = annotated(lines)
    return lambda: facts_in(document)


def introduce_entities(lines: int) -> Callable[[], object]:
    document = annotated(lines)
    return lambda: list(map(Introductions(document).precede, document.calls))


def clean(lines: int) -> Callable[[], object]:
    document = annotated(lines)
    return lambda: list(Cleaner().clean(lambda: [document], CleaningTally()))


@pytest.mark.parametrize("work", [align_known_facts, align_stated_facts, find_values, introduce_entities, clean])
def test_the_work_grows_with_the_length(work: Callable[[int], Callable[[], object]]) -> None:
    few, many = (min(seconds(work(lines)) for _ in range(2)) for lines in (FEW, FEW * TIMES))
    assert many < few * TIMES * 2.5, f"{many / few:.1f} times the work for {TIMES} times the text"


def seconds(work: Callable[[], object]) -> float:
    gc.disable()  # what else the process holds would be looked through meanwhile
    try:
        started = time.process_time()
        work()
        return time.process_time() - started
    finally:
        gc.enable()


def test_every_fact_of_a_dense_document_stands_at_its_own_line() -> None:
    text, facts = dense(300)
    for stated in (True, False):
        aligned = Aligner(stated=stated).annotate(text, facts, "d")
        assert not aligned.unplaced
        lines = {f"North Township{i}": i for i in range(300)}
        assert all(text.count("\n", 0, fact.start) == lines[fact.entity] for fact in aligned.placed)
