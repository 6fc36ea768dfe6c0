"""The tasks `audit` and `audit_countries`: who is asked, on which databases."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lamlam.corpus import FactRecord, Probe
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError
from lamlam.evaluate.audit.audit import Caller, audit, leakage
from lamlam.evaluate.audit.countries import VARIANTS, build_database, read_targets, sampled
from lamlam.evaluate.audit.listed import listed_bystanders, listed_targets
from lamlam.evaluate.audit.oracle import OracleCaller
from lamlam.evaluate.audit.planted import Planted, plant
from lamlam.evaluate.audit.scores import AuditResult, AuditScores
from lamlam.evaluate.audit.target import Target
from lamlam.evaluate.evaluation import Evaluation, Unfit
from lamlam.evaluate.results import Result, Share, stated
from lamlam.evaluate.scratch import scratch_copy
from lamlam.kb.store import KnowledgeBase

__all__ = ["LeakageResult", "audit_countries", "audit_listed", "audit_world", "model_callers", "oracle_callers"]

_MARGIN = 3
_NEAREST = {"on_miss": "nearest", "entities": "free", "relations": "free"}


@dataclass(frozen=True, slots=True)
class LeakageResult:
    """L of a model without lookups, on each database: nothing can be deleted from its weights."""

    shares: Mapping[str, Share]
    task: str = "audit"

    def figures(self) -> dict[str, Any]:
        return {database: stated({"leakage": share}) for database, share in self.shares.items()}


def audit_world(evaluation: Evaluation) -> dict[str, Result]:
    """`audit`: the run's own world, with hostile doubles. Raises `Unfit` where no probe asks for a fact of it."""
    return {"audit": _world(evaluation)}


def audit_countries(evaluation: Evaluation) -> dict[str, Result]:
    """`audit_countries`: databases that every run can be asked about. Raises `MissingData` without them."""
    return {"audit_countries": _countries(evaluation, evaluation.data_at("audit", "countries"))}


def audit_listed(evaluation: Evaluation, records: Iterable[FactRecord], neighbours: int) -> AuditResult:
    """The audit of facts that a user lists. Raises `InputError` for one that the knowledge base does not hold."""
    evaluation.lmlm_only("audit")
    with KnowledgeBase.open(evaluation.kb_path) as kb:
        targets = listed_targets(kb, records, evaluation.corpus.probes)
        bystanders = listed_bystanders(kb, targets)
    if not targets:
        raise InputError("no fact is listed: there is nothing to forget")
    everything = [*targets, *bystanders]
    scores = audit(
        evaluation.kb_path,
        targets,
        model_callers(evaluation, everything, forced=True) | oracle_callers(everything),
        bystanders=bystanders,
        neighbours=neighbours,
        seed=evaluation.seed,
        progress=evaluation.progress,
    )
    return AuditResult({"facts": len(targets)}, {"facts": scores})


def model_callers(evaluation: Evaluation, targets: Iterable[Target], *, forced: bool) -> dict[str, Caller]:
    """The model with the calls it makes itself, by our policy and by the nearest neighbour; and, where it is to be
    `forced`, with a call at the prompt's end, which by our policy asks for a relation that the entity has.

    As only a continuation's beginning counts, none is longer than the longest answer and a little more.
    """
    encode = evaluation.checkpoint.vocabulary.encode
    answers = {answer for target in targets for probe in target.questions for answer in probe.answers}
    longest = max((len(encode(answer)) for answer in answers), default=0) + _MARGIN
    ours = evaluation.settings.model_copy(update={"max_tokens": min(longest, evaluation.settings.max_tokens)})
    nearest = ours.model_copy(update=_NEAREST)
    settings = {"model": ours, "model_nearest": nearest}
    if forced:
        settings["forced"] = ours.model_copy(update={"force_call": True, "relations": "known"})
        settings["forced_nearest"] = nearest.model_copy(update={"force_call": True})
    return {name: Caller(evaluation.engine_on, each) for name, each in settings.items()}


def oracle_callers(targets: Iterable[Target]) -> dict[str, Caller]:
    """The knowledge base alone, asked the right question, by both policies."""
    probes: list[Probe] = [probe for target in targets for probe in target.questions]

    def engine_on(kb: KnowledgeBase) -> OracleCaller:
        return OracleCaller(kb, probes)

    plain = DecodingSettings()
    return {
        "oracle": Caller(engine_on, plain),
        "oracle_nearest": Caller(engine_on, plain.model_copy(update=_NEAREST)),
    }


def _world(evaluation: Evaluation) -> Result:
    with scratch_copy(evaluation.kb_path) as kb:
        planted = plant(kb, evaluation.corpus.probes, evaluation.size(200, 30), evaluation.seed)
        if not planted.targets:
            raise Unfit("no probe asks for a fact of the invented world: there is nothing to plant doubles around")
        if evaluation.arm == "standard":
            return LeakageResult({"world": _leakage(evaluation, planted.targets)})
        assert kb.path is not None
        return AuditResult({"world": len(planted.targets)}, {"world": _planted(evaluation, kb.path, planted)})


def _planted(evaluation: Evaluation, path: Path, planted: Planted) -> dict[str, AuditScores]:
    """Asked as the model calls by itself: it knows this world."""
    everything = [*planted.targets, *planted.bystanders]
    return audit(
        path,
        planted.targets,
        model_callers(evaluation, everything, forced=False) | oracle_callers(everything),
        bystanders=planted.bystanders,
        neighbours=2,
        seed=evaluation.seed,
        progress=evaluation.progress,
    )


def _countries(evaluation: Evaluation, folder: Path) -> Result:
    """All facts asked by the oracle; of the model, which makes mistakes of its own, a part where it must be quick."""
    facts: dict[str, int] = {}
    scores: dict[str, dict[str, AuditScores]] = {}
    weights: dict[str, Share] = {}
    for variant in VARIANTS:
        targets = read_targets(folder, variant)
        asked = sampled(targets, evaluation.size(len(targets), 8), evaluation.seed)
        if evaluation.arm == "standard":
            weights[variant] = _leakage(evaluation, asked)
            continue
        with tempfile.TemporaryDirectory(prefix="lamlam-") as place:
            path = Path(place) / "kb.sqlite"
            build_database(folder, variant, path)
            common: dict[str, Any] = {"seed": evaluation.seed, "progress": evaluation.progress}
            once = [replace(target, questions=target.questions[:1]) for target in targets]  # it heeds no wording
            oracle = audit(path, once, oracle_callers(once), neighbours=3, **common)
            callers = model_callers(evaluation, targets, forced=True)
            model = audit(path, asked, callers, bystanders=targets, **common)
        facts[variant], scores[variant] = len(targets), model | oracle
    return LeakageResult(weights) if evaluation.arm == "standard" else AuditResult(facts, scores)


def _leakage(evaluation: Evaluation, targets: Sequence[Target]) -> Share:
    with KnowledgeBase.open(evaluation.kb_path) as kb:
        return leakage(evaluation.engine_on(kb), targets, evaluation.settings)
