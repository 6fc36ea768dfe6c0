"""Slots to fill: prompts of a benchmark, each continued in several ways, and every way judged by the same rules.

An LMLM fills them `free` (it calls where it wants to), `forced` (its first token begins a call) and `off` (lookups
forbidden: what the weights know by themselves). The standard arm has one way, `plain`.

A run's own knowledge base knows what the run is about. To ask one of the invented world for capitals tells nothing but
that it abstains; what a benchmark of the real world tells of an LMLM is whether it asks for the right thing and says
what it is told. So the calls of such a benchmark are answered from a copy in which the benchmark's own facts stand
beside the run's (`given`), and from the run's own (`own`) only where that knows one of the subjects.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lamlam.corpus import Probe
from lamlam.engine.context import context_of
from lamlam.evaluate.completion import ProbeRecord, Scores, complete
from lamlam.evaluate.evaluation import Evaluation
from lamlam.evaluate.overlap import Overlap, shares
from lamlam.evaluate.scratch import scratch_copy
from lamlam.kb.store import KnowledgeBase

__all__ = ["EXAMPLES", "Filling", "SlotResult", "fill", "fitting"]

EXAMPLES = 4
"""How many continuations of each way are kept in the figures, to be looked at; half of them right, where some are."""

_CALLS = ("asked", "right_query", "entity_right", "relation_right")
_ROOM = 96  # tokens of the context that a call and an answer may need
_WAYS = {
    "free": {"lookups": True, "force_call": False},
    "forced": {"lookups": True, "force_call": True},
    "off": {"lookups": False, "force_call": False},
}


@dataclass(frozen=True, slots=True)
class Filling:
    """What came of the prompts in one way."""

    records: tuple[ProbeRecord, ...]

    def overlaps(self) -> list[Overlap]:
        return [_overlap(record) for record in self.records]

    def figures(self, group: Callable[[Probe], str] | None = None) -> dict[str, Any]:
        """The rules' shares, those of the calls, a few examples, and the rules by `group`, where one is told."""
        scores = Scores.of(self.records).as_json()
        found = sum(record.found for record in self.records)
        calls = {name: scores[name] for name in _CALLS} | {"found": found}
        figures = shares(self.overlaps()) | {"calls": calls, "examples": self._examples()}
        return figures | ({"by_group": self._by_group(group)} if group else {})

    def _by_group(self, group: Callable[[Probe], str]) -> dict[str, Any]:
        groups: dict[str, list[Overlap]] = defaultdict(list)
        for record in sorted(self.records, key=lambda record: record.probe.mentions):
            groups[group(record.probe)].append(_overlap(record))
        return {name: shares(overlaps) for name, overlaps in groups.items()}

    def _examples(self) -> list[dict[str, Any]]:
        right = [record for record in self.records if record.right][: EXAMPLES // 2]
        wrong = [record for record in self.records if not record.right][: EXAMPLES - len(right)]
        return [_example(record) for record in right + wrong]


@dataclass(frozen=True, slots=True)
class SlotResult:
    """Prompts filled, by knowledge base and way (`given_free`, `own_forced`, `off`, `plain`), and what was asked.

    `group` parts the prompts where their parts are to have figures of their own.
    """

    task: str
    fillings: Mapping[str, Filling]
    about: Mapping[str, Any] = field(default_factory=dict)
    group: Callable[[Probe], str] | None = None

    def figures(self) -> dict[str, Any]:
        return dict(self.about) | {name: filling.figures(self.group) for name, filling in self.fillings.items()}


def fill(
    evaluation: Evaluation, probes: Sequence[Probe], facts: Sequence[tuple[str, str, str]] = ()
) -> dict[str, Filling]:
    """Every prompt continued in every way of the arm; `facts` are given to the copy of the knowledge base.

    Without facts there is the run's own knowledge base alone, and it is asked whatever it knows.
    """
    if evaluation.arm == "standard":
        with KnowledgeBase.open(evaluation.kb_path) as kb:
            return {"plain": _fill(evaluation, kb, probes, "off")}
    fillings: dict[str, Filling] = {}
    with scratch_copy(evaluation.kb_path) as kb:
        if not facts or kb.entities_named(sorted({probe.entity for probe in probes if probe.entity})):
            fillings |= {f"own_{way}": _fill(evaluation, kb, probes, way) for way in ("free", "forced")}
        if facts:
            kb.add(facts)
            fillings |= {f"given_{way}": _fill(evaluation, kb, probes, way) for way in ("free", "forced")}
        return fillings | {"off": _fill(evaluation, kb, probes, "off")}


def fitting(evaluation: Evaluation, probes: Sequence[Probe]) -> list[Probe]:
    """The prompts that leave room in the model's context for a call and an answer; the others cannot be asked."""
    most = context_of(evaluation.checkpoint.model.config) - _ROOM
    vocabulary = evaluation.checkpoint.vocabulary
    return [probe for probe in probes if len(vocabulary.encode(probe.prompt)) <= most]


def _fill(evaluation: Evaluation, kb: KnowledgeBase, probes: Sequence[Probe], way: str) -> Filling:
    settings = evaluation.settings.model_copy(update=_WAYS[way])
    return Filling(complete(evaluation.engine_on(kb), probes, settings, progress=evaluation.progress).records)


def _overlap(record: ProbeRecord) -> Overlap:
    return Overlap.of(record.continuation, record.probe.answers)


def _example(record: ProbeRecord) -> dict[str, Any]:
    return {
        "prompt": record.probe.prompt,
        "answers": list(record.probe.answers),
        "said": record.continuation.strip(),
        "query": list(record.query) if record.query else None,
        "status": record.status,
        "right": record.right,
    }
