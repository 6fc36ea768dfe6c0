"""The questions of the resolution benchmark are labelled as they say."""

import pytest
from benchmarks.resolution.data import Benchmark, data_folder, load
from benchmarks.resolution.names import PERTURBATIONS, lookalikes
from benchmarks.resolution.page import OUT, RESULTS, page
from benchmarks.resolution.queries import queries

from lamlam.kb.names import normalise


@pytest.fixture(scope="module")
def data() -> Benchmark:
    if not (data_folder() / "lmlm").is_dir():
        pytest.skip(f"the public data is not in {data_folder()}")
    return load()


def test_what_has_no_answer_was_not_imported(data: Benchmark) -> None:
    held = {entity: {normalise(r) for _, r, _ in triples} for entity, triples in data.held.items()}
    asked = queries(data)
    for query in asked:
        if query.kind == "absent":
            assert normalise(query.relation) not in held.get(query.entity, ()), query
        else:
            assert query.values <= {v for _, _, v in data.held[query.owner]}, query
    assert {query.kind for query in asked} == {"as_written", "perturbed", "reworded", "absent"}


def test_no_fact_is_both_imported_and_left_out(data: Benchmark) -> None:
    for entity, triples in data.left_out.items():
        assert not set(triples) & set(data.held.get(entity, ()))
    assert not set(data.missing) & set(data.held)


def test_perturbed_names_differ_from_the_name_alone() -> None:
    import random

    for name, perturb in PERTURBATIONS.items():
        changed = perturb("Marie Curie", random.Random(1), {"Marie Curie": None})
        assert changed != "Marie Curie" or name == "accents dropped"
    made = dict(lookalikes("Elizabeth II", random.Random(0), {"Elizabeth II": None}))
    assert made["numeral"] != "Elizabeth II"


def test_the_page_is_that_of_the_results() -> None:
    import json

    figures = json.loads(RESULTS.read_text(encoding="utf-8"))["figures"]
    assert OUT.read_text(encoding="utf-8") == page(figures)
