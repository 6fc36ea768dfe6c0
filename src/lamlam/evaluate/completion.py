"""Fact completion: is the next thing that a model says a value of the fact that the prompt stops before?

It judges continuations and the calls made on the way; it neither chooses probes nor changes a knowledge base.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from rich.console import Console
from rich.progress import track

from lamlam.corpus import Probe
from lamlam.engine.generation import Generation
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.answers import gives
from lamlam.evaluate.results import Share
from lamlam.kb.names import normalise

__all__ = ["BUCKETS", "CompletionResult", "Generator", "ProbeRecord", "Scores", "ask_each", "complete"]

BUCKETS: tuple[tuple[str, int, int | None], ...] = (
    ("1", 1, 1),
    ("2-3", 2, 3),
    ("4-7", 4, 7),
    ("8-15", 8, 15),
    ("16+", 16, None),
)
"""How often training text states a fact: label, least and greatest count."""


class Generator(Protocol):
    """The one method of an engine that evaluation needs."""

    def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]: ...


@dataclass(frozen=True, slots=True)
class ProbeRecord:
    """What came of one probe: its continuation, its first call (None where none was made) and how they were judged.

    `statement` is the continuation up to the next call, if it goes on to one: what it says of the probe's own fact.
    `found` says whether the first call's resolution held facts, `returned` whether one of them was an answer: what a
    model then makes of it is another matter.
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


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares of one and the same set of probes, all of them: a probe without a call has a wrong query."""

    accuracy: Share
    asked: Share
    right_query: Share
    entity_right: Share
    relation_right: Share

    @classmethod
    def of(cls, records: Iterable[ProbeRecord]) -> "Scores":
        records = list(records)
        return cls(
            accuracy=Share.of([record.right for record in records]),
            asked=Share.of([record.query is not None for record in records]),
            right_query=Share.of([record.right_query for record in records]),
            entity_right=Share.of([record.entity_right for record in records]),
            relation_right=Share.of([record.relation_right for record in records]),
        )

    def as_json(self) -> dict[str, Any]:
        """`accuracy` with its counts and interval; the shares of calls as plain numbers of the same `n`."""
        n = self.accuracy.n
        calls = ("asked", "right_query", "entity_right", "relation_right")
        return self.accuracy.as_json("accuracy") | {
            name: round(getattr(self, name).value, 6) if n else None for name in calls
        }


@dataclass(frozen=True, slots=True)
class CompletionResult:
    """A record for each probe, in the order of the probes, and the scores that follow from them."""

    records: tuple[ProbeRecord, ...]
    task: str = "completion"

    @property
    def scores(self) -> Scores:
        return Scores.of(self.records)

    def groups(self) -> dict[str, Scores]:
        """Scores of each group of probes ("seen", "unseen"), in the order of their names."""
        by_group: dict[str, list[ProbeRecord]] = defaultdict(list)
        for record in self.records:
            by_group[record.probe.group].append(record)
        return {group: Scores.of(by_group[group]) for group in sorted(by_group)}

    def by_mentions(self) -> dict[str, Scores]:
        """Scores of the probes whose fact training text states that often; facts that it never states are left out."""
        return {
            label: Scores.of(record for record in self.records if _within(record.probe.mentions, low, high))
            for label, low, high in BUCKETS
        }

    def figures(self) -> dict[str, Any]:
        """`{"all": ..., "seen": ..., "unseen": ..., "by_mentions": {"1": ...}}`, empty buckets left out."""
        mentions = {label: scores.as_json() for label, scores in self.by_mentions().items() if scores.accuracy.n}
        groups = {group: scores.as_json() for group, scores in self.groups().items()}
        return {"all": self.scores.as_json()} | groups | {"by_mentions": mentions}

    def failures(self, limit: int) -> list[ProbeRecord]:
        """The first `limit` probes that were answered wrong."""
        return [record for record in self.records if not record.right][:limit]


def complete(
    engine: Generator,
    probes: Sequence[Probe],
    settings: DecodingSettings,
    *,
    batch_size: int = 64,
    progress: bool = False,
) -> CompletionResult:
    """Continue every probe's prompt and judge it.

    A continuation is right when it starts with one of the probe's answers (see `answers.gives`). A query is right when
    the first call asks for the probe's entity and relation, as the knowledge base compares names.
    """
    order = sorted(range(len(probes)), key=lambda index: len(probes[index].prompt))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    records: dict[int, ProbeRecord] = {}
    for batch in track(batches, "completion", console=Console(stderr=True), transient=True, disable=not progress):
        generations = engine.generate([probes[index].prompt for index in batch], settings)
        for index, generation in zip(batch, generations, strict=True):
            records[index] = judge(probes[index], generation)
    return CompletionResult(tuple(records[index] for index in range(len(probes))))


def ask_each(engine: Generator, probes: Iterable[Probe], settings: DecodingSettings) -> dict[str, ProbeRecord]:
    """The record of each probe, by its id; one that occurs twice is asked once."""
    records = complete(engine, list({probe.id: probe for probe in probes}.values()), settings).records
    return {record.probe.id: record for record in records}


def judge(probe: Probe, generation: Generation) -> ProbeRecord:
    """The record of one probe and what was generated after its prompt."""
    right = gives(generation.text, probe.answers)
    if not generation.lookups:
        return ProbeRecord(probe, generation.text, generation.text.rstrip(), right)
    first = generation.lookups[0]
    return ProbeRecord(
        probe,
        generation.text,
        # Where the next call's value is not stated its place is before the space, else behind it: the same statement.
        generation.text[: _second_call(generation)].rstrip(),
        right,
        query=(first.entity, first.relation),
        status=str(first.resolution.status),
        found=first.resolution.found,
        returned=any(gives(value, probe.answers) for value in first.resolution.values),
        entity_right=normalise(first.entity) == normalise(probe.entity),
        relation_right=normalise(first.relation) == normalise(probe.relation),
    )


def _second_call(generation: Generation) -> int:
    """Where in the text the first call stands that has words before it; the text's length where none has."""
    places = (lookup.start for lookup in generation.lookups)
    return next((place for place in places if generation.text[:place].strip()), len(generation.text))


def _within(count: int, low: int, high: int | None) -> bool:
    return low <= count and (high is None or count <= high)
