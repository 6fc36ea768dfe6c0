"""Facts that a base knows by heart: what becomes of them when the knowledge base says otherwise, or nothing.

    whole      the knowledge base holds them: the model says them
    swapped    it holds another entity's value of the same relation: a model that listens says that
    forgotten  it has forgotten them: a model that listens says neither the old value nor another
    off        lookups are forbidden: what is left in the weights, of which the base says all

An outcome is as in `outcome`, of what is asked in that state: under "swapped" the new value is right, and the old one
is "other"; under "forgotten" and "off" the old one is right.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lamlam.corpus import FactRecord
from lamlam.corpus.lines import read_entries
from lamlam.evaluate.arms.prompts import Prompt
from lamlam.evaluate.evaluation import scratch_copy
from lamlam.evaluate.meaning import Likeness, likeness
from lamlam.evaluate.tasks.slots import relations
from lamlam.kb.store import KnowledgeBase

__all__ = ["STATES", "candidates", "chosen_rivals", "facts_in", "knowledge_in", "prompts_in"]

STATES = ("whole", "swapped", "forgotten")
_SUBJECTS = 60  # of each relation
_WORDINGS = 2


def candidates(folder: Path, seed: int) -> tuple[list[Prompt], list[FactRecord]]:
    """Prompts about facts of ParaRel with one object, in two wordings each, and these facts.

    Facts whose object the prompt says are left out. Raises `InputError` where a line of a file is wrong.
    """
    prompts: list[Prompt] = []
    facts: list[FactRecord] = []
    for name, relation in relations().items():
        if not (path := folder / f"{name}.jsonl").exists():
            continue
        objects: dict[str, set[str]] = defaultdict(set)
        for entry in read_entries(path):
            objects[entry.text("sub_label", empty=False)].add(entry.text("obj_label", empty=False))
        single = {subject: value for subject, (value, *more) in objects.items() if not more}
        apart = sorted(subject for subject, value in single.items() if value.casefold() not in subject.casefold())
        for subject in random.Random(f"{seed}:{name}").sample(apart, min(_SUBJECTS, len(apart))):
            facts.append(FactRecord(subject, relation.label, single[subject]))
            prompts += [
                Prompt(f"{name}-{subject}-{at}", text, subject, relation.label, (single[subject],), (), "", "known")
                for at, text in enumerate(relation.prompts(subject)[:_WORDINGS])
            ]
    return prompts, facts


def chosen_rivals(prompts: Sequence[Prompt], facts: Iterable[FactRecord], seed: int) -> dict[tuple[str, str], str]:
    """For each prompt's entity and relation another value of the relation, unlike its own."""
    values: dict[str, set[str]] = defaultdict(set)
    for fact in facts:
        values[fact.relation].add(fact.value)
    rivals = {}
    for prompt in prompts:
        rng = random.Random(f"{seed}:{prompt.entity}:{prompt.relation}")
        unlike = [value for value in sorted(values[prompt.relation]) if _unlike(value, prompt.answers[0])]
        if unlike:
            rivals[prompt.entity, prompt.relation] = rng.choice(unlike)
    return rivals


def prompts_in(state: str, prompts: Iterable[Prompt], rivals: Mapping[tuple[str, str], str]) -> list[Prompt]:
    """The prompts with what is right in a state; those without a rival are left out in every state."""
    told = [(prompt, rivals[pair]) for prompt in prompts if (pair := (prompt.entity, prompt.relation)) in rivals]
    if state == "swapped":
        return [replace(prompt, answers=(rival,), others=prompt.answers) for prompt, rival in told]
    return [prompt for prompt, _ in told]


def facts_in(state: str, facts: Iterable[FactRecord], rivals: Mapping[tuple[str, str], str]) -> list[FactRecord]:
    """The facts as a state has them: what is retrieved from, for a model that is shown facts."""
    changed = []
    for fact in facts:
        rival = rivals.get((fact.entity, fact.relation))
        if rival is None or state == "whole":
            changed.append(fact)
        elif state == "swapped":
            changed.append(replace(fact, value=rival))
    return changed


@contextmanager
def knowledge_in(state: str, kb_path: Path, rivals: Mapping[tuple[str, str], str]) -> Iterator[KnowledgeBase]:
    """A copy of the knowledge base in a state."""
    with scratch_copy(kb_path) as kb:
        for (entity, relation), rival in rivals.items() if state != "whole" else ():
            if state == "forgotten":
                kb.forget(entity=entity, relation=relation)
            else:
                (fact,) = kb.facts(entity=entity, relation=relation)
                kb.edit(fact.id, value=rival)
        yield kb


def _unlike(a: str, b: str) -> bool:
    return likeness(a, b) is Likeness.NONE and likeness(b, a) is Likeness.NONE
