"""ParaRel: the same fact asked for in several wordings (arXiv 2102.01017): is the answer right, and is it the same?

    consistency      of the pairs of wordings of a fact, the share that are answered alike; the mean over facts
    all_right        the share of facts whose every wording is answered right (`strict`)

Answered alike means: the same object of the relation is said first, or, where none is, the same first clause. To say
"unknown" to all wordings is consistent. The paper takes the likeliest of the relation's objects; here a model may say
anything.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from lamlam.corpus import Probe
from lamlam.corpus.lines import read_entries
from lamlam.evaluate.answers import gives
from lamlam.evaluate.completion import ProbeRecord
from lamlam.evaluate.evaluation import Evaluation
from lamlam.evaluate.means import Mean
from lamlam.evaluate.overlap import clause
from lamlam.evaluate.results import Share
from lamlam.evaluate.slots.filling import Filling, SlotResult, fill, fitting
from lamlam.evaluate.slots.relations import Wording, relations
from lamlam.world.questions import answers_of

__all__ = ["Consistency", "consistency", "pararel", "pararel_probes"]

_FULL, _QUICK = 50, 2  # subjects of each relation


@dataclass(frozen=True, slots=True)
class Consistency:
    """`same` is the agreement of wordings, `all_right` the facts whose every wording is answered right."""

    same: Mean
    all_right: Share

    def as_json(self) -> dict[str, Any]:
        same, right = self.same.as_json("consistency"), self.all_right.as_json("all_right")
        plain = {"consistency": same["consistency"], "all_right": right["all_right"], "facts": self.same.n}
        return plain | {"consistency_detail": {"consistency": same, "all_right": right}}


@dataclass(frozen=True, slots=True)
class ParaRelResult:
    """As of other slots, and of each way its consistency, of all facts and by relation."""

    slots: SlotResult
    task: str = "pararel"

    def figures(self) -> dict[str, Any]:
        figures = self.slots.figures()
        for way, filling in self.slots.fillings.items():
            whole = consistency(filling.records).as_json()
            figures[way] |= whole | {"by_relation": list(_by_relation(filling))}
        return figures


def pararel(evaluation: Evaluation) -> dict[str, ParaRelResult]:
    """Subjects of each relation, chosen by the seed, in every wording.

    Raises `MissingData` without the folder `pararel`, `InputError` where a line of a file is wrong.
    """
    folder = evaluation.data_at("pararel")
    number, rng = evaluation.size(_FULL, _QUICK), random.Random(evaluation.seed)
    probes: list[Probe] = []
    facts: list[tuple[str, str, str]] = []
    for name, relation in relations().items():
        if (path := folder / f"{name}.jsonl").exists():
            objects = defaultdict(list)
            for entry in read_entries(path):
                objects[entry.text("sub_label", empty=False)].append(entry.text("obj_label", empty=False))
            chosen = rng.sample(sorted(objects), min(number, len(objects)))
            facts += [(subject, relation.label, each) for subject in chosen for each in objects[subject]]
            probes += pararel_probes(name, relation, {subject: objects[subject] for subject in chosen})
    asked = fitting(evaluation, probes)
    about = {"prompts": len(asked), "too_long": len(probes) - len(asked)}
    return {"pararel": ParaRelResult(SlotResult("pararel", fill(evaluation, asked, facts), about))}


def pararel_probes(name: str, relation: Wording, objects: dict[str, list[str]]) -> list[Probe]:
    """The probes of each subject, one a wording; every object that the data gives a subject is right."""
    return [
        Probe(f"{name}-{subject}-{number}", prompt, subject, relation.label, answers_of(values), name)
        for subject, values in objects.items()
        for number, prompt in enumerate(relation.prompts(subject))
    ]


def consistency(records: Iterable[ProbeRecord]) -> Consistency:
    """How alike the wordings of each fact (entity and relation) are answered."""
    facts: dict[tuple[str, str], list[ProbeRecord]] = defaultdict(list)
    objects: dict[str, set[str]] = defaultdict(set)
    for record in records:
        facts[record.probe.entity, record.probe.relation].append(record)
        objects[record.probe.relation].update(record.probe.answers)
    same = [_agreement([_said(each, objects[each.probe.relation]) for each in wordings]) for wordings in facts.values()]
    right = [all(record.right for record in wordings) for wordings in facts.values()]
    return Consistency(Mean.of(each for each in same if each is not None), Share.of(right))


def _said(record: ProbeRecord, objects: set[str]) -> str:
    given = [each for each in objects if gives(record.continuation, [each])]
    return max(given, key=len) if given else " ".join(clause(record.continuation).casefold().split())


def _agreement(said: Sequence[str]) -> float | None:
    pairs = [a == b for a, b in combinations(said, 2)]
    return sum(pairs) / len(pairs) if pairs else None


def _by_relation(filling: Filling) -> Iterator[dict[str, Any]]:
    groups: dict[str, list[ProbeRecord]] = defaultdict(list)
    for record in filling.records:
        groups[f"{record.probe.group} {record.probe.relation}"].append(record)
    for name, records in groups.items():
        right, each = Share.of([record.right for record in records]), consistency(records)
        same = each.same.as_json("consistency")["consistency"]
        yield {
            "relation": name,
            "strict": round(right.value, 6),
            "n": right.n,
            "consistency": same,
            "facts": each.same.n,
        }
