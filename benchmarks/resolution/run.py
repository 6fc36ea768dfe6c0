"""Ask all queries of one part, of us and of the paper's retriever, and count what was right and what was wrong."""

import random
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.resolution.data import REWORDINGS, Benchmark, Triple, load
from benchmarks.resolution.paper import PaperRetriever
from benchmarks.resolution.queries import Query, queries
from lamlam.evaluate.results import Proportion
from lamlam.kb import KnowledgeBase, Status
from lamlam.kb.matching.mining import read_rewordings
from lamlam.kb.names import normalise

__all__ = ["AIMS", "resolution"]

AIMS = {
    "ours_as_written": ">= 1",
    "ours_perturbed": ">= 0.95",
    "ours_reworded": ">= 0.85",
    "ours_absent": "<= 0.03",
    "fuzzy_median_ms.reworded": "<= 15",
    "fuzzy_median_ms.perturbed": "<= 15",
}

_TIMED = 200  # lookups of the paper's retriever
_GONE = 150  # facts that are retracted, and facts that are forgotten

Answer = Triple | None


def resolution(folder: Path, part: str = "test", paper: bool = True) -> dict[str, Any]:
    """The figures of a part; `paper` says whether its retriever is asked as well."""
    data = load()
    asked = [query for query in queries(data) if query.part == part]
    triples = [triple for held in data.held.values() for triple in held]
    with KnowledgeBase.open(folder / "resolution.sqlite", create=True) as kb:
        kb.add(triples)
        kb.learn()
        gone = _taken_away(data, asked, part)
        ours: list[Answer] = []
        statuses, seconds = [], []
        for query in asked:
            started = time.perf_counter()
            found = kb.lookup(query.entity, query.relation)
            seconds.append(time.perf_counter() - started)
            statuses.append(found.status)
            ours.append(_told(found.facts, query))
        for query in gone:
            _take_away(kb, query)
            found = kb.lookup(query.entity, query.relation)
            statuses.append(found.status)
            seconds.append(0.0)
            ours.append(_told(found.facts, query))
    figures: dict[str, Any] = {"facts": len(triples), "entities": len(data.held), "part": part}
    figures["ours"] = _figures([*asked, *gone], ours) | {"status": _counted([*asked, *gone], statuses)}
    figures["fuzzy_median_ms"] = _median_ms(asked, statuses, seconds)
    figures |= _headline(figures["ours"], "ours")
    if paper:
        retriever = PaperRetriever(triples)
        theirs: list[Answer] = list(retriever.look_up([(query.entity, query.relation) for query in asked]))
        for query in gone:
            retriever.delete(query.owner, query.target)
        theirs += retriever.look_up([(query.entity, query.relation) for query in gone])
        figures["paper"] = _figures([*asked, *gone], theirs)
        figures |= _headline(figures["paper"], "paper")
        figures["speed"] = _speed(asked, seconds, retriever)
    return figures


def _speed(asked: Sequence[Query], seconds: Sequence[float], retriever: PaperRetriever) -> dict[str, float]:
    """One lookup at a time, of names as written, in this very run: medians, and how many of ours fit into one."""
    written = [(query, took) for query, took in zip(asked, seconds, strict=False) if query.kind == "as_written"]
    chosen = random.Random(0).sample(written, min(len(written), _TIMED))
    ours = statistics.median(took for _, took in written)
    paper = statistics.median(retriever.seconds((query.entity, query.relation)) for query, _ in chosen)
    return {"ours_us": round(ours * 1e6, 1), "paper_ms": round(paper * 1e3, 1), "times_as_fast": round(paper / ours)}


def _headline(found: dict[str, Any], who: str) -> dict[str, float]:
    kinds = ("as_written", "perturbed", "reworded", "absent")
    return {f"{who}_{kind}": found[kind]["all"]["share"] for kind in kinds}


def _taken_away(data: Benchmark, asked: list[Query], part: str) -> list[Query]:
    """Queries whose facts are to be retracted or forgotten: as written, and by another name of the relation."""
    fit = [query for query in asked if query.kind == "as_written" and _stands_alone(data, query)]
    meanings = read_rewordings(REWORDINGS)
    gone = []
    for at, query in enumerate(random.Random(0).sample(fit, min(len(fit), 2 * _GONE))):
        norm, way = normalise(query.relation), "retracted" if at % 2 else "forgotten"
        asked_for = replace(query, kind="absent", subkind=way, target=query.relation)
        others = [name for meaning in meanings if norm in meaning.names for name in meaning.names if name != norm]
        gone.append(asked_for)
        gone += [replace(asked_for, subkind=f"{way}, reworded", relation=other) for other in others[:1]]
    return gone


def _stands_alone(data: Benchmark, query: Query) -> bool:
    """Whether the entity keeps other facts, and none in a relation of the same meaning, or with the same value."""
    norm, values = normalise(query.relation), set(map(normalise, query.values))
    others = [(r, v) for _, r, v in data.held[query.owner] if normalise(r) != norm]
    return bool(others) and not any(normalise(v) in values or data.same_meaning(query.relation, r) for r, v in others)


def _take_away(kb: KnowledgeBase, query: Query) -> None:
    """Retract or forget what a query asks for, if it still stands."""
    ids = [f.id for f in kb.facts(query.owner) if normalise(f.relation) == normalise(query.target)]
    if ids and query.subkind.startswith("forgotten"):
        kb.forget(entity=query.owner, relation=query.target)
    else:
        for number in ids:
            kb.retract(number)


def _told(facts: Sequence[Any], query: Query) -> Answer:
    """The answer as a triple; a right one among several counts as the answer."""
    if not facts:
        return None
    best = next((fact for fact in facts if fact.value in query.values), facts[0])
    return best.entity, best.relation, best.value


def _figures(asked: Iterable[Query], answers: Iterable[Answer]) -> dict[str, Any]:
    """Shares right of what has an answer, and of wrong answers to what has none, by kind and subkind."""
    outcomes: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    wrong: dict[str, list[bool]] = defaultdict(list)
    by_relation: dict[str, list[bool]] = defaultdict(list)
    for query, answer in zip(asked, answers, strict=True):
        if query.kind == "absent":
            hit = answer is not None
        else:
            hit = answer is not None and answer[0] == query.owner and answer[2] in query.values
            wrong[query.kind].append(answer is not None and not hit)
        if query.kind == "reworded":
            by_relation[f"{query.relation}|{query.target}"].append(hit)
        outcomes[query.kind]["all"].append(hit)
        if query.kind == "absent":
            outcomes[query.kind][_family(query.subkind)].append(hit)
        if query.subkind:
            outcomes[query.kind][query.subkind].append(hit)
    figures: dict[str, Any] = {
        kind: {name: Proportion.of(hits).as_json("share") for name, hits in sorted(subkinds.items())}
        for kind, subkinds in outcomes.items()
    }
    figures["wrong"] = {kind: Proportion.of(hits).as_json("share") for kind, hits in wrong.items()}
    means = [statistics.fmean(hits) for hits in by_relation.values()]
    figures["reworded_by_pair"] = {"pairs": len(means), "mean": round(statistics.fmean(means), 4) if means else None}
    return figures


def _family(subkind: str) -> str:
    if subkind.startswith(("missing", "look-alike")):
        return "entities that do not exist"
    return "deleted facts" if subkind.startswith(("retracted", "forgotten")) else "relations that an entity lacks"


def _counted(asked: Iterable[Query], statuses: Iterable[Status]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for query, status in zip(asked, statuses, strict=True):
        counts[query.kind][str(status)] += 1
    return {kind: dict(sorted(found.items())) for kind, found in counts.items()}


def _median_ms(asked: Sequence[Query], statuses: Sequence[Status], seconds: Sequence[float]) -> dict[str, float]:
    """Of lookups that were not settled by name: misspelt entities, reworded relations, relations that are absent."""
    times: dict[str, list[float]] = defaultdict(list)
    for query, status, each in zip(asked, statuses, seconds, strict=False):
        if query.kind != "as_written" and status is not Status.EXACT:
            times[query.kind].append(each)
    return {kind: round(statistics.median(found) * 1e3, 2) for kind, found in times.items()}
