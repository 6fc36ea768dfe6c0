"""Forgetting: is a forgotten fact gone from what the model says, and is nothing put in its place?

Facts are forgotten all together in a copy of the knowledge base; the user's own is only read.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamlam.corpus import Probe
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.answers import gives
from lamlam.evaluate.completion import CompletionResult, Generator, ProbeRecord, complete
from lamlam.evaluate.editing import EXAMPLES, NothingToChange, pair_of
from lamlam.evaluate.results import Share, stated
from lamlam.evaluate.scratch import scratch_copy
from lamlam.kb.store import KnowledgeBase

__all__ = ["ForgettingResult", "ForgottenProbe", "forget_facts", "replaced"]


@dataclass(frozen=True, slots=True)
class ForgottenProbe:
    """A probe of a forgotten fact, and what the model said before and after; `status` is that of its first call."""

    probe: Probe
    before: str
    after: str
    status: str | None
    survived: bool
    wrong_answer: bool

    def as_json(self) -> dict[str, Any]:
        said = {"before": self.before.strip(), "after": self.after.strip()}
        return {"prompt": self.probe.prompt, "status": self.status} | said


@dataclass(frozen=True, slots=True)
class ForgettingResult:
    """How it went to forget the facts of N (entity, relation) pairs.

    survival      of the probes of forgotten facts, all of which were answered right before, those whose continuation
                  still starts with one of their answers
    wrong_answer  of the same probes, those that do not survive but are answered with something else in the fact's
                  place: the first call was resolved to facts, or the continuation starts with a value that the
                  knowledge base still holds for the same relation. Saying "unknown" is no wrong answer, and neither
                  is text that states no value
    collateral    of the other probes that were answered right before, those that are wrong now
    """

    facts: int
    forgotten: tuple[ForgottenProbe, ...]
    survival: Share
    wrong_answer: Share
    collateral: Share
    task: str = "forgetting"

    def figures(self) -> dict[str, Any]:
        """The three shares as plain numbers, their counts and intervals under `detail`, and a few examples."""
        shares = {"survival": self.survival, "wrong_answer": self.wrong_answer, "collateral": self.collateral}
        examples = [each.as_json() for each in self.forgotten[:EXAMPLES]]
        return stated(shares) | {"facts": self.facts, "examples": examples}


def forget_facts(
    engine_on: Callable[[KnowledgeBase], Generator],
    kb_path: str | Path,
    probes: Sequence[Probe],
    settings: DecodingSettings,
    *,
    before: CompletionResult | None = None,
    number: int = 50,
    seed: int = 0,
    progress: bool = False,
) -> ForgettingResult:
    """Forget the facts of `number` (entity, relation) pairs, chosen by `seed` among those answered right; ask again.

    `engine_on` makes an engine that reads a given knowledge base; `before` is what was answered before, where that is
    known already. Fewer pairs are forgotten where fewer qualify; raises
    `NothingToChange` where none does.
    """
    with scratch_copy(kb_path) as kb:
        engine = engine_on(kb)
        before = before or complete(engine, probes, settings, progress=progress)
        pairs = sorted({pair_of(record.probe) for record in before.records if record.right})
        pairs = [pair for pair in pairs if kb.lookup(*pair).found]
        chosen = random.Random(seed).sample(pairs, min(number, len(pairs)))
        if not chosen:
            raise NothingToChange("no fact can be forgotten: no probe of a known fact is answered right")
        for entity, relation in chosen:
            kb.forget(entity=entity, relation=relation)
        after = complete(engine, probes, settings, progress=progress)
        left = {relation: [fact.value for fact in kb.facts(relation=relation)] for _, relation in chosen}
    return _result(set(chosen), left, before, after)


def _result(
    chosen: set[tuple[str, str]], left: dict[str, list[str]], before: CompletionResult, after: CompletionResult
) -> ForgettingResult:
    forgotten: list[ForgottenProbe] = []
    broken: list[bool] = []
    for old, new in zip(before.records, after.records, strict=True):
        if not old.right:
            continue
        if pair_of(old.probe) in chosen:
            forgotten.append(_forgotten(old, new, left[old.probe.relation]))
        else:
            broken.append(not new.right)
    return ForgettingResult(
        facts=len(chosen),
        forgotten=tuple(forgotten),
        survival=Share.of([each.survived for each in forgotten]),
        wrong_answer=Share.of([each.wrong_answer for each in forgotten]),
        collateral=Share.of(broken),
    )


def _forgotten(old: ProbeRecord, new: ProbeRecord, left: list[str]) -> ForgottenProbe:
    wrong = replaced(new, left) and not new.right
    return ForgottenProbe(old.probe, old.statement, new.statement, new.status, new.right, wrong)


def replaced(record: ProbeRecord, left: Sequence[str]) -> bool:
    """Whether something stands in a forgotten fact's place: the first call found facts, or one of `left` is said.

    `left` are the values that the knowledge base still holds for the same relation.
    """
    return record.found or gives(record.continuation, left)
