"""Training the classifier of `kb.matching.matcher`, with scikit-learn, which nothing else needs."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np

from lamlam.errors import InputError, LamLamError
from lamlam.files import atomic_write
from lamlam.kb.matching.features import FEATURES, features
from lamlam.kb.matching.mining import Mine, Question
from lamlam.kb.matching.rewordings import Meaning
from lamlam.kb.view import View

__all__ = ["train", "train_on"]

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


def train(questions: Sequence[Question], out: str | Path, *, seed: int = 0) -> int:
    """Write a classifier to a file; on how many pairs of names it was trained.

    Each is seen twice, with the thesaurus and without it, so that what the thesaurus does not know is matched by the
    rest. A rewording counts by the root of how often it occurs, so that the commonest do not decide alone. Raises
    `LamLamError` where scikit-learn is missing, `InputError` where no question, or every one, has an answer.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError as error:
        raise LamLamError("training needs scikit-learn: install lamlam with its extra 'train'") from error
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
    """Write a classifier trained on the facts of a knowledge base; on how many pairs of names."""
    facts = sorted(view.facts(), key=lambda fact: fact.entity)
    return train(list(Mine(facts, meanings, seed).questions()), out, seed=seed)


def _rewording(question: Question) -> tuple[str, str]:
    return question.asked, question.held[question.meant or 0][0]


def _written_out(model: object) -> dict[str, object]:
    """The classifier as plain numbers; a node is [feature or -1, threshold, left, right, value]."""
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
