"""Ask probes, in one or several states of the knowledge base, and judge what a model answers.

A probe's prompt stops before the value of a fact. Its `ProbeRecord` says what was generated and looked up; a `Row` has
the records of one probe by state (`full`, `edited`, `forgotten`, `added`, `off` without lookups). Measures are named
functions of records or rows, which `results.measure` turns into proportions.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, TypeVar

from rich.console import Console
from rich.progress import track

from lamlam.corpus import Probe
from lamlam.engine.generation import Generation
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.answers import gives
from lamlam.evaluate.results import Proportion, measure
from lamlam.kb.names import normalise

__all__ = [
    "BUCKETS",
    "CALLS",
    "Completions",
    "Generator",
    "ProbeRecord",
    "Row",
    "ask_each",
    "complete",
    "judge",
    "replaced",
    "score",
    "scores_json",
    "tracked",
]

BUCKETS: tuple[tuple[str, int, int | None], ...] = (
    ("1", 1, 1),
    ("2-3", 2, 3),
    ("4-7", 4, 7),
    ("8-15", 8, 15),
    ("16+", 16, None),
)
"""How often training text states a fact: label, least and greatest count."""


_Item = TypeVar("_Item")


def tracked(items: Sequence[_Item], title: str, progress: bool) -> Iterable[_Item]:
    """Iterate with a progress bar on stderr, which goes when the last item is done."""
    return track(items, title, console=Console(stderr=True), transient=True, disable=not progress)


class Generator(Protocol):
    """The one method of an engine that evaluation needs."""

    def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]: ...


@dataclass(frozen=True, slots=True)
class ProbeRecord:
    """The continuation of one probe, its first call (None if there was no call), and the verdicts on both.

    `statement` is the continuation up to the next call, if there is one: what it says about the probe's own fact.
    `found` says whether the first call's resolution held facts, `returned` whether one of them was an answer, whatever
    the model then wrote.
    """

    probe: Probe
    continuation: str
    statement: str
    right: bool
    query: tuple[str, str] | None = None
    status: str | None = None
    found: bool = False
    returned: bool = False
    entity_right: bool = False
    relation_right: bool = False

    @property
    def right_query(self) -> bool:
        return self.entity_right and self.relation_right

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


_SCORES: Mapping[str, Callable[[ProbeRecord], bool]] = {
    "accuracy": lambda record: record.right,
    "asked": lambda record: record.query is not None,
    "right_query": lambda record: record.right_query,
    "entity_right": lambda record: record.entity_right,
    "relation_right": lambda record: record.relation_right,
}
CALLS = ("asked", "right_query", "entity_right", "relation_right")
"""The scores of calls. All scores are of all probes: a probe without a call has a wrong query."""


def score(records: Iterable[ProbeRecord]) -> dict[str, Proportion]:
    """Return `accuracy` and the scores of calls."""
    return measure(records, _SCORES)


def scores_json(scores: Mapping[str, Proportion]) -> dict[str, Any]:
    """`accuracy` with its counts and interval; the scores of calls as plain numbers of the same `n`."""
    accuracy = scores["accuracy"]
    return accuracy.as_json("accuracy") | {name: round(scores[name].value, 6) if accuracy.n else None for name in CALLS}


@dataclass(frozen=True, slots=True)
class Completions:
    """A record for each probe, in the order of the probes, and the scores that follow from them."""

    records: tuple[ProbeRecord, ...]

    @property
    def scores(self) -> dict[str, Proportion]:
        return score(self.records)

    def groups(self) -> dict[str, dict[str, Proportion]]:
        """Scores of each group of probes ("seen", "unseen"), in the order of their names."""
        by_group: dict[str, list[ProbeRecord]] = defaultdict(list)
        for record in self.records:
            by_group[record.probe.group].append(record)
        return {group: score(by_group[group]) for group in sorted(by_group)}

    def by_mentions(self) -> dict[str, dict[str, Proportion]]:
        """Scores by how often training text states the fact; facts that it never states are left out."""
        return {
            label: score(
                r for r in self.records if low <= r.probe.mentions and (high is None or r.probe.mentions <= high)
            )
            for label, low, high in BUCKETS
        }

    def figures(self) -> dict[str, Any]:
        """`{"all": ..., "seen": ..., "unseen": ..., "by_mentions": {"1": ...}}`, empty buckets left out."""
        mentions = {label: scores_json(scores) for label, scores in self.by_mentions().items() if scores["accuracy"].n}
        groups = {group: scores_json(scores) for group, scores in self.groups().items()}
        return {"all": scores_json(self.scores)} | groups | {"by_mentions": mentions}


@dataclass(frozen=True, slots=True)
class Row:
    """The records of one probe by state, and what else measures need to know about it."""

    records: Mapping[str, ProbeRecord]
    about: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, state: str) -> ProbeRecord:
        return self.records[state]

    def __contains__(self, state: str) -> bool:
        return state in self.records

    @property
    def probe(self) -> Probe:
        return next(iter(self.records.values())).probe

    def before_and_after(self, state: str) -> dict[str, str]:
        """What was said about the probe's fact in the state `full` and in another one."""
        return {"before": self["full"].statement.strip(), "after": self[state].statement.strip()}


def complete(
    engine: Generator,
    probes: Sequence[Probe],
    settings: DecodingSettings,
    *,
    batch_size: int = 64,
    progress: bool = False,
) -> Completions:
    """Continue the prompt of every probe and judge the continuation (see `judge`)."""
    order = sorted(range(len(probes)), key=lambda index: len(probes[index].prompt))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    records: dict[int, ProbeRecord] = {}
    for batch in tracked(batches, "completion", progress):
        generations = engine.generate([probes[index].prompt for index in batch], settings)
        for index, generation in zip(batch, generations, strict=True):
            records[index] = judge(probes[index], generation)
    return Completions(tuple(records[index] for index in range(len(probes))))


def ask_each(engine: Generator, probes: Iterable[Probe], settings: DecodingSettings) -> dict[str, ProbeRecord]:
    """Return the record of each probe by its id; a probe that occurs twice is asked once."""
    records = complete(engine, list({probe.id: probe for probe in probes}.values()), settings).records
    return {record.probe.id: record for record in records}


def judge(probe: Probe, generation: Generation) -> ProbeRecord:
    """Judge what was generated after a probe's prompt.

    It is right if it starts with one of the probe's answers (see `answers.gives`). The query is right if the first call
    asks for the probe's entity and relation, as the knowledge base compares names.
    """
    right = gives(generation.text, probe.answers)
    if not generation.lookups:
        return ProbeRecord(probe, generation.text, generation.text.rstrip(), right)
    first = generation.lookups[0]
    return ProbeRecord(
        probe,
        generation.text,
        # A call's place is before the space if its value is not stated, else after it: the statement is the same.
        generation.text[: _second_call(generation)].rstrip(),
        right,
        query=(first.entity, first.relation),
        status=str(first.resolution.status),
        found=first.resolution.found,
        returned=any(gives(value, probe.answers) for value in first.resolution.values),
        entity_right=normalise(first.entity) == normalise(probe.entity),
        relation_right=normalise(first.relation) == normalise(probe.relation),
    )


def replaced(record: ProbeRecord, left: Sequence[str]) -> bool:
    """Whether something is put in a forgotten fact's place: the first call found facts, or one of `left` is said.

    `left` are the values that the knowledge base still holds for the same relation.
    """
    return record.found or gives(record.continuation, left)


def _second_call(generation: Generation) -> int:
    """Where in the text the first call with words before it is; the text's length if there is none."""
    places = (lookup.start for lookup in generation.lookups)
    return next((place for place in places if generation.text[:place].strip()), len(generation.text))
