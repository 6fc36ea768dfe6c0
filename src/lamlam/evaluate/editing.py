"""Edits: does the model say the new value at once, and does everything else stay as it was?

Facts are edited all together in a copy of the knowledge base; the user's own is only read.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamlam.corpus import Probe
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import LamLamError
from lamlam.evaluate.answers import gives
from lamlam.evaluate.completion import CompletionResult, Generator, ProbeRecord, complete
from lamlam.evaluate.results import Share, stated
from lamlam.evaluate.rivals import Rivals
from lamlam.evaluate.scratch import scratch_copy
from lamlam.kb.fact import Fact
from lamlam.kb.store import KnowledgeBase

__all__ = ["EXAMPLES", "EditedProbe", "EditingResult", "NothingToChange", "edit_facts", "pair_of"]

EXAMPLES = 3
"""How many probes are kept in a result's figures, to be looked at."""


class NothingToChange(LamLamError):
    """No probe is answered right, so that no change could show."""


@dataclass(frozen=True, slots=True)
class EditedProbe:
    """A probe of an edited fact: the value before, the value after, and what the model said at either time."""

    probe: Probe
    old: str
    new: str
    before: str
    after: str
    success: bool
    reverted: bool

    def as_json(self) -> dict[str, Any]:
        said = {"before": self.before.strip(), "after": self.after.strip()}
        return {"prompt": self.probe.prompt, "old": self.old, "new": self.new} | said


@dataclass(frozen=True, slots=True)
class EditingResult:
    """How N edits went.

    success   of the probes of edited facts, all of which were answered right before, those whose continuation now
              starts with the new value
    locality  of all other probes, those whose statement (`ProbeRecord.statement`) is letter for letter as before
    reverted  of the probes of edited facts, those answered with the old value again once the edit was taken back
    """

    facts: int
    edited: tuple[EditedProbe, ...]
    success: Share
    locality: Share
    reverted: Share
    task: str = "editing"

    def figures(self) -> dict[str, Any]:
        """The three shares as plain numbers, their counts and intervals under `detail`, and a few examples."""
        shares = {"success": self.success, "locality": self.locality, "reverted": self.reverted}
        examples = [each.as_json() for each in self.edited[:EXAMPLES]]
        return stated(shares) | {"facts": self.facts, "examples": examples}


def edit_facts(
    engine_on: Callable[[KnowledgeBase], Generator],
    kb_path: str | Path,
    probes: Sequence[Probe],
    settings: DecodingSettings,
    *,
    before: CompletionResult | None = None,
    number: int = 50,
    seed: int = 0,
    progress: bool = False,
) -> EditingResult:
    """Edit `number` facts, chosen by `seed` among the single-valued ones that are answered right, and ask again.

    The new value is one that another entity has for the same relation. `engine_on` makes an engine that reads a given
    knowledge base; `before` is what was answered before, where that is known already. Fewer facts are edited where
    fewer qualify; raises `NothingToChange` where none does.
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
        asked = [record.probe for record in before.records if pair_of(record.probe) in edits and record.right]
        again = complete(engine, asked, settings, progress=progress)
    return _result(edits, before, after, again)


def pair_of(probe: Probe) -> tuple[str, str]:
    """What a probe's fact is known by: two probes of one pair ask for the same fact."""
    return probe.entity, probe.relation


def _choose(
    before: CompletionResult, kb: KnowledgeBase, number: int, rng: random.Random
) -> dict[tuple[str, str], tuple[Fact, str]]:
    """For each chosen (entity, relation) its fact and the value to give it."""
    pairs = sorted({pair_of(record.probe) for record in before.records if record.right})
    rng.shuffle(pairs)
    rivals = Rivals(kb)
    edits: dict[tuple[str, str], tuple[Fact, str]] = {}
    for pair in pairs:
        if len(edits) == number:
            break
        facts = kb.lookup(*pair).facts
        if len(facts) == 1 and (other := rivals.of(facts[0], rng)) is not None:
            edits[pair] = facts[0], other
    return edits


def _result(
    edits: dict[tuple[str, str], tuple[Fact, str]],
    before: CompletionResult,
    after: CompletionResult,
    again: CompletionResult,
) -> EditingResult:
    back = {record.probe.id: record.right for record in again.records}
    edited: list[EditedProbe] = []
    unchanged: list[bool] = []
    for old, new in zip(before.records, after.records, strict=True):
        if (edit := edits.get(pair_of(old.probe))) is None:
            unchanged.append(old.statement == new.statement)
        elif old.right:
            edited.append(_edited(old, new, edit[0].value, edit[1], back[old.probe.id]))
    return EditingResult(
        facts=len(edits),
        edited=tuple(edited),
        success=Share.of([each.success for each in edited]),
        locality=Share.of(unchanged),
        reverted=Share.of([each.reverted for each in edited]),
    )


def _edited(old: ProbeRecord, new: ProbeRecord, was: str, value: str, reverted: bool) -> EditedProbe:
    success = gives(new.continuation, [value])
    return EditedProbe(old.probe, was, value, old.statement, new.statement, success, reverted)
