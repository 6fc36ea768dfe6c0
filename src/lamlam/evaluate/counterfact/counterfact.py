"""Edits by CounterFact's measures, on the invented world: reworded, next to what must stay, and followed on.

The measures are those of Meng et al. 2022 (arXiv 2202.05262, section 3.3), taken strictly: what counts is what a model
writes, not which of two values it holds for likelier. Edits pile up in a copy of the knowledge base. Whether others
stay as they were is judged by what was said before the first edit, and not half-way.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from lamlam.corpus import Probe
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.completion import Generator, ProbeRecord, ask_each
from lamlam.evaluate.counterfact.plan import Edit, EditPlan, Questions
from lamlam.evaluate.counterfact.scores import CounterfactResult, EditedAnswers, EditScores
from lamlam.evaluate.editing import NothingToChange
from lamlam.evaluate.evaluation import Evaluation
from lamlam.evaluate.scratch import scratch_copy
from lamlam.kb.store import KnowledgeBase

__all__ = ["counterfact", "counterfact_task"]

SIZES = (100, 10_000)


def counterfact_task(evaluation: Evaluation) -> dict[str, CounterfactResult]:
    result = counterfact(
        evaluation.engine_on,
        evaluation.kb_path,
        evaluation.settings,
        single=evaluation.size(50, 20),
        asked=evaluation.size(300, 60),
        seed=evaluation.seed,
        progress=evaluation.progress,
    )
    return {"counterfact": result}


def counterfact(
    engine_on: Callable[[KnowledgeBase], Generator],
    kb_path: str | Path,
    settings: DecodingSettings,
    *,
    sizes: Sequence[int] = SIZES,
    single: int = 50,
    asked: int = 300,
    seed: int = 0,
    progress: bool = False,
) -> CounterfactResult:
    """Make `single` edits one at a time, each taken back again; then edits in sequence, asking at each of `sizes`.

    At most `asked` of the edits made so far are asked about. Where the facts do not suffice for a size, as many are
    edited as they allow, and the figures say how many. Raises `NothingToChange` where no fact can be asked about.
    """
    with scratch_copy(kb_path) as kb:
        plan = EditPlan(kb, max(sizes), seed)
        if not plan.edits:
            raise NothingToChange("no fact can be edited: there is none of the invented world with a single value")
        engine = engine_on(kb)
        alone = plan.sample(plan.edits, single)
        steps = {size: plan.sample(plan.edits[:size], asked) for size in sizes}
        before = _before(engine, [*alone, *(each for some in steps.values() for each in some)], settings)
        scores = {"edits_1": EditScores(1, tuple(_alone(engine, kb, alone, before, settings, progress)))}
        done = 0
        for size, questions in steps.items():
            _make(kb, plan.edits[done:size])
            done = min(size, len(plan.edits))
            scores[f"edits_{size}"] = EditScores(done, tuple(_ask(engine, kb, questions, before, settings)))
    return CounterfactResult(scores)


def _make(kb: KnowledgeBase, edits: Sequence[Edit]) -> None:
    for edit in edits:
        _edit(kb, edit)


def _edit(kb: KnowledgeBase, edit: Edit) -> int:
    """Make an edit; the revision that it is. A fact that was edited before, and then not, may bear a new id."""
    (fact,) = kb.lookup(edit.fact.entity, edit.fact.relation).facts
    return kb.edit(fact.id, value=edit.new).since


def _before(engine: Generator, questions: Sequence[Questions], settings: DecodingSettings) -> Mapping[str, ProbeRecord]:
    return ask_each(engine, [probe for each in questions for probe in (each.asked, *each.neighbours)], settings)


def _alone(
    engine: Generator,
    kb: KnowledgeBase,
    questions: Sequence[Questions],
    before: Mapping[str, ProbeRecord],
    settings: DecodingSettings,
    progress: bool,
) -> list[EditedAnswers]:
    """Ask about each edit while it is the only one, and take it back."""
    answers = []
    for each in track(questions, "edits", console=Console(stderr=True), transient=True, disable=not progress):
        revision = _edit(kb, each.edit)
        answers += _ask(engine, kb, [each], before, settings)
        kb.undo(revision)
    return answers


def _ask(
    engine: Generator,
    kb: KnowledgeBase,
    questions: Sequence[Questions],
    before: Mapping[str, ProbeRecord],
    settings: DecodingSettings,
) -> list[EditedAnswers]:
    now = ask_each(engine, [p for each in questions for p in (each.asked, *each.reworded, *each.neighbours)], settings)
    hops = {each.asked.id: pair for each in questions if (pair := each.second_hops(kb)) is not None}
    then = ask_each(engine, [probe for pair in hops.values() for probe in pair], settings)
    return [_answered(each, before, now, hops.get(each.asked.id, ()), then) for each in questions]


def _answered(
    each: Questions,
    before: Mapping[str, ProbeRecord],
    now: Mapping[str, ProbeRecord],
    hops: Sequence[Probe],
    then: Mapping[str, ProbeRecord],
) -> EditedAnswers:
    return EditedAnswers(
        questions=each,
        before=before[each.asked.id],
        asked=now[each.asked.id],
        reworded=[now[probe.id] for probe in each.reworded],
        neighbours=[(before[probe.id], now[probe.id]) for probe in each.neighbours],
        onward=[then[probe.id] for probe in hops],
    )
