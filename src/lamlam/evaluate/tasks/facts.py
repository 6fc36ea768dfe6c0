"""The facts of a run's own corpus: completed, edited and forgotten.

Facts are changed all together in a copy of the knowledge base, and the same probes asked before and after.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from lamlam.corpus import Probe
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.answers import gives
from lamlam.evaluate.completion import Completions, Generator, Row, complete, replaced
from lamlam.evaluate.evaluation import Evaluation, NothingToChange, scratch_copy, task
from lamlam.evaluate.plans import Distractors
from lamlam.evaluate.results import EXAMPLES, Result, measure
from lamlam.kb.fact import Fact
from lamlam.kb.store import KnowledgeBase

__all__ = ["edit_facts", "forget_facts"]

_EDITING: dict[str, Callable[[Row], bool | None]] = {
    # Of the probes of edited facts, all answered right before: the continuation now starts with the new value.
    "success": lambda row: gives(row["edited"].continuation, [row.about["new"]]) if "reverted" in row else None,
    # Of all other probes: the statement is letter for letter as before.
    "locality": lambda row: None if row.about else row["full"].statement == row["edited"].statement,
    # Of the probes of edited facts: the old value is said again once the edit was taken back.
    "reverted": lambda row: row["reverted"].right if "reverted" in row else None,
}

_FORGETTING: dict[str, Callable[[Row], bool | None]] = {
    # Of the probes of forgotten facts, all answered right before: the continuation still starts with an answer.
    "survival": lambda row: row["forgotten"].right if row.about else None,
    # Of the same: something else is put in the fact's place. Neither "unknown" nor text without a value counts.
    "wrong_answer": lambda row: (
        replaced(row["forgotten"], row.about["left"]) and not row["forgotten"].right if row.about else None
    ),
    # Of the other probes that were answered right before: the answer is wrong now.
    "collateral": lambda row: None if row.about else not row["forgotten"].right,
}

_Pair = tuple[str, str]


@task("completion", "facts that the model says, with and without lookups")
def completion(evaluation: Evaluation) -> dict[str, Result]:
    """The arm used as it is meant to be, and an LMLM with lookups forbidden too."""
    results = {"completion": _completed(evaluation.answered())}
    if evaluation.arm == "standard":
        return results
    return results | {"completion_db_off": _completed(evaluation.answered(lookups=False))}


@task("editing", "changed facts: said at once, and nothing else altered", arms=("lmlm",))
def editing(evaluation: Evaluation) -> Result:
    return _changed(evaluation, edit_facts)


@task("forgetting", "erased facts: gone, and nothing put in their place", arms=("lmlm",))
def forgetting(evaluation: Evaluation) -> Result:
    return _changed(evaluation, forget_facts)


def _completed(completions: Completions) -> Result:
    return Result("completion", more=completions.figures(), rows=completions.records)


def _changed(evaluation: Evaluation, change: Callable[..., Result]) -> Result:
    return change(
        evaluation.engine_on,
        evaluation.kb_path,
        evaluation.corpus.probes,
        evaluation.settings,
        before=evaluation.answered(),
        number=evaluation.facts,
        seed=evaluation.seed,
        progress=evaluation.progress,
    )


def edit_facts(
    engine_on: Callable[[KnowledgeBase], Generator],
    kb_path: str | Path,
    probes: Sequence[Probe],
    settings: DecodingSettings,
    *,
    before: Completions | None = None,
    number: int = 50,
    seed: int = 0,
    progress: bool = False,
) -> Result:
    """Edit `number` facts, chosen by `seed` among the single-valued ones that are answered right, and ask again.

    The new value is one that another entity has for the same relation. `engine_on` makes an engine that reads a given
    knowledge base; `before` is what was answered before, if known already. Fewer facts are edited if fewer qualify;
    raises `NothingToChange` if none does.
    """
    with scratch_copy(kb_path) as kb:
        engine = engine_on(kb)
        before = before or complete(engine, probes, settings, progress=progress)
        edits = _choose(before, kb, number, random.Random(seed))
        if not edits:
            raise NothingToChange("no fact can be edited: no probe of a single-valued fact is answered right")
        latest = {pair: kb.edit(fact.id, value=new).id for pair, (fact, new) in edits.items()}
        after = complete(engine, probes, settings, progress=progress)
        for pair, (fact, _) in edits.items():
            kb.edit(latest[pair], value=fact.value)
        edited = [record.probe for record in before.records if _pair_of(record.probe) in edits and record.right]
        again = {r.probe.id: r for r in complete(engine, edited, settings, progress=progress).records}
    rows = []
    for old, new in zip(before.records, after.records, strict=True):
        states = {"full": old, "edited": new}
        if (edit := edits.get(_pair_of(old.probe))) is None:
            rows.append(Row(states))
        else:
            reverted = {"reverted": again[old.probe.id]} if old.right else {}
            rows.append(Row(states | reverted, {"old": edit[0].value, "new": edit[1]}))
    examples = [
        {"prompt": row.probe.prompt, **row.about, **row.before_and_after("edited")} for row in rows if "reverted" in row
    ]
    return Result("editing", measure(rows, _EDITING), {"facts": len(edits)}, examples[:EXAMPLES], rows=rows)


def _choose(before: Completions, kb: KnowledgeBase, number: int, rng: random.Random) -> dict[_Pair, tuple[Fact, str]]:
    """Choose (entity, relation) pairs, and for each its fact and the value to give it."""
    pairs = sorted({_pair_of(record.probe) for record in before.records if record.right})
    rng.shuffle(pairs)
    distractors = Distractors(kb)
    edits: dict[_Pair, tuple[Fact, str]] = {}
    for pair in pairs:
        if len(edits) == number:
            break
        facts = kb.lookup(*pair).facts
        if len(facts) == 1 and (other := distractors.of(facts[0], rng)) is not None:
            edits[pair] = facts[0], other
    return edits


def forget_facts(
    engine_on: Callable[[KnowledgeBase], Generator],
    kb_path: str | Path,
    probes: Sequence[Probe],
    settings: DecodingSettings,
    *,
    before: Completions | None = None,
    number: int = 50,
    seed: int = 0,
    progress: bool = False,
) -> Result:
    """Forget the facts of `number` (entity, relation) pairs, chosen by `seed` among those answered right; ask again.

    The parameters are those of `edit_facts`. Raises `NothingToChange` if no pair qualifies.
    """
    with scratch_copy(kb_path) as kb:
        engine = engine_on(kb)
        before = before or complete(engine, probes, settings, progress=progress)
        pairs = sorted({_pair_of(record.probe) for record in before.records if record.right})
        pairs = [pair for pair in pairs if kb.lookup(*pair).found]
        chosen = random.Random(seed).sample(pairs, min(number, len(pairs)))
        if not chosen:
            raise NothingToChange("no fact can be forgotten: no probe of a known fact is answered right")
        for entity, relation in chosen:
            kb.forget(entity=entity, relation=relation)
        after = complete(engine, probes, settings, progress=progress)
        left = {pair: [fact.value for fact in kb.facts(relation=pair[1])] for pair in chosen}
    rows = [
        Row({"full": old, "forgotten": new}, {"left": left[pair]} if (pair := _pair_of(old.probe)) in left else {})
        for old, new in zip(before.records, after.records, strict=True)
        if old.right
    ]
    examples = [
        {"prompt": row.probe.prompt, "status": row["forgotten"].status, **row.before_and_after("forgotten")}
        for row in rows
        if row.about
    ]
    return Result("forgetting", measure(rows, _FORGETTING), {"facts": len(chosen)}, examples[:EXAMPLES], rows=rows)


def _pair_of(probe: Probe) -> _Pair:
    """What identifies a probe's fact: two probes of one pair ask for the same fact."""
    return probe.entity, probe.relation
