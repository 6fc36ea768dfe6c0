"""PopQA: questions about entities of every popularity (arXiv 2212.10511), and the same kind of questions for any run.

Files of PopQA's form under the data folder's `popqa` are asked if there are any: `question`, `possible_answers` (a
list, or one as JSON text), `s_pop` (views of the subject's page), and, for facts to be given, `subj`, `prop`, `obj`.
Otherwise the run's own probes are asked as questions, "What is X's birth place?"; popularity is then the number of
training documents with a call about the entity.
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
from lamlam.corpus.prompts import prompt_of
from lamlam.evaluate.completion import BUCKETS
from lamlam.evaluate.evaluation import Evaluation, NotApplicable, task
from lamlam.evaluate.results import Result
from lamlam.evaluate.tasks.slots import fill, fitting

__all__ = ["own_questions", "popqa", "read_popqa"]

_FULL, _QUICK = 2000, 300
_VIEWS = (("below 100", 0, 99), ("100 to 999", 100, 999), ("1000 to 9999", 1000, 9999), ("10000 and more", 10000, None))


@task("popqa", "questions, by how popular their entities are")
def popqa(evaluation: Evaluation) -> Result:
    """A sample of the questions, drawn by the seed. Raises `NotApplicable` if there are neither files nor probes."""
    paths = sorted((evaluation.data / "popqa").glob("*.jsonl")) if evaluation.data is not None else []
    questions = [probe for path in paths for probe in read_popqa(path)] or own_questions(evaluation.corpus)
    if not questions:
        raise NotApplicable("the corpus has no probes to ask as questions, and there is no data of PopQA")
    number = min(evaluation.size(_FULL, _QUICK), len(questions))
    chosen = random.Random(evaluation.seed).sample(questions, number)
    asked = fitting(evaluation, chosen)
    about: dict[str, Any] = {
        "questions": len(asked),
        "too_long": len(chosen) - len(asked),
        "source": "popqa" if paths else "corpus",
    }
    facts = [(probe.entity, probe.relation, probe.answers[0]) for probe in asked if probe.entity] if paths else []
    buckets = _VIEWS if paths else (("0", 0, 0), *BUCKETS)
    return Result("popqa", more=about, parts=fill(evaluation, asked, facts, lambda probe: _bucket(probe, buckets)))


def own_questions(corpus: Corpus) -> list[Probe]:
    """The corpus's probes as questions, each fact once; `mentions` becomes the popularity of the entity."""
    popularity = Counter(name for document in corpus.train for name in {call.entity for call in document.calls})
    facts = {(probe.entity, probe.relation): probe for probe in corpus.probes}
    return [
        replace(probe, prompt=prompt_of(f"What is {entity}'s {relation.lower()}?"), mentions=popularity[entity])
        for (entity, relation), probe in facts.items()
    ]


def read_popqa(path: Path) -> list[Probe]:
    """Read the questions of a file. `entity` and `relation` are empty if a line does not give the fact."""
    return [_probe(entry, f"{path.stem}-{number}") for number, entry in enumerate(read_entries(path))]


def _probe(entry: Entry, name: str) -> Probe:
    given = all(entry.has(field) for field in ("subj", "prop", "obj"))
    answers = _answers(entry)
    return Probe(
        id=name,
        prompt=prompt_of(entry.text("question", empty=False)),
        entity=entry.text("subj", empty=False) if given else "",
        relation=entry.text("prop", empty=False) if given else "",
        answers=tuple(dict.fromkeys([entry.text("obj", empty=False), *answers] if given else answers)),
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
        raise entry.error("is not a list in JSON", "possible_answers") from error
    return Entry({"possible_answers": listed}, entry.path, entry.line).texts("possible_answers")


def _bucket(probe: Probe, buckets: Sequence[tuple[str, int, int | None]]) -> str:
    return next(
        label for label, low, high in buckets if low <= probe.mentions and (high is None or probe.mentions <= high)
    )
