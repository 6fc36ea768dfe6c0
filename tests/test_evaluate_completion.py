"""Fact completion, judged on engines whose right score is known beforehand."""

import pytest

from fakes_evaluate import FakeEngine, always, lookup, never, probe, said, sometimes
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.completion import Completions, complete
from lamlam.kb.fact import Status

SETTINGS = DecodingSettings(max_tokens=8)
PROBES = [
    probe(number, group="seen" if number % 2 else "unseen", mentions=number % 20 if number % 2 else 0)
    for number in range(200)
]


def run(answer: object, probes: list = PROBES) -> Completions:
    return complete(FakeEngine(probes, answer), probes, SETTINGS)  # type: ignore[arg-type]


def test_an_engine_that_is_always_right_scores_one() -> None:
    scores = run(always).scores
    assert [s.value for s in (scores["accuracy"], scores["asked"], scores["right_query"])] == [1, 1, 1]
    assert scores["accuracy"].n == 200


def test_an_engine_that_is_never_right_scores_nothing() -> None:
    scores = run(never).scores
    assert [s.value for s in (scores["accuracy"], scores["asked"], scores["right_query"])] == [0, 0, 0]


def test_an_engine_that_is_right_by_chance_scores_its_chance() -> None:
    accuracy = run(sometimes(0.5)).scores["accuracy"]
    low, high = accuracy.interval
    assert low < 0.5 < high
    assert high - low < 0.15


def test_an_engine_whose_lookups_are_broken_loses_its_accuracy() -> None:
    def broken(p: object) -> object:
        miss = lookup(p.entity, p.relation, status=Status.UNKNOWN_ENTITY)  # type: ignore[attr-defined]
        return said(p.prompt, " unknown.", miss)  # type: ignore[attr-defined]

    scores = run(broken).scores
    assert scores["accuracy"].value == 0
    assert scores["right_query"].value == 1


def test_a_query_is_compared_as_the_knowledge_base_compares_names() -> None:
    probes = [probe(1), probe(2), probe(3), probe(4)]
    queries = {
        "p1": ("person_1", "BIRTH  PLACE"),
        "p2": ("Person 2", "Birth Date"),
        "p3": ("Person 33", "Birth Place"),
        "p4": ("Person 4", "Birth Place"),
    }
    scores = run(lambda p: said(p.prompt, " nowhere", lookup(*queries[p.id], "x")), probes).scores
    assert (scores["right_query"].hits, scores["entity_right"].hits, scores["relation_right"].hits) == (2, 3, 3)


def test_only_the_first_call_is_the_query() -> None:
    p = probe(1)
    both = (lookup("Person 9", "Birth Place", "x"), lookup(p.entity, p.relation, "Town 1"))
    scores = run(lambda _: said(p.prompt, " Town 1", *both), [p]).scores
    assert (scores["right_query"].hits, scores["accuracy"].hits) == (0, 1)


def test_groups_and_mention_counts_divide_the_probes() -> None:
    result = run(lambda p: always(p) if p.group == "seen" else never(p))
    groups = result.groups()
    assert (groups["seen"]["accuracy"].value, groups["unseen"]["accuracy"].value) == (1, 0)
    buckets = result.by_mentions()
    assert list(buckets) == ["1", "2-3", "4-7", "8-15", "16+"]
    assert sum(scores["accuracy"].n for scores in buckets.values()) == 100, "a fact never stated is in no bucket"
    assert {label: s["accuracy"].n for label, s in buckets.items()} == {
        "1": 10,
        "2-3": 10,
        "4-7": 20,
        "8-15": 40,
        "16+": 20,
    }


def test_records_keep_the_order_of_the_probes_whatever_the_batches() -> None:
    probes = [probe(n, prompt="x" * ((n * 7) % 30) + f" {n} was born in") for n in range(30)]
    engine = FakeEngine(probes, always)
    result = complete(engine, probes, SETTINGS, batch_size=8)
    assert [record.probe for record in result.records] == probes
    assert engine.batches == [8, 8, 8, 6]
    assert all(record.right for record in result.records)


def test_failures_can_be_looked_at() -> None:
    result = run(lambda p: never(p) if p.id in ("p3", "p5", "p7") else always(p))
    wrong = [record for record in result.records if not record.right]
    assert [record.probe.id for record in wrong] == ["p3", "p5", "p7"]
    assert wrong[0].continuation == " nowhere."


def test_figures_hold_counts_and_intervals() -> None:
    figures = run(always).figures()
    assert figures["seen"]["accuracy"] == 1
    assert figures["seen"]["n"] == 100
    assert figures["seen"]["interval"][0] == pytest.approx(0.963, abs=1e-3)
    assert figures["by_mentions"]["16+"]["accuracy"] == 1


def test_no_probes_give_no_number() -> None:
    assert run(always, []).figures()["all"]["accuracy"] is None
