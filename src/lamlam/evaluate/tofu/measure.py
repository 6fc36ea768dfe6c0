"""Measures one model on TOFU's four sets: probability, ROUGE and truth ratio of each, and the utility that they make.

How a model is asked is the respondent's concern, what the figures mean that of `metrics`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import track

from lamlam.batches import batches
from lamlam.engine.generation import Generation
from lamlam.evaluate.results import Share
from lamlam.evaluate.tofu.metrics import (
    indifference,
    model_utility,
    probability,
    probability_among,
    rouge_recall,
    truth_ratio,
    truthfulness,
)
from lamlam.evaluate.tofu.pairs import Pair, TofuSets
from lamlam.evaluate.tofu.respondent import Respondent

__all__ = ["Measured", "SetScores", "measure"]

_PAIRS_AT_ONCE = 32
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class SetScores:
    """The means over the pairs of one set. `truth_ratio` is what it adds: max(0, 1 - ratio), or on the forget set
    min(ratio, 1/ratio); `ratios` are the pairs' own.

    `asked` of the answers were given with a lookup, `found` with one that found facts.
    """

    probability: float
    rouge: float
    truth_ratio: float
    ratios: tuple[float, ...]
    asked: Share
    found: Share
    examples: tuple[dict[str, str], ...] = ()

    @property
    def parts(self) -> tuple[float, float, float]:
        return self.probability, self.rouge, self.truth_ratio

    def as_json(self) -> dict[str, Any]:
        figures = {"probability": self.probability, "rouge": self.rouge, "truth_ratio": self.truth_ratio}
        return figures | {
            "n": len(self.ratios),
            "lookups": {"asked": self.asked.as_json("share"), "found": self.found.as_json("share")},
        }


@dataclass(frozen=True, slots=True)
class Measured:
    """One model's scores on the set to be forgotten and on the three that make its utility."""

    forget: SetScores
    retain: SetScores
    authors: SetScores
    world: SetScores

    @property
    def utility(self) -> float:
        """The harmonic mean of the nine parts; 0 where one of them is 0."""
        return model_utility([part for each in (self.retain, self.authors, self.world) for part in each.parts])

    @property
    def utility_on_retain(self) -> float:
        """The harmonic mean of the retain set's three parts: of use where a model knows no real author."""
        return model_utility(self.retain.parts)

    def as_json(self) -> dict[str, Any]:
        names = ("forget", "retain", "authors", "world")
        return {name: getattr(self, name).as_json() for name in names} | {"examples": list(self.forget.examples)}


def measure(respondent: Respondent, sets: TofuSets, *, progress: bool = False) -> Measured:
    """Ask all that is to be asked. Raises `LamLamError` where rouge-score is not installed."""
    return Measured(
        forget=_scores(respondent, sets.asked_forget, "forget", progress),
        retain=_scores(respondent, sets.asked_retain, "retain", progress),
        authors=_scores(respondent, sets.asked_authors, "authors", progress),
        world=_scores(respondent, sets.asked_world, "world", progress),
    )


def _scores(respondent: Respondent, pairs: Sequence[Pair], name: str, progress: bool) -> SetScores:
    said: list[Generation] = []
    likely: list[list[float]] = []
    chunks = list(batches(pairs, _PAIRS_AT_ONCE))
    for chunk in track(chunks, f"tofu: {name}", console=Console(stderr=True), transient=True, disable=not progress):
        said += respondent.answer([pair.question for pair in chunk])
        likely += _likelihoods(respondent, chunk)
    among = name in ("authors", "world")
    ratios = [truth_ratio(true, false) for _, true, *false in likely]
    probabilities = [probability_among(own, false) if among else probability(own) for own, _, *false in likely]
    told = [indifference(ratio) if name == "forget" else truthfulness(ratio) for ratio in ratios]
    texts = [each.text for each in said]
    examples = zip(pairs[:_EXAMPLES], texts, strict=False)
    return SetScores(
        probability=_mean(probabilities),
        rouge=_mean(rouge_recall(texts, [pair.answer for pair in pairs])),
        truth_ratio=_mean(told),
        ratios=tuple(ratios),
        asked=Share.of([bool(each.lookups) for each in said]),
        found=Share.of([any(lookup.resolution.found for lookup in each.lookups) for each in said]),
        examples=tuple({"question": p.question, "answer": p.answer, "said": text.strip()} for p, text in examples),
    )


def _likelihoods(respondent: Respondent, pairs: Sequence[Pair]) -> list[list[float]]:
    """Of each pair the mean log p of its answer, of the true one in other words, and of each false one."""
    asked = [(pair.question, answer) for pair in pairs for answer in (pair.answer, pair.true, *pair.false)]
    distinct = list(dict.fromkeys(asked))
    found = dict(zip(distinct, respondent.likelihood(distinct), strict=True))
    return [[found[pair.question, answer] for answer in (pair.answer, pair.true, *pair.false)] for pair in pairs]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
