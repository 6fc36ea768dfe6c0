"""The tasks `audit` and `audit_countries`, and the audit of facts that a user lists: whom to ask about what."""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lamlam.corpus import FactRecord
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError
from lamlam.evaluate import plans
from lamlam.evaluate.auditing import Caller, OracleCaller, Target, audit, leakage
from lamlam.evaluate.evaluation import Evaluation, NotApplicable, scratch_copy, task
from lamlam.evaluate.results import Result
from lamlam.kb.store import KnowledgeBase

__all__ = ["audit_listed", "oracle_callers"]

_MARGIN = 3
_NEAREST = {"on_miss": "nearest", "entities": "free", "relations": "free"}


@task("audit", "what is left of erased facts: in the weights, by way of lookups, beside them")
def audit_world(evaluation: Evaluation) -> Result:
    """The run's own world, with hostile doubles; asked as the model calls by itself, since it knows this world."""
    with scratch_copy(evaluation.kb_path) as kb:
        planted = plans.plant(kb, evaluation.corpus.probes, evaluation.size(200, 30), evaluation.seed)
        if not planted.targets:
            raise NotApplicable(
                "no probe asks for a fact of the invented world: there is nothing to plant doubles around"
            )
        if evaluation.arm == "standard":
            return Result("audit", parts={"world": _leakage(evaluation, planted.targets)})
        assert kb.path is not None
        everything = [*planted.targets, *planted.bystanders]
        callers = _model_callers(evaluation, everything, forced=False) | oracle_callers(everything)
        scores = audit(
            kb.path, planted.targets, callers, bystanders=planted.bystanders, neighbours=2, **_common(evaluation)
        )
    return Result("audit", parts={"world": _database(len(planted.targets), scores)})


@task("audit_countries", "the same on hostile databases of countries")
def audit_countries(evaluation: Evaluation) -> Result:
    """Databases that any run can be asked about. With `quick` the oracle is asked for all facts, the model for some."""
    folder = evaluation.data_at("audit", "countries")
    databases: dict[str, Result] = {}
    for variant in plans.VARIANTS:
        targets = plans.country_targets(folder, variant)
        asked = plans.sampled(targets, evaluation.size(len(targets), 8), evaluation.seed)
        if evaluation.arm == "standard":
            databases[variant] = _leakage(evaluation, asked)
            continue
        with tempfile.TemporaryDirectory(prefix="lamlam-") as place:
            path = Path(place) / "kb.sqlite"
            plans.build_countries(folder, variant, path)
            once = [replace(target, questions=target.questions[:1]) for target in targets]  # an oracle ignores wordings
            oracle = audit(path, once, oracle_callers(once), neighbours=3, **_common(evaluation))
            callers = _model_callers(evaluation, targets, forced=True)
            model = audit(path, asked, callers, bystanders=targets, **_common(evaluation))
        databases[variant] = _database(len(targets), model | oracle)
    return Result("audit", parts=databases)


def audit_listed(evaluation: Evaluation, records: Iterable[FactRecord], neighbours: int) -> Result:
    """Audit facts that a user lists. Raises `InputError` for one that the knowledge base does not hold."""
    evaluation.lmlm_only("audit")
    with KnowledgeBase.open(evaluation.kb_path) as kb:
        targets = plans.listed_targets(kb, records, evaluation.corpus.probes)
        bystanders = plans.listed_bystanders(kb, targets)
    if not targets:
        raise InputError("no fact is listed: there is nothing to forget")
    everything = [*targets, *bystanders]
    callers = _model_callers(evaluation, everything, forced=True) | oracle_callers(everything)
    scores = audit(
        evaluation.kb_path, targets, callers, bystanders=bystanders, neighbours=neighbours, **_common(evaluation)
    )
    return Result("audit", parts={"facts": _database(len(targets), scores)})


def oracle_callers(targets: Iterable[Target]) -> dict[str, Caller]:
    """The knowledge base alone, asked the right question, by our policy and by the nearest neighbour."""
    probes = [probe for target in targets for probe in target.questions]

    def engine_on(kb: KnowledgeBase) -> OracleCaller:
        return OracleCaller(kb, probes)

    plain = DecodingSettings()
    nearest = plain.model_copy(update=_NEAREST)
    return {"oracle": Caller(engine_on, plain), "oracle_nearest": Caller(engine_on, nearest)}


def _model_callers(evaluation: Evaluation, targets: Iterable[Target], *, forced: bool) -> dict[str, Caller]:
    """The model with the calls it makes itself, by our policy and by the nearest neighbour.

    With `forced` also with a call at the prompt's end, which by our policy asks for a relation that the entity has.
    Only the beginning of a continuation counts, so none is much longer than the longest answer.
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
    return {name: Caller(evaluation.engine_on, own) for name, own in settings.items()}


def _database(facts: int, callers: dict[str, Result]) -> Result:
    return Result("audit", more={"facts": facts}, parts=callers)


def _leakage(evaluation: Evaluation, targets: Sequence[Target]) -> Result:
    """L of a standard model: nothing can be deleted from its weights."""
    with KnowledgeBase.open(evaluation.kb_path) as kb:
        return Result("audit", {"leakage": leakage(evaluation.engine_on(kb), targets, evaluation.settings)})


def _common(evaluation: Evaluation) -> dict[str, Any]:
    return {"seed": evaluation.seed, "progress": evaluation.progress}
