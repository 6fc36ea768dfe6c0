"""T-REx: sentences of Wikipedia, each up to the object of a fact (arXiv 2505.15962, section 5; data of LAMA).

Two rules of the five in `evaluate.overlap` matter most: `within` is the paper's exact match (the object, or an alias of
it, occurs letter for letter in the first five words), `strict` the project's own (the continuation starts with it).
"""

import random
from pathlib import Path

from lamlam.corpus import Probe
from lamlam.corpus.lines import Entry, read_entries
from lamlam.evaluate.evaluation import Evaluation
from lamlam.evaluate.slots.filling import SlotResult, fill, fitting
from lamlam.evaluate.slots.relations import Wording, relations

__all__ = ["read_trex", "trex"]

_QUICK = 300


def trex(evaluation: Evaluation) -> dict[str, SlotResult]:
    """The prompts of `trex/prompts.jsonl`; a sample of them, chosen by the seed, for a quick look.

    Raises `MissingData` without the file, `InputError` where a line of it is wrong.
    """
    every = read_trex(evaluation.data_at("trex", "prompts.jsonl"))
    number = min(evaluation.size(len(every), _QUICK), len(every))
    chosen = random.Random(evaluation.seed).sample(every, number)
    asked = fitting(evaluation, chosen)
    facts = [(probe.entity, probe.relation, probe.answers[0]) for probe in asked]
    named = sum(probe.entity.casefold() in probe.prompt.casefold() for probe in asked)
    about = {"prompts": len(asked), "too_long": len(chosen) - len(asked), "subject_in_prompt": named}
    return {"trex": SlotResult("trex", fill(evaluation, asked, facts), about)}


def read_trex(path: Path) -> list[Probe]:
    """A probe a line; its relation is the label of the predicate, or the predicate where no label is known."""
    known = relations()
    return [_probe(entry, known) for entry in read_entries(path)]


def _probe(entry: Entry, known: dict[str, Wording]) -> Probe:
    predicate = entry.text("predicate_id", empty=False)
    return Probe(
        id=entry.text("prompt_id"),
        prompt=entry.text("prompt_text", empty=False).strip(),
        entity=entry.text("subject", empty=False),
        relation=known[predicate].label if predicate in known else predicate,
        answers=(entry.text("gold_object", empty=False), *entry.texts("answer_aliases")),
        group=predicate,
    )
