"""Scores an annotator's documents against a gold annotation, matched by id.

Calls are matched one to one by the places of their values, the best pairs first. Places are carried over where a model
altered the text. Relations mean the same where the knowledge base would answer a lookup of one with the other.
"""

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from lamlam import __version__
from lamlam.annotate.intervals import Measure, Rate, draws
from lamlam.annotate.spans import Introductions, value_span
from lamlam.corpus.files import read_documents
from lamlam.errors import InputError, LamLamError
from lamlam.files import atomic_write, file_digest
from lamlam.kb.matching.features import Evidence
from lamlam.kb.matching.matcher import default_matcher
from lamlam.kb.matching.settings import MatchSettings
from lamlam.kb.names import normalise
from lamlam.kb.similarity import relation_key
from lamlam.markup import AnnotatedDocument, Call
from lamlam.text import title_of

__all__ = [
    "CallPair",
    "Comparison",
    "PlacedCall",
    "Profile",
    "Score",
    "ScoreSettings",
    "Split",
    "TextMap",
    "compare",
    "gold_split",
    "match",
    "profile",
    "relation_likeness",
    "score",
    "score_files",
]

_PARTS = 10
_OPENING = 40  # letters and digits of a text without a title: models alter spaces and signs, and cut texts off
Counts = tuple[int, int, int]  # hits, predicted, gold


class Split(StrEnum):
    """Eight tenths to learn from, one to set thresholds and to stop by, one to report on."""

    TRAIN = "train"
    CALIBRATION = "calibration"
    TEST = "test"


def gold_split(document: AnnotatedDocument) -> Split:
    """The side that a document is on, by a hash of its title, or of how its text begins where it has none."""
    title = document.title or title_of(document.text)
    key = normalise(title) or _opening(document.text)
    part = int.from_bytes(hashlib.sha256(key.encode()).digest()) % _PARTS
    return (Split.CALIBRATION, Split.TEST)[part] if part < 2 else Split.TRAIN


def _opening(text: str) -> str:
    signs = [sign for sign in normalise(text) if sign.isalnum()]
    return "".join(signs[:_OPENING])


class TextMap:
    """From the characters of `old` to those of `new`, by the shortest way to make one of the other."""

    def __init__(self, old: str, new: str) -> None:
        self.same = old == new
        self._blocks = [] if self.same else list(Levenshtein.opcodes(old, new))
        self._starts = [block.src_start for block in self._blocks]

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Where the characters [start, end) of `old` stand in `new`; None where nothing is left of them."""
        if self.same:
            return start, end
        moved = self._at(start, last=False), self._at(end - 1, last=True)
        return moved if moved[0] < moved[1] else None

    def _at(self, position: int, *, last: bool) -> int:
        """The start of a character, or its end if it is the `last` one; what was replaced stands for all of it."""
        block = self._blocks[bisect_right(self._starts, position) - 1]
        if block.tag == "equal":
            return block.dest_start + position - block.src_start + last
        return block.dest_end if last else block.dest_start


@lru_cache(maxsize=1 << 17)
def relation_likeness(gold: str, predicted: str, value: str) -> float:
    """How likely a lookup of the relation `predicted` means the fact in the relation `gold` that has this value.

    1.0 for the same name and for the same words in another order; else what `kb.matching` says.
    """
    if normalise(gold) == normalise(predicted) or (relation_key(gold) == relation_key(predicted) != ""):
        return 1.0
    return default_matcher().likelihoods(predicted, [(gold, Evidence(values=(value,)))])[0]


@dataclass(frozen=True, slots=True)
class PlacedCall:
    """A call, and the characters [start, end) of the gold's text that state its value."""

    call: Call
    start: int
    end: int


@dataclass(frozen=True, slots=True, order=True)
class CallPair:
    """How far a predicted call and one of the gold agree; the order of pairs is from the worst to the best."""

    same_span: bool
    overlap: float
    same_entity: bool
    same_relation: bool
    relation: float
    same_value: bool


def match(gold: Sequence[PlacedCall], predicted: Sequence[PlacedCall]) -> list[CallPair]:
    """The pairs of calls whose values overlap, best first; a call is in one pair at most."""
    order = sorted(range(len(predicted)), key=lambda at: predicted[at].start)
    starts = [predicted[at].start for at in order]
    longest = max((each.end - each.start for each in predicted), default=0)
    pairs = [
        (_call_pair(g, predicted[at]), -at_gold, -at)
        for at_gold, g in enumerate(gold)
        for at in order[bisect_left(starts, g.start - longest) : bisect_left(starts, g.end)]
        if g.start < predicted[at].end
    ]
    kept, used_gold, used_predicted = [], set(), set()
    for pair, at_gold, at_predicted in sorted(pairs, reverse=True):
        if at_gold not in used_gold and at_predicted not in used_predicted:
            used_gold.add(at_gold)
            used_predicted.add(at_predicted)
            kept.append(pair)
    return kept


def _call_pair(gold: PlacedCall, predicted: PlacedCall) -> CallPair:
    common = min(gold.end, predicted.end) - max(gold.start, predicted.start)
    whole = max(gold.end, predicted.end) - min(gold.start, predicted.start)
    a, b = gold.call, predicted.call
    return CallPair(
        same_span=common == whole,
        overlap=common / whole,
        same_entity=normalise(a.entity) == normalise(b.entity),
        same_relation=normalise(a.relation) == normalise(b.relation),
        relation=relation_likeness(a.relation, b.relation, a.value),
        same_value=normalise(a.value) == normalise(b.value),
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Hits, predicted and gold of each measure; each measure is told in `compare`."""

    span_exact: Counts
    span_overlap: Counts
    entity: Counts
    relation_exact: Counts
    relation_meaning: Counts
    call_exact: Counts
    call_meaning: Counts
    fact: Counts


@dataclass(frozen=True, slots=True)
class Profile:
    """Of one document's annotation: words, calls, calls without a place of their value, calls that come too early."""

    words: int
    calls: int
    unplaced: int
    early: int


def compare(gold: AnnotatedDocument, predicted: AnnotatedDocument, threshold: float) -> Comparison:
    """How far the prediction agrees with the gold; relations mean the same from `threshold` on.

    `span_*`: calls whose values stand in the same place, or overlap. `entity`, `relation_*`: of those that overlap, the
    ones with the same entity, the same relation. `call_exact`: same place, entity and relation. `call_meaning`: they
    overlap, the entity is the same, the relation means the same. Calls whose value stands nowhere in the text are in
    none of these, but in `fact`: the same entity, relation and value, wherever it stands.
    """
    there = _placed(predicted, TextMap(predicted.text, gold.text))
    here = _placed(gold, TextMap(gold.text, gold.text))
    pairs = match(here, there)

    def found(hits: int) -> Counts:
        return hits, len(there), len(here)

    def of_pairs(hits: int) -> Counts:
        return hits, len(pairs), len(pairs)

    return Comparison(
        span_exact=found(sum(pair.same_span for pair in pairs)),
        span_overlap=found(len(pairs)),
        entity=of_pairs(sum(pair.same_entity for pair in pairs)),
        relation_exact=of_pairs(sum(pair.same_relation for pair in pairs)),
        relation_meaning=of_pairs(sum(pair.relation >= threshold for pair in pairs)),
        call_exact=found(sum(pair.same_span and pair.same_entity and pair.same_relation for pair in pairs)),
        call_meaning=found(sum(pair.same_entity and pair.relation >= threshold for pair in pairs)),
        fact=((_facts(gold) & _facts(predicted)).total(), len(predicted.calls), len(gold.calls)),
    )


def profile(document: AnnotatedDocument) -> Profile:
    """What an annotation is like, by itself."""
    introductions = Introductions(document)
    return Profile(
        words=len(document.text.split()),
        calls=len(document.calls),
        unplaced=sum(value_span(document.text, call.value, call.at) is None for call in document.calls),
        early=sum(not introductions.precede(call) for call in document.calls),
    )


def _placed(document: AnnotatedDocument, onto: TextMap) -> list[PlacedCall]:
    found = ((call, value_span(document.text, call.value, call.at)) for call in document.calls)
    moved = ((call, onto.span(*span)) for call, span in found if span is not None)
    return [PlacedCall(call, *span) for call, span in moved if span is not None]


def _facts(document: AnnotatedDocument) -> Counter[tuple[str, str, str]]:
    return Counter((normalise(call.entity), normalise(call.relation), normalise(call.value)) for call in document.calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSettings:
    """How relations are compared and intervals drawn. Raises `InputError` naming the field that is bad."""

    threshold: float = MatchSettings().relation
    """From this likeness on two relations mean the same: from it on a lookup is answered."""
    samples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise InputError(f"{self.threshold!r} is no number from 0 to 1", field="threshold")
        if self.samples < 1:
            raise InputError("must be at least 1", field="samples")


@dataclass(frozen=True, slots=True)
class Score:
    """What `score` found: measures against the gold, and what either annotation is like by itself.

    `untouched`: documents whose plain text is the gold's. `density`: calls a hundred words. `unplaced`: calls whose
    value stands nowhere near them. `early`: calls before their entity is known. `missing` documents of the gold have no
    prediction, and their calls count as not found; `beyond` documents are not in the gold, and do not count.
    """

    documents: int
    missing: int
    beyond: int
    measures: dict[str, Measure]
    untouched: Rate
    predicted: dict[str, Rate]
    gold: dict[str, Rate]
    settings: ScoreSettings

    def as_json(self) -> dict[str, Any]:
        return {
            "documents": self.documents,
            "missing": self.missing,
            "beyond": self.beyond,
            **{name: measure.as_json() for name, measure in self.measures.items()},
            "untouched": self.untouched.as_json(),
            "predicted": {name: rate.as_json() for name, rate in self.predicted.items()},
            "gold": {name: rate.as_json() for name, rate in self.gold.items()},
            "settings": asdict(self.settings),
        }


def score(
    gold: Iterable[AnnotatedDocument], predicted: Iterable[AnnotatedDocument], settings: ScoreSettings | None = None
) -> Score:
    """How good `predicted` is, held against `gold`; which documents of the gold count is the caller's to say.

    Raises `LamLamError` where an id stands twice or the two have no document in common.
    """
    settings = settings or ScoreSettings()
    wanted, given = _by_id(gold, "gold"), _by_id(predicted, "predictions")
    if not wanted.keys() & given.keys():
        raise LamLamError("no document of the gold has its id among the predictions")
    nothing = {id: AnnotatedDocument(id, document.text) for id, document in wanted.items()}
    pairs = [(wanted[id], given.get(id, nothing[id])) for id in sorted(wanted)]
    drawn = draws(len(pairs), settings.samples, settings.seed)
    compared = [compare(*pair, settings.threshold) for pair in pairs]
    counts = {
        each.name: np.array([getattr(one, each.name) for one in compared], np.int64) for each in fields(Comparison)
    }
    there = [(expected, given[expected.id]) for expected, _ in pairs if expected.id in given]
    among = draws(len(there), settings.samples, settings.seed)
    untouched = np.array([(expected.text == found.text, 1) for expected, found in there], np.int64)
    return Score(
        documents=len(pairs),
        missing=len(pairs) - len(there),
        beyond=len(given.keys() - wanted.keys()),
        measures={name: Measure.of(each, drawn) for name, each in counts.items()},
        untouched=Rate.of_counts(untouched, among),
        predicted=_rates([profile(found) for _, found in there], among),
        gold=_rates([profile(expected) for expected, _ in pairs], drawn),
        settings=settings,
    )


def _by_id(documents: Iterable[AnnotatedDocument], where: str) -> dict[str, AnnotatedDocument]:
    found: dict[str, AnnotatedDocument] = {}
    for document in documents:
        if document.id in found:
            raise LamLamError(f"the id '{document.id}' stands twice among the {where}")
        found[document.id] = document
    return found


def _rates(profiles: list[Profile], drawn: np.ndarray) -> dict[str, Rate]:
    rates = {
        "density": ("calls", "words", 100.0),
        "unplaced": ("unplaced", "calls", 1.0),
        "early": ("early", "calls", 1.0),
    }
    return {
        name: Rate.of_counts(
            np.array([(getattr(one, count), getattr(one, whole)) for one in profiles], np.int64), drawn, scale
        )
        for name, (count, whole, scale) in rates.items()
    }


def score_files(
    gold: Path, predicted: Path, *, split: Split | None = Split.TEST, settings: ScoreSettings, out: Path | None = None
) -> Score:
    """The score of a file's documents, of one split of the gold or of all; also written to `out`, as JSON.

    Predictions for documents of other splits are passed over. Raises `InputError` for a file that cannot be read or a
    gold without a document of the split.
    """
    every = list(read_documents(gold))
    wanted = [document for document in every if split is None or gold_split(document) is split]
    if not wanted:
        raise InputError(f"holds no document of the split '{split}'", path=gold)
    others = {document.id for document in every} - {document.id for document in wanted}
    found = score(wanted, (each for each in read_documents(predicted) if each.id not in others), settings)
    if out is not None:
        with atomic_write(out) as file:
            json.dump(_report(found, gold, predicted, split), file, ensure_ascii=False, indent=1)
            file.write("\n")
    return found


def _report(found: Score, gold: Path, predicted: Path, split: Split | None) -> dict[str, Any]:
    files = {"gold": gold, "predicted": predicted}
    return {
        "split": split.value if split else "all",
        **found.as_json(),
        "files": {name: {"name": path.name, "sha256": file_digest(path)} for name, path in files.items()},
        "version": __version__,
        "settings": asdict(found.settings),
    }
