"""Edits by CounterFact's measures, on the invented world: reworded, beside facts that must stay, and followed on.

The measures are those of Meng et al. 2022 (arXiv 2202.05262, section 3.3), taken strictly: what counts is what a model
writes, not which of two values is likelier. Edits accumulate in a copy of the knowledge base. Whether other facts stay
as they were is judged by what was said before the first edit, not halfway.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path

from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.answers import gives
from lamlam.evaluate.completion import Generator, ProbeRecord, Row, ask_each, tracked
from lamlam.evaluate.evaluation import Evaluation, NothingToChange, scratch_copy, task
from lamlam.evaluate.plans import Edit, EditPlan, EditQuestions
from lamlam.evaluate.results import EXAMPLES, Proportion, Result, measure
from lamlam.kb.store import KnowledgeBase

__all__ = ["combined", "counterfact"]

SIZES = (100, 10_000)


def _took(row: Row) -> bool:
    """Whether the new value is said."""
    return gives(row["edited"].continuation, [row.about["edit"].new])


def _of(kind: str, hits: Callable[[Row], bool]) -> Callable[[Row], bool | None]:
    return lambda row: hits(row) if row.about["kind"] == kind else None


_MEASURES = {
    # Of the facts that were edited: the old value was said before the first edit; the new one is, or the old one is.
    "before": _of("asked", lambda row: row["full"].right),
    "efficacy": _of("asked", _took),
    "stale": _of("asked", lambda row: row["edited"].right),
    # Of the same facts in their other wordings: the new value is said.
    "generalisation": _of("reworded", _took),
    # Of neighbours, which were not edited: the statement is letter for letter as before any edit.
    "specificity": _of("neighbour", lambda row: row["full"].statement == row["edited"].statement),
    # Of the edits whose new value is an entity: the new value is said, and then, asked about that entity, what is true
    # of it now; by itself, or in the text that goes on after the first question's answer.
    "consequence": _of("onward", lambda row: row.about["took"] and row["edited"].right),
    "consequence_in_text": _of("onward in text", lambda row: row.about["took"] and row["edited"].right),
}


@task("counterfact", "one edit, 100 and 10,000: reworded, beside others, followed on", arms=("lmlm",))
def counterfact_task(evaluation: Evaluation) -> Result:
    steps = counterfact(
        evaluation.engine_on,
        evaluation.kb_path,
        evaluation.settings,
        single=evaluation.size(50, 20),
        asked=evaluation.size(300, 60),
        seed=evaluation.seed,
        progress=evaluation.progress,
    )
    return combined(steps)


def combined(steps: Mapping[str, Result]) -> Result:
    """The measures of each step as plain numbers, and under `steps` all that is known of it."""
    figures = {name: step.figures() for name, step in steps.items()}
    plain = {name: {key: step[key] for key in ("edits", *_MEASURES)} for name, step in figures.items()}
    return Result("counterfact", more=plain | {"steps": list(figures.values())})


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
) -> dict[str, Result]:
    """Make `single` edits one at a time, undoing each; then edits in sequence, asking at each of `sizes`.

    At most `asked` of the edits made so far are asked about. If there are too few facts for a size, as many are edited
    as possible; the figures say how many. Raises `NothingToChange` if no fact can be asked about.
    """
    with scratch_copy(kb_path) as kb:
        plan = EditPlan(kb, max(sizes), seed)
        if not plan.edits:
            raise NothingToChange("no fact can be edited: there is none of the invented world with a single value")
        engine = engine_on(kb)
        alone = plan.sample(plan.edits, single)
        steps = {size: plan.sample(plan.edits[:size], asked) for size in sizes}
        everything = [*alone, *chain(*steps.values())]
        before = ask_each(
            engine, [p for questions in everything for p in (questions.asked, *questions.neighbours)], settings
        )
        rows: list[Row] = []
        for questions in tracked(alone, "edits", progress):
            revision = _edit(kb, questions.edit)
            rows += _ask(engine, kb, [questions], before, settings)
            kb.undo(revision)
        results = {"edits_1": _result(1, rows)}
        done = 0
        for size, step in steps.items():
            for edit in plan.edits[done:size]:
                _edit(kb, edit)
            done = min(size, len(plan.edits))
            results[f"edits_{size}"] = _result(done, _ask(engine, kb, step, before, settings))
    return results


def _edit(kb: KnowledgeBase, edit: Edit) -> int:
    """Make an edit and return its revision. A fact that was edited and then restored may have a new id."""
    (fact,) = kb.lookup(edit.fact.entity, edit.fact.relation).facts
    return kb.edit(fact.id, value=edit.new).since


def _ask(
    engine: Generator,
    kb: KnowledgeBase,
    step: Sequence[EditQuestions],
    before: Mapping[str, ProbeRecord],
    settings: DecodingSettings,
) -> list[Row]:
    """A row for each question about the edits of a step."""
    now = ask_each(engine, [p for own in step for p in (own.asked, *own.reworded, *own.neighbours)], settings)
    onward = {own.asked.id: own.onward_probes(kb) for own in step}
    then = ask_each(engine, [probe for probes in onward.values() for probe in probes], settings)
    rows: list[Row] = []
    for questions in step:
        about = {"edit": questions.edit}
        asked = Row({"full": before[questions.asked.id], "edited": now[questions.asked.id]}, about | {"kind": "asked"})
        rows += [asked, *(Row({"edited": now[p.id]}, about | {"kind": "reworded"}) for p in questions.reworded)]
        near = ({"full": before[p.id], "edited": now[p.id]} for p in questions.neighbours)
        rows += [Row(states, about | {"kind": "neighbour"}) for states in near]
        took = about | {"took": _took(asked)}
        kinds = zip(("onward", "onward in text"), onward[questions.asked.id], strict=False)
        rows += [Row({"edited": then[probe.id]}, took | {"kind": kind}) for kind, probe in kinds]
    return rows


def _result(edits: int, rows: Sequence[Row]) -> Result:
    """The measures after so many edits; examples that did not take come first."""
    by_wording: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        if row.about["kind"] == "reworded":
            by_wording[str(int(row.probe.id.rpartition("|")[2]) + 1)].append(_took(row))
    wordings = {number: Proportion.of(by_wording[number]).as_json("share") for number in sorted(by_wording)}
    odd = sorted((row for row in rows if row.about["kind"] == "asked"), key=_took)
    examples = [
        {"prompt": row.probe.prompt, "old": row.about["edit"].fact.value, "new": row.about["edit"].new}
        | row.before_and_after("edited")
        for row in odd[:EXAMPLES]
    ]
    more = {"edits": edits, "generalisation_by_wording": wordings}
    return Result("counterfact", measure(rows, _MEASURES), more, examples, rows=rows)
