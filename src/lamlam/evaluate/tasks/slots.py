"""Slot filling: prompts of a benchmark, continued in several ways, each judged by the same rules; and the task `trex`.

An LMLM continues `free` (it calls where it wants to), `forced` (its first token begins a call) and `off` (lookups
forbidden: what the weights know by themselves). The standard arm has one way, `plain`.

An LMLM of an invented world can only abstain when asked for a real capital. What a benchmark of the real world shows is
whether it asks for the right thing and says what is returned. So the benchmark's own facts are added to a copy of the
knowledge base (`given`), and the run's own is asked (`own`) only if it knows one of the subjects.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from lamlam.checked import checked
from lamlam.corpus import Probe
from lamlam.corpus.lines import Entry, read_entries
from lamlam.engine.context import context_of
from lamlam.evaluate.answers import RULES, Overlap
from lamlam.evaluate.completion import CALLS, ProbeRecord, complete, score
from lamlam.evaluate.evaluation import Evaluation, scratch_copy, task
from lamlam.evaluate.results import Proportion, Result, with_detail
from lamlam.kb.store import KnowledgeBase

__all__ = ["Wording", "fill", "fitting", "overlap_figures", "read_trex", "relations", "trex"]

_QUICK = 300
_ROOM = 96  # tokens of the context that a call and an answer may need
_RIGHT, _EXAMPLES = 2, 4  # examples of each way: up to two right ones, then wrong ones
_WAYS = {
    "free": {"lookups": True, "force_call": False},
    "forced": {"lookups": True, "force_call": True},
    "off": {"lookups": False, "force_call": False},
}


class Wording(BaseModel):
    """How T-REx and ParaRel ask for a relation of Wikidata. The wordings are our own.

    `label` names the relation in a knowledge base; each of `wordings` has a `{subject}` and stops at the object.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(min_length=1)
    wordings: tuple[str, ...] = Field(min_length=4)

    @field_validator("wordings")
    @classmethod
    def _check(cls, wordings: tuple[str, ...]) -> tuple[str, ...]:
        if any(wording.count("{subject}") != 1 for wording in wordings) or len(set(wordings)) < len(wordings):
            raise ValueError("wordings must differ, and have one {subject} each")
        return wordings

    def prompts(self, subject: str) -> list[str]:
        """The wordings about `subject`, in order."""
        return [wording.replace("{subject}", subject) for wording in self.wordings]


def relations() -> dict[str, Wording]:
    """All relations by their identifier ("P19")."""
    text = files("lamlam.evaluate.tasks").joinpath("relations.yaml").read_text(encoding="utf-8")
    return {name: checked(Wording, fields) for name, fields in yaml.safe_load(text).items()}


@task("trex", "sentences of Wikipedia up to an object, with and without a forced call")
def trex(evaluation: Evaluation) -> Result:
    """The prompts of `trex/prompts.jsonl`; with `quick` a sample of them, drawn by the seed.

    T-REx has sentences, each up to the object of a fact (arXiv 2505.15962, section 5; data of LAMA). Of the rules
    `within` is the paper's exact match, `strict` the project's own.
    """
    prompts = read_trex(evaluation.data_at("trex", "prompts.jsonl"))
    number = min(evaluation.size(len(prompts), _QUICK), len(prompts))
    chosen = random.Random(evaluation.seed).sample(prompts, number)
    asked = fitting(evaluation, chosen)
    facts = [(probe.entity, probe.relation, probe.answers[0]) for probe in asked]
    named = sum(probe.entity.casefold() in probe.prompt.casefold() for probe in asked)
    about = {"prompts": len(asked), "too_long": len(chosen) - len(asked), "subject_in_prompt": named}
    return Result("trex", more=about, parts=fill(evaluation, asked, facts))


def read_trex(path: Path) -> list[Probe]:
    """Read a probe per line; its relation is the label of the predicate, or the predicate if no label is known."""
    known = relations()
    return [_probe(entry, known) for entry in read_entries(path)]


def _probe(entry: Entry, known: Mapping[str, Wording]) -> Probe:
    predicate = entry.text("predicate_id", empty=False)
    return Probe(
        id=entry.text("prompt_id"),
        prompt=entry.text("prompt_text", empty=False).strip(),
        entity=entry.text("subject", empty=False),
        relation=known[predicate].label if predicate in known else predicate,
        answers=(entry.text("gold_object", empty=False), *entry.texts("answer_aliases")),
        group=predicate,
    )


def fitting(evaluation: Evaluation, probes: Sequence[Probe]) -> list[Probe]:
    """The prompts that leave room in the model's context for a call and an answer; the others can't be asked."""
    most = context_of(evaluation.checkpoint.model.config) - _ROOM
    vocabulary = evaluation.checkpoint.vocabulary
    return [probe for probe in probes if len(vocabulary.encode(probe.prompt)) <= most]


def fill(
    evaluation: Evaluation,
    probes: Sequence[Probe],
    facts: Sequence[tuple[str, str, str]] = (),
    group: Callable[[Probe], str] | None = None,
) -> dict[str, Result]:
    """Continue every prompt in every way of the arm: `given_free`, `own_forced`, `off`, `plain`, ...

    `facts` are added to the copy of the knowledge base; without any there is the run's own alone, which is asked
    whatever it knows. `group` names the part that a probe belongs to, if parts are to have figures of their own.
    """

    def way(kb: KnowledgeBase, name: str) -> Result:
        settings = evaluation.settings.model_copy(update=_WAYS[name])
        records = complete(evaluation.engine_on(kb), probes, settings, progress=evaluation.progress).records
        return _filled(records, group)

    if evaluation.arm == "standard":
        with KnowledgeBase.open(evaluation.kb_path) as kb:
            return {"plain": way(kb, "off")}
    fillings: dict[str, Result] = {}
    with scratch_copy(evaluation.kb_path) as kb:
        if not facts or kb.entities_named(sorted({probe.entity for probe in probes if probe.entity})):
            fillings |= {f"own_{name}": way(kb, name) for name in ("free", "forced")}
        if facts:
            kb.add(facts)
            fillings |= {f"given_{name}": way(kb, name) for name in ("free", "forced")}
        return fillings | {"off": way(kb, "off")}


def overlap_figures(overlaps: Sequence[Overlap]) -> dict[str, Any]:
    """The proportion of each rule under its name, the mean of `f1`, `n`, and counts and intervals in `detail`."""
    by_rule = {rule: Proportion.of(getattr(overlap, rule) for overlap in overlaps) for rule in RULES}
    f1 = round(sum(overlap.f1 for overlap in overlaps) / len(overlaps), 6) if overlaps else None
    return with_detail(by_rule) | {"f1": f1, "n": len(overlaps)}


def _filled(records: Sequence[ProbeRecord], group: Callable[[Probe], str] | None) -> Result:
    """The figures of one way: the rules, the calls, a few examples, and the rules by group."""
    scores = score(records)
    calls: dict[str, Any] = {name: round(scores[name].value, 6) if records else None for name in CALLS}
    calls["found"] = sum(record.found for record in records)
    figures = overlap_figures([_overlap(record) for record in records]) | {"calls": calls}
    if group is not None:
        groups: dict[str, list[Overlap]] = defaultdict(list)
        for record in sorted(records, key=lambda record: record.probe.mentions):
            groups[group(record.probe)].append(_overlap(record))
        figures["by_group"] = {name: overlap_figures(overlaps) for name, overlaps in groups.items()}
    right = [record for record in records if record.right][:_RIGHT]
    wrong = [record for record in records if not record.right][: _EXAMPLES - len(right)]
    return Result("slots", more=figures, examples=[_example(record) for record in right + wrong], rows=records)


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
