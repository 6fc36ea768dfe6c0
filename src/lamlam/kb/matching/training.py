"""Train the classifier of `matcher`, and find the thresholds of matching for a knowledge base from its own facts.

To calibrate, relations are hidden, exchanged and altered, so that there is nothing to find: the share that is answered
all the same must stay under a given rate. Thresholds are chosen on one half of the entities and measured on the other.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path

import numpy as np

from lamlam.errors import InputError, needs_extra
from lamlam.files import atomic_write
from lamlam.kb.fact import Fact
from lamlam.kb.matching.features import FEATURES, features
from lamlam.kb.matching.matcher import Matcher, MatchSettings, decide, default_matcher
from lamlam.kb.matching.mining import Meaning, Mine, Question, sampled_entities
from lamlam.kb.names import normalise
from lamlam.kb.reader import FactReader
from lamlam.kb.similarity import relation_key
from lamlam.kb.view import View

__all__ = ["MatchCalibration", "calibrate", "sampled_facts", "train", "train_on"]

_TREES, _DEPTH, _RATE, _LEAST_IN_LEAF = 80, 3, 0.08, 20
# Which way a feature may move the likelihood, where only one makes sense.
_FALLING = frozenset((
    "asked_beyond", "held_beyond", "rarest_beyond", "numbers_differ", "counts_differ", "opposed", "qualified",
    "kinds_differ", "value_misfits", "usual_differs", "prepositions_differ",
))  # fmt: skip
_RISING = frozenset((
    "same_words", "core_overlap", "aligned_asked", "aligned_held", "near_asked", "near_held", "weakest_link",
    "phrase_cosine", "core_cosine", "spelling", "same_head", "heads_cosine", "kinds_agree", "value_fits",
    "usual_agrees",
))  # fmt: skip
_STEPS = 50
_FACTS_OF_AN_ENTITY = 200
_FEWEST = 50


def train(questions: Sequence[Question], out: str | Path, *, seed: int = 0) -> int:
    """Write a classifier to a file; return on how many pairs of names it was trained.

    Each is seen twice, with the thesaurus and without it, so that the rest matches what the thesaurus does not know. A
    rewording counts by the root of how often it occurs, so that the commonest don't decide alone. Raises `LamLamError`
    if scikit-learn is missing, `InputError` if no question, or every one, has an answer.
    """
    with needs_extra("train", "training"):
        from sklearn.ensemble import HistGradientBoostingClassifier
    often = Counter(_rewording(question) for question in questions if question.meant is not None)
    rows, labels, weights = [], [], []
    for question, thesaurus in product(questions, (True, False)):
        weight = 1.0 if question.meant is None else often[_rewording(question)] ** -0.5
        for at, (name, evidence) in enumerate(question.held):
            rows.append(features(question.asked, name, evidence, thesaurus))
            labels.append(int(at == question.meant))
            weights.append(weight)
    if len(set(labels)) < 2:
        raise InputError("training needs names that mean the same as well as names that do not")
    model = HistGradientBoostingClassifier(
        max_depth=_DEPTH, max_iter=_TREES, learning_rate=_RATE, min_samples_leaf=_LEAST_IN_LEAF,
        l2_regularization=1.0, monotonic_cst=[(f in _RISING) - (f in _FALLING) for f in FEATURES],
        random_state=seed,
    )  # fmt: skip
    model.fit(np.array(rows), np.array(labels), sample_weight=np.array(weights))
    with atomic_write(out) as file:
        json.dump(_written_out(model), file)
        file.write("\n")
    return len(rows) // 2


def train_on(view: View, out: str | Path, meanings: Sequence[Meaning] = (), *, seed: int = 0) -> int:
    """Write a classifier trained on the facts of a knowledge base; return on how many pairs of names."""
    facts = sorted(view.facts(), key=lambda fact: fact.entity)
    return train(list(Mine(facts, meanings, seed).questions()), out, seed=seed)


def _rewording(question: Question) -> tuple[str, str]:
    return question.asked, question.held[question.meant or 0][0]


def _written_out(model: object) -> dict[str, object]:
    """Return the classifier as plain numbers; a node is [feature or -1, threshold, left, right, value]."""
    columns = ("is_leaf", "feature_idx", "num_threshold", "left", "right", "value")
    trees = []
    for [tree] in model._predictors:  # type: ignore[attr-defined]
        nodes = zip(*(tree.nodes[column].tolist() for column in columns), strict=True)
        trees.append(
            [
                [-1, 0.0, 0, 0, round(value, 6)] if leaf else [feature, threshold, left, right, 0.0]
                for leaf, feature, threshold, left, right, value in nodes
            ]
        )
    bias = float(np.ravel(model._baseline_prediction)[0])  # type: ignore[attr-defined]
    return {"features": list(FEATURES), "bias": bias, "trees": trees}


@dataclass(frozen=True, slots=True)
class MatchCalibration:
    """The settings found; and (right or wrong, number) by kind of question, on the half that they were not found on.

    `answered` counts answers to what has none, `right` right answers to what has one.
    """

    settings: MatchSettings
    rate: float
    answered: dict[str, tuple[int, int]]
    right: dict[str, tuple[int, int]]
    pairs: int = 0


@dataclass(frozen=True, slots=True)
class _Scored:
    question: Question
    chances: Sequence[float]

    def agree(self, a: int, b: int) -> bool:
        (name_a, seen_a), (name_b, seen_b) = self.question.held[a], self.question.held[b]
        if relation_key(name_a) == relation_key(name_b):
            return True
        return not {normalise(v) for v in seen_a.values}.isdisjoint(normalise(v) for v in seen_b.values)

    def answer(self, settings: MatchSettings) -> int | None:
        close, sure = decide(self.chances, self.agree, settings)
        return close[0] if sure else None


def sampled_facts(reader: FactReader, entities: int, seed: int) -> Iterable[Fact]:
    """Yield the facts of so many entities, an entity's together; the first ones of an entity that has very many."""
    for entity in sampled_entities(reader.database, entities, seed):
        yield from islice(reader.facts(entity), _FACTS_OF_AN_ENTITY)


def calibrate(
    facts: Iterable[Fact],
    rate: float,
    *,
    start: MatchSettings | None = None,
    meanings: Sequence[Meaning] = (),
    matcher: Matcher | None = None,
    seed: int = 0,
    on_progress: Callable[[], None] = lambda: None,
) -> MatchCalibration:
    """Find settings under which at most `rate` of what the entities do not have is answered.

    Raises `InputError` if there are too few facts: entities with several relations are needed.
    """
    matcher, start = matcher or default_matcher(), start or MatchSettings()
    halves: tuple[list[_Scored], list[_Scored]] = ([], [])
    entities: dict[str, int] = {}
    for question in Mine(facts, meanings, seed).questions():
        half = entities.setdefault(question.entity, len(entities)) % 2
        halves[half].append(_Scored(question, matcher.likelihoods(question.asked, question.held)))
        on_progress()
    chosen, measured = halves
    absent = [scored for scored in chosen if scored.question.meant is None]
    if len(absent) < _FEWEST:
        raise InputError(f"only {len(absent)} questions without an answer could be made; {_FEWEST} are needed")
    settings = next((tried for tried in _tried(start) if _share(absent, tried) <= rate), replace(start, relation=1.0))
    return MatchCalibration(settings, rate, *_measured(measured, settings))


def _tried(start: MatchSettings) -> Iterable[MatchSettings]:
    for step in range(1, _STEPS):
        threshold = round(step / _STEPS, 4)
        yield replace(start, relation=threshold, relation_doubt=min(start.relation_doubt, threshold))


def _share(questions: Sequence[_Scored], settings: MatchSettings) -> float:
    return sum(scored.answer(settings) is not None for scored in questions) / len(questions)


def _measured(
    questions: Iterable[_Scored], settings: MatchSettings
) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]:
    answered: dict[str, list[bool]] = defaultdict(list)
    right: dict[str, list[bool]] = defaultdict(list)
    for scored in questions:
        answer = scored.answer(settings)
        if scored.question.meant is None:
            answered[scored.question.kind].append(answer is not None)
        else:
            right[scored.question.kind].append(answer == scored.question.meant)
    return _counted(answered), _counted(right)


def _counted(hits_of: dict[str, list[bool]]) -> dict[str, tuple[int, int]]:
    return {kind: (sum(hits), len(hits)) for kind, hits in hits_of.items()}
