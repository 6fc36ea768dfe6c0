"""ParaRel: the same fact asked for in several wordings (arXiv 2102.01017): is the answer right, and is it the same?

    consistency      of the pairs of wordings of a fact, the share that are answered alike; the mean over facts
    all_right        the share of facts whose every wording is answered right (`strict`)

Answered alike means: the same object of the relation is said first, or, if none is, the same first clause. Saying
"unknown" to all wordings is consistent. The paper takes the likeliest of the relation's objects; here a model may say
anything.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from lamlam.corpus import Probe
from lamlam.corpus.lines import read_entries
from lamlam.evaluate.answers import clause, gives
from lamlam.evaluate.completion import ProbeRecord
from lamlam.evaluate.evaluation import Evaluation, task
from lamlam.evaluate.results import Mean, Proportion, Result
from lamlam.evaluate.tasks.slots import Wording, fill, fitting, relations
from lamlam.world.wordings import answers_of

__all__ = ["consistency", "pararel"]

_FULL, _QUICK = 50, 2  # subjects of each relation


@task("pararel", "the same facts in several wordings: right, and answered alike")
def pararel(evaluation: Evaluation) -> Result:
    """Subjects of each relation, drawn by the seed, in every wording; figures of all facts and by relation."""
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
            facts += [(subject, relation.label, value) for subject in chosen for value in objects[subject]]
            probes += _probes(name, relation, {subject: objects[subject] for subject in chosen})
    asked = fitting(evaluation, probes)
    parts = {
        way: replace(filling, more={**filling.more, **_consistencies(filling.rows)})
        for way, filling in fill(evaluation, asked, facts).items()
    }
    return Result("pararel", more={"prompts": len(asked), "too_long": len(probes) - len(asked)}, parts=parts)


def _probes(name: str, relation: Wording, objects: dict[str, list[str]]) -> list[Probe]:
    """The probes of each subject, one per wording; every object that the data gives a subject is right."""
    return [
        Probe(f"{name}-{subject}-{number}", prompt, subject, relation.label, answers_of(values), name)
        for subject, values in objects.items()
        for number, prompt in enumerate(relation.prompts(subject))
    ]


def consistency(records: Iterable[ProbeRecord]) -> tuple[Mean, Proportion]:
    """How alike the wordings of each fact (entity and relation) are answered, and how many facts are all right."""
    facts: dict[tuple[str, str], list[ProbeRecord]] = defaultdict(list)
    objects: dict[str, set[str]] = defaultdict(set)
    for record in records:
        facts[record.probe.entity, record.probe.relation].append(record)
        objects[record.probe.relation].update(record.probe.answers)
    alike = [_agreement([_answer(r, objects[r.probe.relation]) for r in wordings]) for wordings in facts.values()]
    right = Proportion.of(all(record.right for record in wordings) for wordings in facts.values())
    return Mean.of(share for share in alike if share is not None), right


def _answer(record: ProbeRecord, objects: set[str]) -> str:
    given = [value for value in objects if gives(record.continuation, [value])]
    return max(given, key=len) if given else " ".join(clause(record.continuation).casefold().split())


def _agreement(answers: Sequence[str]) -> float | None:
    pairs = [a == b for a, b in combinations(answers, 2)]
    return sum(pairs) / len(pairs) if pairs else None


def _consistencies(records: Sequence[ProbeRecord]) -> dict[str, Any]:
    mean, all_right = consistency(records)
    detail = {"consistency": mean.as_json("consistency"), "all_right": all_right.as_json("all_right")}
    plain: dict[str, Any] = {name: figures[name] for name, figures in detail.items()}
    return plain | {"facts": mean.n, "consistency_detail": detail, "by_relation": list(_by_relation(records))}


def _by_relation(records: Sequence[ProbeRecord]) -> Iterator[dict[str, Any]]:
    groups: dict[str, list[ProbeRecord]] = defaultdict(list)
    for record in records:
        groups[f"{record.probe.group} {record.probe.relation}"].append(record)
    for name, own in groups.items():
        right, (mean, _) = Proportion.of(record.right for record in own), consistency(own)
        figures = {"relation": name, "strict": round(right.value, 6), "n": right.n}
        yield figures | {"consistency": mean.as_json("consistency")["consistency"], "facts": mean.n}
