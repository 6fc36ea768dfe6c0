"""An audit of forgetting: facts are forgotten on copies of a knowledge base, and callers asked before and after.

A caller is whoever answers: a model with the calls it makes itself, one that is made to call, or an oracle. All are
asked the same of the same copies, so that they differ in nothing else.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.progress import track

from lamlam.corpus import Probe
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.audit.scores import AuditCase, AuditScores, Bystander
from lamlam.evaluate.audit.target import Proposition, Target, batches_apart, neighbours_of
from lamlam.evaluate.completion import Generator, ProbeRecord, ask_each
from lamlam.evaluate.forgetting import replaced
from lamlam.evaluate.results import Share
from lamlam.evaluate.scratch import scratch_copy
from lamlam.kb.store import KnowledgeBase

__all__ = ["Caller", "audit", "leakage"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who answers, made for a given knowledge base, and with which settings."""

    engine_on: Callable[[KnowledgeBase], Generator]
    settings: DecodingSettings


@dataclass(frozen=True, slots=True)
class _Batch:
    """Targets to forget together, and a question of each neighbour, with what it shares with one of them."""

    targets: Sequence[Target]
    neighbours: Sequence[tuple[Probe, frozenset[str]]]

    def questions(self) -> list[Probe]:
        own = (target.questions for target in self.targets)
        return [*chain(*own), *(probe for probe, _ in self.neighbours)]


_Answers = Mapping[str, ProbeRecord]
"""What a caller said to each question, by its id."""


def audit(
    kb_path: str | Path,
    targets: Sequence[Target],
    callers: Mapping[str, Caller],
    *,
    bystanders: Sequence[Target] = (),
    neighbours: int = 1,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, AuditScores]:
    """Forget every target and ask for it again, and for others that share something with it; scores by caller.

    Facts are forgotten in batches (`batches_apart`), each on a fresh copy. At most `neighbours` others that share the
    entity, and as many for the relation and the value, are asked for with each target, drawn by `seed` among the other
    targets and the `bystanders`. Raises `InputError` for a target that the knowledge base does not hold.
    """
    rng = random.Random(seed)
    plan = [_with_neighbours(batch, [*targets, *bystanders], neighbours, rng) for batch in batches_apart(targets, rng)]
    questions = [probe for batch in plan for probe in batch.questions()]
    own = [probe for target in targets for probe in target.questions]
    full, off = _before(kb_path, callers, questions, own)
    cases: dict[str, list[AuditCase]] = {name: [] for name in callers}
    bystanding: dict[str, list[Bystander]] = {name: [] for name in callers}
    for batch in track(plan, "audit", console=Console(stderr=True), transient=True, disable=not progress):
        with scratch_copy(kb_path) as kb:
            _forget(kb, batch.targets)
            left = {target.relation: [f.value for f in kb.facts(relation=target.relation)] for target in batch.targets}
            for name, caller in callers.items():
                on = ask_each(caller.engine_on(kb), batch.questions(), caller.settings)
                cases[name] += _cases(batch.targets, full[name], on, off[name], left)
                bystanding[name] += _bystanders(batch, full[name], on)
    return {name: AuditScores(tuple(cases[name]), tuple(bystanding[name])) for name in callers}


def leakage(engine: Generator, targets: Sequence[Target], settings: DecodingSettings) -> Share:
    """L of a model that makes no lookups: the questions that it answers right by its weights."""
    answers = ask_each(engine, (probe for target in targets for probe in target.questions), _without(settings))
    return Share.of([record.right for record in answers.values()])


def _with_neighbours(batch: Sequence[Target], pool: Sequence[Target], each: int, rng: random.Random) -> _Batch:
    drawn = neighbours_of(batch, pool, each, rng)
    return _Batch(batch, [(rng.choice(other.questions), shared) for other, shared in drawn])


def _before(
    kb_path: str | Path, callers: Mapping[str, Caller], questions: Sequence[Probe], own: Sequence[Probe]
) -> tuple[dict[str, _Answers], dict[str, _Answers]]:
    """FULL and DEL-OFF, by caller. Without lookups nothing is asked of the knowledge base: it may be whole as well."""
    full: dict[str, _Answers] = {}
    off: dict[tuple[Callable[[KnowledgeBase], Generator], DecodingSettings], _Answers] = {}
    weights: dict[str, _Answers] = {}
    with scratch_copy(kb_path) as kb:
        for name, caller in callers.items():
            engine, settings = caller.engine_on(kb), _without(caller.settings)
            full[name] = ask_each(engine, questions, caller.settings)
            key = caller.engine_on, settings
            off[key] = weights[name] = off.get(key) or ask_each(engine, own, settings)
    return full, weights


def _without(settings: DecodingSettings) -> DecodingSettings:
    """The same without lookups, and so without what concerns them."""
    plain = DecodingSettings()
    kept = {"entities": plain.entities, "relations": plain.relations, "on_miss": plain.on_miss}
    return settings.model_copy(update={"lookups": False, "force_call": False} | kept)


def _forget(kb: KnowledgeBase, targets: Sequence[Target]) -> None:
    for target in targets:
        for number, proposition in enumerate(target.to_forget):
            if number == 0 or _holds(kb, proposition):  # others may have gone with the first
                entity, relation, value = proposition
                kb.forget(entity=entity, relation=relation, value=value)


def _holds(kb: KnowledgeBase, proposition: Proposition) -> bool:
    entity, relation, value = proposition
    return any(fact.value == value for fact in kb.facts(entity, relation))


def _cases(
    targets: Sequence[Target], full: _Answers, on: _Answers, off: _Answers, left: Mapping[str, Sequence[str]]
) -> list[AuditCase]:
    return [
        AuditCase(full[probe.id], after, off[probe.id], replaced(after, left[target.relation]))
        for target in targets
        for probe in target.questions
        for after in [on[probe.id]]
    ]


def _bystanders(batch: _Batch, full: _Answers, on: _Answers) -> list[Bystander]:
    return [
        Bystander(before, shared, not on[probe.id].right)
        for probe, shared in batch.neighbours
        for before in [full[probe.id]]
        if before.right
    ]
