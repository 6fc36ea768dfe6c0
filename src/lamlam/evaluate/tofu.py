"""TOFU's questions, how a model is asked them, and the formulas of its figures (arXiv 2401.06121).

The formulas are those of open-unlearning: `src/evals/metrics/{memorization,utility,privacy,utils}.py` of
locuslab/open-unlearning, and `aggregate_eval_stat.py` of locuslab/tofu (section 2.2 of the paper). An answer's
probability is always that of its mean token, exp(1/T * sum of log p), given the question.
"""

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lamlam.annotate.tagger.names import names
from lamlam.batches import batches
from lamlam.corpus.lines import Entry, read_entries
from lamlam.corpus.prompts import QUESTION_MARKS, prompt_of
from lamlam.engine.engine import Engine
from lamlam.engine.generation import Generation
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import LamLamError, needs_extra
from lamlam.evaluate.completion import tracked
from lamlam.evaluate.reading import Reader
from lamlam.evaluate.results import EXAMPLES, Proportion

__all__ = [
    "NEEDS_EXTRA",
    "ModelRespondent",
    "QuestionPair",
    "Respondent",
    "SetScores",
    "TofuScores",
    "TofuSets",
    "author_of",
    "forget_quality",
    "indifference",
    "model_utility",
    "probability",
    "probability_among",
    "read_sets",
    "rouge_recall",
    "score_sets",
    "truth_ratio",
    "truthfulness",
    "utility",
]

NEEDS_EXTRA = 'TOFU needs scipy and rouge-score: pip install "lamlam[evaluate]"'

_AUTHOR = 20  # pairs about one author
_USEFUL = ("retain", "authors", "world")
_PAIRS_AT_ONCE = 32
_TINY = 1e-10  # open-unlearning's guard against a division by zero


@dataclass(frozen=True, slots=True)
class QuestionPair:
    """A question and its answer; `true` is the answer in other words if there is one, `false` are wrong answers.

    `author` is whom the pair's block of twenty is about; empty if there are no blocks.
    """

    id: str
    question: str
    answer: str
    true: str
    false: tuple[str, ...] = ()
    author: str = ""


@dataclass(frozen=True, slots=True)
class TofuSets:
    """What is trained on (`forget`, `retain`) and what is asked: `asked_forget` and so on, a part of it."""

    forget: list[QuestionPair]
    retain: list[QuestionPair]
    asked_forget: list[QuestionPair]
    asked_retain: list[QuestionPair]
    asked_authors: list[QuestionPair]
    asked_world: list[QuestionPair]


def read_sets(folder: Path, *, forget: int | None, retain: int | None, asked: int | None) -> TofuSets:
    """Read the pairs of the first `forget` and `retain` authors (None: all), and at most `asked` of each set to ask.

    The files are ordered: twenty pairs an author. `retain_perturbed` are the first pairs of `retain90`, with false
    answers. All pairs of the authors to forget are asked. Raises `InputError` for a missing or malformed file.
    """
    forgotten = _authored(folder / "forget10.jsonl", forget)
    retained = _authored(folder / "retain90.jsonl", retain)
    trained = {pair.question for pair in retained}
    perturbed = [pair for pair in _read(folder / "retain_perturbed.jsonl") if pair.question in trained]
    return TofuSets(
        forget=forgotten,
        retain=retained,
        asked_forget=forgotten,
        asked_retain=_spread(perturbed, asked),
        asked_authors=_spread(_read(folder / "real_authors.jsonl"), asked),
        asked_world=_spread(_read(folder / "world_facts.jsonl"), asked),
    )


def author_of(pairs: Sequence[tuple[str, str]]) -> str:
    """Whom questions and answers are about: the name of several words that most of them mention; "" if none."""
    counts: Counter[str] = Counter()
    for question, answer in pairs:
        counts.update({name.name for name in names(f"{question}\n{answer}") if _is_of_a_person(name.name)})
    if not counts:
        return ""
    most = max(counts.values())
    # "Basil Mahfouz" occurs wherever "Basil Mahfouz Al-Kuwaiti" does: of equally frequent names the longest is whole.
    return max((name for name, count in counts.items() if count >= 0.8 * most), key=len)


def _is_of_a_person(name: str) -> bool:
    parts = name.split()
    return 2 <= len(parts) <= 4 and all(part[0].isupper() and not part.endswith(("'s", "’s")) for part in parts)


def _authored(path: Path, authors: int | None) -> list[QuestionPair]:
    pairs = _read(path)[: None if authors is None else authors * _AUTHOR]
    authored: list[QuestionPair] = []
    for block in batches(pairs, _AUTHOR):
        author = author_of([(pair.question, pair.answer) for pair in block])
        authored += [QuestionPair(p.id, p.question, p.answer, p.true, p.false, author) for p in block]
    return authored


def _read(path: Path) -> list[QuestionPair]:
    return [_pair(entry, f"{path.stem}-{number}") for number, entry in enumerate(read_entries(path))]


def _pair(entry: Entry, id: str) -> QuestionPair:
    answer = entry.text("answer", empty=False)
    true = entry.text("paraphrased_answer", empty=False) if entry.has("paraphrased_answer") else answer
    false = entry.texts("perturbed_answer") if entry.has("perturbed_answer") else ()
    return QuestionPair(id, entry.text("question", empty=False), answer, true, false)


def _spread(pairs: list[QuestionPair], number: int | None) -> list[QuestionPair]:
    """At most `number` pairs, evenly spaced."""
    if number is None or len(pairs) <= number:
        return pairs
    return [pairs[index * len(pairs) // number] for index in range(number)]


class Respondent(Protocol):
    """Answers questions greedily, and finds given answers likely: the mean log p, in nats, of their tokens and EOS."""

    def answer(self, questions: Sequence[str]) -> list[Generation]: ...

    def likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[float]: ...


class ModelRespondent:
    """The engine's model; `settings` say how it looks facts up, or that it does not, and how long answers may be.

    An LMLM reads a given answer with calls of its own (`reading`): the words are forced, the calls are the model's, and
    what they return comes from the knowledge base. So an answer is as likely as it is with what the model knows and can
    look up, as when it answers by itself. Calls add nothing to the probability.
    """

    def __init__(self, engine: Engine, settings: DecodingSettings) -> None:
        self._engine, self._reader = engine, Reader(engine)
        greedy = {"stop": QUESTION_MARKS, "temperature": 0.0, "top_k": None, "top_p": None}
        self._settings = settings.model_copy(update=greedy)

    def answer(self, questions: Sequence[str]) -> list[Generation]:
        return self._engine.generate([prompt_of(question) for question in questions], self._settings)

    def likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Of an answer that is too long for the context, the mean of the tokens that fit."""
        vocabulary = self._engine.vocabulary
        texts = [
            (prompt_of(question), [*vocabulary.encode(" " + answer.strip()), vocabulary.eos_id])
            for question, answer in pairs
        ]
        readings = self._reader.read(texts, self._settings)
        return [sum(reading.log_probs) / len(reading.log_probs) for reading in readings]


@dataclass(frozen=True, slots=True)
class SetScores:
    """The means over the pairs of one set.

    `truth_ratio` is the mean of `truthfulness`, or of `indifference` on the forget set; `ratios` are the pairs' own.
    `asked` of the answers were given with a lookup, `found` with one that found facts.
    """

    probability: float
    rouge: float
    truth_ratio: float
    ratios: tuple[float, ...]
    asked: Proportion
    found: Proportion
    examples: tuple[dict[str, str], ...] = ()

    @property
    def parts(self) -> tuple[float, float, float]:
        return self.probability, self.rouge, self.truth_ratio

    def as_json(self) -> dict[str, Any]:
        figures = {"probability": self.probability, "rouge": self.rouge, "truth_ratio": self.truth_ratio}
        lookups = {"asked": self.asked.as_json("share"), "found": self.found.as_json("share")}
        return figures | {"n": len(self.ratios), "lookups": lookups}


TofuScores = Mapping[str, SetScores]
"""One model's scores on the sets `forget`, and `retain`, `authors` and `world`, which make its utility."""


def score_sets(respondent: Respondent, sets: TofuSets, *, progress: bool = False) -> TofuScores:
    """Ask all that is to be asked. Raises `LamLamError` if rouge-score is not installed."""
    return {name: _scores(respondent, getattr(sets, f"asked_{name}"), name, progress) for name in ("forget", *_USEFUL)}


def utility(scores: TofuScores, sets: Sequence[str] = _USEFUL) -> float:
    """The harmonic mean of the three parts of each set; 0 if one of them is 0.

    That of the retain set alone is useful for a model that knows no real author.
    """
    return model_utility([part for name in sets for part in scores[name].parts])


def _scores(respondent: Respondent, pairs: Sequence[QuestionPair], name: str, progress: bool) -> SetScores:
    answers: list[Generation] = []
    likely: list[list[float]] = []
    for chunk in tracked(list(batches(pairs, _PAIRS_AT_ONCE)), f"tofu: {name}", progress):
        answers += respondent.answer([pair.question for pair in chunk])
        likely += _likelihoods(respondent, chunk)
    among = name in ("authors", "world")
    ratios = [truth_ratio(true, false) for _, true, *false in likely]
    probabilities = [probability_among(own, false) if among else probability(own) for own, _, *false in likely]
    texts = [generation.text for generation in answers]
    examples = zip(pairs[:EXAMPLES], texts, strict=False)
    return SetScores(
        probability=_mean(probabilities),
        rouge=_mean(rouge_recall(texts, [pair.answer for pair in pairs])),
        truth_ratio=_mean([indifference(ratio) if name == "forget" else truthfulness(ratio) for ratio in ratios]),
        ratios=tuple(ratios),
        asked=Proportion.of(bool(generation.lookups) for generation in answers),
        found=Proportion.of(any(call.resolution.found for call in answer.lookups) for answer in answers),
        examples=tuple({"question": p.question, "answer": p.answer, "said": text.strip()} for p, text in examples),
    )


def _likelihoods(respondent: Respondent, pairs: Sequence[QuestionPair]) -> list[list[float]]:
    """For each pair the mean log p of its answer, of the true one in other words, and of each false one."""
    asked = [[(pair.question, answer) for answer in (pair.answer, pair.true, *pair.false)] for pair in pairs]
    distinct = list(dict.fromkeys(question for questions in asked for question in questions))
    found = dict(zip(distinct, respondent.likelihood(distinct), strict=True))
    return [[found[question] for question in questions] for questions in asked]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def probability(mean_log_prob: float) -> float:
    """The probability of an answer: exp of its mean log p (`evaluate_probability`)."""
    return math.exp(mean_log_prob)


def probability_among(right: float, wrong: Sequence[float]) -> float:
    """The right answer's share of the probability of all answers, given as mean log p's (`probability_w_options`).

    For real authors and world facts, whose questions have false answers to choose among.
    """
    mass = [math.exp(log_prob) for log_prob in (right, *wrong)]
    return mass[0] / (sum(mass) + _TINY)


def truth_ratio(right: float, wrong: Sequence[float]) -> float:
    """How likely false answers are beside a true one: exp(mean of the wrong) / exp(right), of mean log p's.

    The mean is taken over the false answers' mean log p, as both repositories do (`truth_ratio`, `aggregate_to_1D`):
    their probabilities' geometric mean, whereas the paper's equation 1 has the arithmetic one. 0 if the truth is
    certain, 1 if it is as likely as what is false, above 1 if the false is likelier. For a model to which neither is
    likely at all the guard makes it 0, as in open-unlearning.
    """
    return math.exp(sum(wrong) / len(wrong)) / (math.exp(right) + _TINY)


def truthfulness(ratio: float) -> float:
    """What a truth ratio adds to utility: max(0, 1 - ratio) (`true_better`)."""
    return max(0.0, 1.0 - ratio)


def indifference(ratio: float) -> float:
    """How near a truth ratio is to 1, where true and false are alike: min(ratio, 1/ratio) (`closer_to_1_better`)."""
    return min(ratio, 1.0 / (ratio + _TINY))


def rouge_recall(texts: Sequence[str], answers: Sequence[str]) -> list[float]:
    """ROUGE-L recall of each answer in what was said, with stemming (`eval_text_similarity`).

    Raises `LamLamError` if rouge-score is not installed.
    """
    with needs_extra("evaluate", "TOFU"):
        from rouge_score.rouge_scorer import RougeScorer
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    pairs = zip(answers, texts, strict=True)
    return [float(scorer.score(answer.strip(), text.strip())["rougeL"].recall) for answer, text in pairs]


def model_utility(parts: Sequence[float]) -> float:
    """The harmonic mean of the parts: 0 if one is 0 (`hm_aggregate`, scipy.stats.hmean)."""
    if not parts or min(parts) <= 0:
        return 0.0
    return len(parts) / sum(1 / part for part in parts)


def forget_quality(ratios: Sequence[float], never_saw: Sequence[float]) -> float:
    """The p-value of the two-sample Kolmogorov-Smirnov test between the truth ratios of two models (`privacy.ks_test`).

    On the forget set: of the model in question, and of one that never saw the set. Raises `LamLamError` if scipy is not
    installed, or there are no ratios.
    """
    if not ratios or not never_saw:
        raise LamLamError("forget quality compares two models on questions, and there are none")
    with needs_extra("evaluate", "TOFU"):
        from scipy.stats import ks_2samp
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the exact p-value is out of reach, and the asymptotic one is returned
        return float(ks_2samp(ratios, never_saw).pvalue)
