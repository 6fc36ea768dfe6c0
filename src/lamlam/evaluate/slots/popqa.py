"""PopQA: questions about entities of every popularity (arXiv 2212.10511), and the like of it for any run.

Files of PopQA's form under the data folder's `popqa` are asked where they are there: `question`, `possible_answers` (a
list, or one as JSON text), `s_pop` (views of the subject's page), and, for facts to be given, `subj`, `prop`, `obj`.

Without them the run's own probes are asked as questions, built from their relations' names: "What is X's birth place?".
Popularity is then the number of training documents that state a fact of the entity, as their calls tell.

A question stands as in `corpus.questions`, without examples before it.
"""

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lamlam.corpus import Corpus, Probe
from lamlam.corpus.lines import Entry, read_entries
from lamlam.corpus.questions import prompt_of
from lamlam.evaluate.completion import BUCKETS
from lamlam.evaluate.evaluation import Evaluation, Unfit
from lamlam.evaluate.slots.filling import SlotResult, fill, fitting

__all__ = ["own_questions", "popqa", "popularity", "read_popqa"]

_QUICK = 300
_FULL = 2000
_VIEWS = (("below 100", 0, 99), ("100 to 999", 100, 999), ("1000 to 9999", 1000, 9999), ("10000 and more", 10000, None))


def popqa(evaluation: Evaluation) -> dict[str, SlotResult]:
    """A sample of the questions, chosen by the seed. Raises `Unfit` where there are neither files nor probes."""
    files = _files(evaluation.data)
    every = [probe for path in files for probe in read_popqa(path)] or own_questions(evaluation.corpus)
    if not every:
        raise Unfit("the corpus has no probes to ask as questions, and there is no data of PopQA")
    number = min(evaluation.size(_FULL, _QUICK), len(every))
    chosen = random.Random(evaluation.seed).sample(every, number)
    asked = fitting(evaluation, chosen)
    about: dict[str, Any] = {
        "questions": len(asked),
        "too_long": len(chosen) - len(asked),
        "source": "popqa" if files else "corpus",
    }
    facts = [(each.entity, each.relation, each.answers[0]) for each in asked if each.entity] if files else []
    buckets = _VIEWS if files else (("0", 0, 0), *BUCKETS)
    return {"popqa": SlotResult("popqa", fill(evaluation, asked, facts), about, lambda probe: _bucket(probe, buckets))}


def own_questions(corpus: Corpus) -> list[Probe]:
    """The corpus's probes as questions, each fact once; `mentions` becomes the popularity of the entity."""
    popular = popularity(corpus)
    facts = {(probe.entity, probe.relation): probe for probe in corpus.probes}
    return [
        replace(probe, prompt=prompt_of(f"What is {entity}'s {relation.lower()}?"), mentions=popular[entity])
        for (entity, relation), probe in facts.items()
    ]


def popularity(corpus: Corpus) -> Counter[str]:
    """For each entity the number of training documents that state a fact of it."""
    return Counter(name for document in corpus.train for name in {call.entity for call in document.calls})


def read_popqa(path: Path) -> list[Probe]:
    """The questions of a file. `entity` and `relation` are empty where a line does not tell the fact."""
    return [_probe(entry, f"{path.stem}-{number}") for number, entry in enumerate(read_entries(path))]


def _files(data: Path | None) -> list[Path]:
    return sorted((data / "popqa").glob("*.jsonl")) if data is not None else []


def _probe(entry: Entry, name: str) -> Probe:
    told = all(entry.has(field) for field in ("subj", "prop", "obj"))
    answers = _answers(entry)
    return Probe(
        id=name,
        prompt=prompt_of(entry.text("question", empty=False)),
        entity=entry.text("subj", empty=False) if told else "",
        relation=entry.text("prop", empty=False) if told else "",
        answers=tuple(dict.fromkeys([entry.text("obj", empty=False), *answers] if told else answers)),
        group="popqa",
        mentions=entry.number("s_pop", least=0),
    )


def _answers(entry: Entry) -> Sequence[str]:
    """`possible_answers`, which PopQA's own file gives as JSON within text."""
    if not isinstance(entry.value.get("possible_answers"), str):
        return entry.texts("possible_answers")
    try:
        listed = json.loads(entry.text("possible_answers"))
    except ValueError as error:
        raise entry.error("is no list in JSON", "possible_answers") from error
    return Entry({"possible_answers": listed}, entry.path, entry.line).texts("possible_answers")


def _bucket(probe: Probe, buckets: Sequence[tuple[str, int, int | None]]) -> str:
    return next(
        label for label, low, high in buckets if low <= probe.mentions and (high is None or probe.mentions <= high)
    )
