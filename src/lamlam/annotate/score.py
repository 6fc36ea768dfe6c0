"""Scores an annotator's documents against a gold annotation, matched by id.

Calls are matched one to one by the places of their values, the best pairs first. If a model altered the text, places
are carried over. Relations mean the same if the knowledge base would answer a lookup of one with the other.
"""

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from lamlam import __version__
from lamlam.annotate.intervals import Measure, Rate, resamples
from lamlam.annotate.spans import Introductions, value_span
from lamlam.corpus.files import read_documents
from lamlam.errors import InputError, LamLamError
from lamlam.files import atomic_write, file_digest
from lamlam.kb.matching.features import Evidence
from lamlam.kb.matching.matcher import MatchSettings, default_matcher
from lamlam.kb.names import normalise
from lamlam.kb.similarity import relation_key
from lamlam.markup import AnnotatedDocument, Call
from lamlam.text import title_of

__all__ = [
    "CallPair",
    "PlacedCall",
    "Score",
    "ScoreSettings",
    "Split",
    "TextMap",
    "gold_split",
    "match",
    "relation_likeness",
    "score",
    "score_files",
]

_PARTS = 10
_OPENING = 40  # letters and digits of a text without a title: models alter spaces and signs, and cut texts off


class Split(StrEnum):
    """Eight tenths of the gold to learn from, one to set thresholds and stop by, one to report."""

    TRAIN = "train"
    CALIBRATION = "calibration"
    TEST = "test"


def gold_split(document: AnnotatedDocument) -> Split:
    """Return a document's split, by a hash of its title, or of how its text begins if it has none.

    Passages of one article share a split, whatever the file, the order or the annotator.
    """
    title = normalise(document.title or title_of(document.text))
    key = title or "".join([sign for sign in normalise(document.text) if sign.isalnum()][:_OPENING])
    part = int.from_bytes(hashlib.sha256(key.encode()).digest()) % _PARTS
    return (Split.CALIBRATION, Split.TEST)[part] if part < 2 else Split.TRAIN


class TextMap:
    """Moves spans from the characters of `old` to those of `new`, by the fewest edits."""

    def __init__(self, old: str, new: str) -> None:
        self._blocks = [] if old == new else list(Levenshtein.opcodes(old, new))
        self._starts = [block.src_start for block in self._blocks]

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Return where the characters [start, end) of `old` are in `new`; None if nothing is left of them."""
        if not self._blocks:
            return start, end
        moved = self._at(start, last=False), self._at(end - 1, last=True)
        return moved if moved[0] < moved[1] else None

    def _at(self, position: int, *, last: bool) -> int:
        """Return the start of a character, or its end if it's the `last` one; a replacement is moved as a whole."""
        block = self._blocks[bisect_right(self._starts, position) - 1]
        if block.tag == "equal":
            return block.dest_start + position - block.src_start + last
        return block.dest_end if last else block.dest_start


@lru_cache(maxsize=1 << 17)
def relation_likeness(gold: str, predicted: str, value: str) -> float:
    """Return how likely a lookup of the relation `predicted` means the fact in the relation `gold` with this value.

    1.0 for the same name and for the same words in another order; otherwise as `kb.matching` judges.
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
    """How far a predicted call and a gold call agree; pairs are ordered from worst to best."""

    same_span: bool
    overlap: float
    same_entity: bool
    same_relation: bool
    relation: float
    same_value: bool

    @classmethod
    def of(cls, gold: PlacedCall, predicted: PlacedCall) -> "CallPair":
        common = min(gold.end, predicted.end) - max(gold.start, predicted.start)
        whole = max(gold.end, predicted.end) - min(gold.start, predicted.start)
        a, b = gold.call, predicted.call
        return cls(
            same_span=common == whole,
            overlap=common / whole,
            same_entity=normalise(a.entity) == normalise(b.entity),
            same_relation=normalise(a.relation) == normalise(b.relation),
            relation=relation_likeness(a.relation, b.relation, a.value),
            same_value=normalise(a.value) == normalise(b.value),
        )


def match(gold: Sequence[PlacedCall], predicted: Sequence[PlacedCall]) -> list[CallPair]:
    """Return the pairs of calls whose values overlap, best first; a call is in at most one pair."""
    order = sorted(range(len(predicted)), key=lambda at: predicted[at].start)
    starts = [predicted[at].start for at in order]
    longest = max((call.end - call.start for call in predicted), default=0)
    pairs = [
        (CallPair.of(wanted, predicted[at]), -at_gold, -at)
        for at_gold, wanted in enumerate(gold)
        for at in order[bisect_left(starts, wanted.start - longest) : bisect_left(starts, wanted.end)]
        if wanted.start < predicted[at].end
    ]
    kept, used_gold, used_predicted = [], set(), set()
    for pair, at_gold, at_predicted in sorted(pairs, reverse=True):
        if at_gold not in used_gold and at_predicted not in used_predicted:
            used_gold.add(at_gold)
            used_predicted.add(at_predicted)
            kept.append(pair)
    return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSettings:
    """How relations are compared and intervals drawn. Raises `InputError` naming the invalid field."""

    threshold: float = MatchSettings().relation
    """Relations mean the same from this likeness on; by default where a lookup is answered."""
    samples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise InputError(f"must be a number from 0 to 1, not {self.threshold!r}", field="threshold")
        if self.samples < 1:
            raise InputError("must be at least 1", field="samples")


@dataclass(frozen=True, slots=True)
class Score:
    """What `score` found: measures against the gold, and rates of either annotation by itself.

    `untouched`: documents whose plain text is the gold's. `density`: calls per hundred words. `unplaced`: calls whose
    value occurs nowhere near them. `early`: calls before their entity is known. `missing` gold documents have no
    prediction, and their calls count as not found; `beyond` documents are not in the gold and don't count.
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
    """Score `predicted` against all documents of `gold`.

    Raises `LamLamError` if an id occurs twice or the two have no document in common.
    """
    settings = settings or ScoreSettings()
    wanted, given = _by_id(gold, "gold"), _by_id(predicted, "predictions")
    if not wanted.keys() & given.keys():
        raise LamLamError("no document of the gold has its id among the predictions")
    expected = [wanted[id] for id in sorted(wanted)]
    annotated = [(document, given[document.id]) for document in expected if document.id in given]
    drawn = resamples(len(expected), settings.samples, settings.seed)
    drawn_annotated = resamples(len(annotated), settings.samples, settings.seed)
    compared = [
        _compare(document, given.get(document.id, AnnotatedDocument(document.id, document.text)), settings.threshold)
        for document in expected
    ]
    untouched = np.array([(before.text == after.text, 1) for before, after in annotated], np.int64)
    return Score(
        documents=len(expected),
        missing=len(expected) - len(annotated),
        beyond=len(given.keys() - wanted.keys()),
        measures={name: Measure.of(np.array([row[name] for row in compared], np.int64), drawn) for name in compared[0]},
        untouched=Rate.of_counts(untouched, drawn_annotated),
        predicted=_rates([found for _, found in annotated], drawn_annotated),
        gold=_rates(expected, drawn),
        settings=settings,
    )


def score_files(
    gold: Path, predicted: Path, *, split: Split | None = Split.TEST, settings: ScoreSettings, out: Path | None = None
) -> Score:
    """Score a file's documents, of one split of the gold or all of it; also write the score to `out`, as JSON.

    Predictions for other splits are ignored. Raises `InputError` for a file that cannot be read or a gold without a
    document of the split.
    """
    every = list(read_documents(gold))
    wanted = [document for document in every if split is None or gold_split(document) is split]
    if not wanted:
        raise InputError(f"holds no document of the split '{split}'", path=gold)
    others = {document.id for document in every} - {document.id for document in wanted}
    found = score(wanted, (document for document in read_documents(predicted) if document.id not in others), settings)
    if out is not None:
        files = {"gold": gold, "predicted": predicted}
        report = {
            "split": split.value if split else "all",
            **found.as_json(),
            "files": {name: {"name": path.name, "sha256": file_digest(path)} for name, path in files.items()},
            "version": __version__,
            "settings": asdict(found.settings),
        }
        with atomic_write(out) as file:
            json.dump(report, file, ensure_ascii=False, indent=1)
            file.write("\n")
    return found


def _compare(
    gold: AnnotatedDocument, predicted: AnnotatedDocument, threshold: float
) -> dict[str, tuple[int, int, int]]:
    """Return hits, predicted and gold calls by measure.

    `span_*`: calls whose values are in the same place, or overlap. `entity`, `relation_*`: of those that overlap, those
    with the same entity, the same relation. `call_exact`: same place, entity and relation. `call_meaning`: they
    overlap, the entity is the same, the relation means the same. Calls whose value isn't in the text are in none of
    these, but in `fact`: the same entity, relation and value, anywhere.
    """
    there, here = _placed(predicted, TextMap(predicted.text, gold.text)), _placed(gold, TextMap(gold.text, gold.text))
    pairs = match(here, there)
    among_all, among_pairs = (len(there), len(here)), (len(pairs), len(pairs))
    facts = (_facts(gold) & _facts(predicted)).total()
    return {
        "span_exact": (sum(pair.same_span for pair in pairs), *among_all),
        "span_overlap": (len(pairs), *among_all),
        "entity": (sum(pair.same_entity for pair in pairs), *among_pairs),
        "relation_exact": (sum(pair.same_relation for pair in pairs), *among_pairs),
        "relation_meaning": (sum(pair.relation >= threshold for pair in pairs), *among_pairs),
        "call_exact": (sum(p.same_span and p.same_entity and p.same_relation for p in pairs), *among_all),
        "call_meaning": (sum(pair.same_entity and pair.relation >= threshold for pair in pairs), *among_all),
        "fact": (facts, len(predicted.calls), len(gold.calls)),
    }


def _placed(document: AnnotatedDocument, onto: TextMap) -> list[PlacedCall]:
    found = ((call, value_span(document.text, call.value, call.at)) for call in document.calls)
    moved = ((call, onto.span(*span)) for call, span in found if span is not None)
    return [PlacedCall(call, *span) for call, span in moved if span is not None]


def _facts(document: AnnotatedDocument) -> Counter[tuple[str, str, str]]:
    return Counter((normalise(call.entity), normalise(call.relation), normalise(call.value)) for call in document.calls)


def _by_id(documents: Iterable[AnnotatedDocument], where: str) -> dict[str, AnnotatedDocument]:
    found: dict[str, AnnotatedDocument] = {}
    for document in documents:
        if document.id in found:
            raise LamLamError(f"the id '{document.id}' occurs twice in the {where}")
        found[document.id] = document
    return found


def _rates(documents: Sequence[AnnotatedDocument], drawn: np.ndarray) -> dict[str, Rate]:
    """Return the rates of an annotation by itself."""
    counts = np.array([_profile(document) for document in documents], np.int64)  # [D, 4]
    return {
        "density": Rate.of_counts(counts[:, [1, 0]], drawn, 100.0),
        "unplaced": Rate.of_counts(counts[:, [2, 1]], drawn),
        "early": Rate.of_counts(counts[:, [3, 1]], drawn),
    }


def _profile(document: AnnotatedDocument) -> tuple[int, int, int, int]:
    """Return the numbers of words, calls, calls without a place of their value, and calls that are too early."""
    introductions = Introductions(document)
    unplaced = sum(value_span(document.text, call.value, call.at) is None for call in document.calls)
    early = sum(not introductions.precede(call) for call in document.calls)
    return len(document.text.split()), len(document.calls), unplaced, early
