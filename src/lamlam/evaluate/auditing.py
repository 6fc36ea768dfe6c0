"""An audit of forgetting: facts are forgotten on copies of a knowledge base, and callers asked before and after.

A caller is whoever answers: a model with the calls it makes itself, one that is made to call, or an oracle. All are
asked the same about the same copies. The states are `full`, `forgotten`, and `off`: forgotten, without lookups.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamlam.corpus import Probe
from lamlam.engine.generation import Generation, Lookup
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.completion import Generator, ProbeRecord, Row, ask_each, replaced, tracked
from lamlam.evaluate.evaluation import scratch_copy
from lamlam.evaluate.results import EXAMPLES, Proportion, Result, measure, with_detail
from lamlam.kb.names import normalise
from lamlam.kb.store import KnowledgeBase

__all__ = ["Caller", "OracleCaller", "Proposition", "Target", "audit", "batches_apart", "leakage", "neighbours_of"]

_PARTS = ("entity", "relation", "value")
Proposition = tuple[str, str, str]
"""Entity, relation, value."""

_MEASURES: dict[str, Callable[[Row], bool | None]] = {
    # Of the questions of forgotten facts (L and R as in arXiv 2607.00605).
    # full, returned: before, the answer is right; the first call's lookup returned an answer, whatever was made of it.
    "full": lambda row: row["full"].right,
    "returned": lambda row: row["full"].returned,
    # leakage, L: right without lookups, so that it is left in the weights.
    "leakage": lambda row: row["off"].right,
    # recovery, R: right with lookups only, so that it came back by one. What survives beyond L is this.
    "recovery": lambda row: row["forgotten"].right and not row["off"].right,
    # interference: right without lookups only, so that a lookup spoilt what the weights know.
    "interference": lambda row: row["off"].right and not row["forgotten"].right,
    # came_back: the first call's lookup still returned an answer, whatever was made of it.
    "came_back": lambda row: row["forgotten"].returned,
    # Of those that were right before: still right; wrong, with something else put in the fact's place.
    "survival": lambda row: row["forgotten"].right if row["full"].right else None,
    "wrong_answer": lambda row: row.about["replaced"] and not row["forgotten"].right if row["full"].right else None,
}


@dataclass(frozen=True, slots=True)
class Target:
    """A fact to forget and its questions; the group of a question says how it is worded.

    `same` are propositions that state the same under other names. With `by_hand` each of them is forgotten too, as by a
    user whose knowledge base has no aliases; otherwise that is left to the knowledge base.
    """

    entity: str
    relation: str
    value: str
    questions: tuple[Probe, ...]
    same: frozenset[Proposition] = frozenset()
    by_hand: bool = False

    @property
    def proposition(self) -> Proposition:
        return self.entity, self.relation, self.value

    @property
    def to_forget(self) -> list[Proposition]:
        """What is forgotten, in order."""
        return [self.proposition, *sorted(self.same - {self.proposition} if self.by_hand else ())]

    def parts(self) -> dict[str, str]:
        """Entity, relation and value, as names are compared."""
        return dict(zip(_PARTS, map(normalise, self.proposition), strict=True))


def batches_apart(targets: Iterable[Target], rng: random.Random) -> list[list[Target]]:
    """Put targets into batches within which no two share an entity, a relation or a value.

    Each is then measured as if it were forgotten alone: none is the nearest neighbour of another in its batch, and none
    is needed to answer another's questions.
    """
    batches: list[list[Target]] = []
    used: list[set[tuple[str, str]]] = []
    waiting = list(targets)
    rng.shuffle(waiting)
    for target in waiting:
        parts = set(target.parts().items())
        place = next((number for number, taken in enumerate(used) if not taken & parts), len(batches))
        if place == len(batches):
            batches.append([])
            used.append(set())
        batches[place].append(target)
        used[place] |= parts
    return batches


def neighbours_of(
    batch: Sequence[Target], pool: Sequence[Target], limit: int, rng: random.Random
) -> list[tuple[Target, frozenset[str]]]:
    """Draw others of `pool` that share an entity, a relation or a value with one of the batch, with what they share.

    At most `limit` are drawn for a target and a part. What the batch's targets state themselves, in any names, is left
    out.
    """
    gone: Set[Proposition] = {proposition for target in batch for proposition in (target.proposition, *target.same)}
    others = {other.proposition: other for other in pool if other.proposition not in gone}
    parts = {proposition: other.parts() for proposition, other in others.items()}
    drawn: dict[Proposition, set[str]] = {}
    for target in batch:
        for part, name in target.parts().items():
            sharing = [proposition for proposition in others if parts[proposition][part] == name]
            for proposition in rng.sample(sharing, min(limit, len(sharing))):
                drawn.setdefault(proposition, set()).add(part)
    return [(others[proposition], frozenset(shared)) for proposition, shared in drawn.items()]


class OracleCaller:
    """Asks for a probe's entity and relation, and answers with what is returned, or "unknown".

    It always asks the right question, so that what comes back is the knowledge base's doing alone. Like an engine, it
    follows the settings for lookups and misses.
    """

    def __init__(self, kb: KnowledgeBase, probes: Iterable[Probe]) -> None:
        self._kb = kb
        self._queries = {probe.prompt: (probe.entity, probe.relation) for probe in probes}

    def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
        """Answer each prompt. Raises `KeyError` for one that belongs to none of the probes."""
        queries = [self._queries[prompt] for prompt in prompts]
        if not settings.lookups:
            return [Generation(prompt, " unknown", (), "eos", (), ()) for prompt in prompts]
        found = self._kb.lookup_many(queries)
        if settings.on_miss == "nearest":
            found = [hit if hit.found else self._kb.nearest(hit.entity, hit.relation) for hit in found]
        values = [resolution.text or "unknown" for resolution in found]
        return [
            Generation(prompt, f" {value}", (Lookup(*query, resolution, value),), "eos", (), ())
            for prompt, query, resolution, value in zip(prompts, queries, found, values, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who answers, made for a given knowledge base, and with which settings."""

    engine_on: Callable[[KnowledgeBase], Generator]
    settings: DecodingSettings


_Answers = Mapping[str, ProbeRecord]


def audit(
    kb_path: str | Path,
    targets: Sequence[Target],
    callers: Mapping[str, Caller],
    *,
    bystanders: Sequence[Target] = (),
    neighbours: int = 1,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, Result]:
    """Forget every target and ask for it again, and for others that share something with it; results by caller.

    Facts are forgotten in batches (`batches_apart`), each on a fresh copy. At most `neighbours` others that share the
    entity, and as many for the relation and the value, are asked for with each target, drawn by `seed` among the other
    targets and the `bystanders`. Raises `InputError` for a target that the knowledge base does not hold.
    """
    rng = random.Random(seed)
    pool = [*targets, *bystanders]
    plan = [
        (
            batch,
            [(rng.choice(other.questions), shared) for other, shared in neighbours_of(batch, pool, neighbours, rng)],
        )
        for batch in batches_apart(targets, rng)
    ]
    questions = [[*_questions(batch), *(probe for probe, _ in beside)] for batch, beside in plan]
    full, off = _before(kb_path, callers, [probe for asked in questions for probe in asked], _questions(targets))
    cases: dict[str, list[Row]] = {name: [] for name in callers}
    others: dict[str, list[Row]] = {name: [] for name in callers}
    for (batch, beside), asked in zip(tracked(plan, "audit", progress), questions, strict=True):
        with scratch_copy(kb_path) as kb:
            _forget(kb, batch)
            left = {target.relation: [fact.value for fact in kb.facts(relation=target.relation)] for target in batch}
            for name, caller in callers.items():
                on, before, without = ask_each(caller.engine_on(kb), asked, caller.settings), full[name], off[name]
                for target, id in [(fact, probe.id) for fact in batch for probe in fact.questions]:
                    states = {"full": before[id], "forgotten": on[id], "off": without[id]}
                    cases[name].append(Row(states, {"replaced": replaced(on[id], left[target.relation])}))
                for probe, shared in beside:
                    states = {"full": before[probe.id], "forgotten": on[probe.id]}
                    others[name].append(Row(states, {"shares": shared}))
    return {name: _result(cases[name], others[name]) for name in callers}


def leakage(engine: Generator, targets: Sequence[Target], settings: DecodingSettings) -> Proportion:
    """L of a model that makes no lookups: the questions that it answers right from its weights."""
    answers = ask_each(engine, _questions(targets), _without_lookups(settings))
    return Proportion.of(record.right for record in answers.values())


def _result(cases: Sequence[Row], beside: Sequence[Row]) -> Result:
    """The measures, also by wording and by what neighbours share; examples that went wrong come first.

    collateral: of the questions about neighbours that were right before, those that are wrong now.
    """
    wordings: dict[str, list[Row]] = defaultdict(list)
    for row in cases:
        wordings[row.probe.group].append(row)
    by_wording = {name: _plain(wordings[name]) for name in sorted(wordings)} if len(wordings) > 1 else {}
    known = [row for row in beside if row["full"].right]
    by_part = {
        part: Proportion.of(not row["forgotten"].right for row in known if part in row.about["shares"]).as_json("share")
        for part in _PARTS
    }
    collateral = Proportion.of(not row["forgotten"].right for row in known)
    wrong_first = sorted(
        cases, key=lambda row: not (row["forgotten"].right or row["off"].right or row.about["replaced"])
    )
    return Result(
        "audit",
        measure(cases, _MEASURES) | {"collateral": collateral},
        {"by_wording": by_wording, "collateral_by_shared": by_part},
        [_example(row) for row in wrong_first[:EXAMPLES]],
        rows=cases,
    )


def _plain(rows: Sequence[Row]) -> dict[str, Any]:
    """The measures as plain numbers, and the number of cases."""
    figures = with_detail(measure(rows, _MEASURES))
    del figures["detail"]
    return figures | {"n": len(rows)}


def _example(row: Row) -> dict[str, Any]:
    states = {"full": "full", "del_on": "forgotten", "del_off": "off"}
    example: dict[str, Any] = {"prompt": row.probe.prompt, "status": row["forgotten"].status}
    return example | {name: row[state].statement.strip() for name, state in states.items()}


def _questions(targets: Iterable[Target]) -> list[Probe]:
    return [probe for target in targets for probe in target.questions]


def _before(
    kb_path: str | Path, callers: Mapping[str, Caller], questions: Sequence[Probe], own: Sequence[Probe]
) -> tuple[dict[str, _Answers], dict[str, _Answers]]:
    """Answers in the states `full` and `off`, by caller. Without lookups the knowledge base may be whole as well.

    Callers that differ in their lookups alone are asked without them once.
    """
    full: dict[str, _Answers] = {}
    off: dict[str, _Answers] = {}
    by_weights: dict[tuple[Callable[[KnowledgeBase], Generator], DecodingSettings], _Answers] = {}
    with scratch_copy(kb_path) as kb:
        for name, caller in callers.items():
            engine, settings = caller.engine_on(kb), _without_lookups(caller.settings)
            full[name] = ask_each(engine, questions, caller.settings)
            key = caller.engine_on, settings
            off[name] = by_weights[key] = by_weights.get(key) or ask_each(engine, own, settings)
    return full, off


def _without_lookups(settings: DecodingSettings) -> DecodingSettings:
    """The same settings without lookups, and with defaults for all that concerns these."""
    plain = DecodingSettings()
    kept = {"entities": plain.entities, "relations": plain.relations, "on_miss": plain.on_miss}
    return settings.model_copy(update={"lookups": False, "force_call": False} | kept)


def _forget(kb: KnowledgeBase, targets: Sequence[Target]) -> None:
    for target in targets:
        for number, (entity, relation, value) in enumerate(target.to_forget):
            # Others may have gone with the first.
            if number == 0 or any(fact.value == value for fact in kb.facts(entity, relation)):
                kb.forget(entity=entity, relation=relation, value=value)
