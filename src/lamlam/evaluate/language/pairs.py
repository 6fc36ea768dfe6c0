"""BLiMP: minimal pairs of an acceptable and an unacceptable sentence (arXiv 1912.00582), by their log-probabilities.

A pair is right when the acceptable sentence is the likelier: the sum of log p of its text tokens, given [bos] and those
before, without lookups and without [eos]. Two log p are given, since an LMLM also spends probability on calls:

    raw      the softmax over the whole vocabulary: what the model puts on a call is lost to the text
    text     the softmax over all tokens but the four control tokens: the model as it writes with lookups forbidden

Equal sums are wrong. The standard arm never saw a control token, so that both are nearly one for it.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamlam.corpus.lines import read_entries
from lamlam.evaluate.evaluation import Evaluation
from lamlam.evaluate.results import Share, stated
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.likelihood import token_log_probs
from lamlam.vocab import opened

__all__ = ["BlimpResult", "Pair", "Scorer", "blimp", "first_pairs", "judge_pairs", "read_pairs", "scorers"]

_QUICK = 15  # pairs of each paradigm
_EXAMPLES = 3

Scorer = Callable[[Sequence[str]], list[float]]
"""The log-probabilities of sentences."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sentences that differ in little but that one is acceptable English."""

    good: str
    bad: str
    paradigm: str
    field: str


@dataclass(frozen=True, slots=True)
class BlimpResult:
    """Whether each pair is right, in the order of `pairs`, by either log p."""

    pairs: tuple[Pair, ...]
    raw: tuple[bool, ...]
    text: tuple[bool, ...]
    task: str = "blimp"

    def figures(self) -> dict[str, Any]:
        """Both shares; by field; and by paradigm the outcomes of every pair, by which two arms can be compared."""
        whole = {"raw": Share.of(self.raw), "text": Share.of(self.text)}
        outcomes = {"raw": self._outcomes(self.raw), "text": self._outcomes(self.text)}
        return stated(whole) | {
            "pairs": len(self.pairs),
            "by_field": self._by_field(),
            "by_paradigm": [
                {"paradigm": name, "raw": outcomes["raw"][name], "text": outcomes["text"][name]}
                for name in outcomes["raw"]
            ],
            "examples_wrong": [
                {"good": pair.good, "bad": pair.bad, "paradigm": pair.paradigm}
                for pair, right in zip(self.pairs, self.text, strict=True)
                if not right
            ][:_EXAMPLES],
        }

    def _by_field(self) -> dict[str, Any]:
        fields = sorted({pair.field for pair in self.pairs})
        return {
            field: stated({"raw": self._of(field, self.raw), "text": self._of(field, self.text)}) for field in fields
        }

    def _of(self, field: str, right: Sequence[bool]) -> Share:
        return Share.of([each for pair, each in zip(self.pairs, right, strict=True) if pair.field == field])

    def _outcomes(self, right: Sequence[bool]) -> dict[str, str]:
        """A paradigm's pairs as ones and zeros, in the order of the file."""
        outcomes: dict[str, str] = defaultdict(str)
        for pair, each in zip(self.pairs, right, strict=True):
            outcomes[pair.paradigm] += str(int(each))
        return dict(outcomes)


def blimp(evaluation: Evaluation) -> dict[str, BlimpResult]:
    """The pairs of `blimp/pairs.jsonl`, or the first few of each paradigm for a quick look.

    Raises `MissingData` without the file, `InputError` where a line of it is wrong.
    """
    pairs = read_pairs(evaluation.data_at("blimp", "pairs.jsonl"))
    raw, text = scorers(evaluation.checkpoint, progress=evaluation.progress)
    return {"blimp": judge_pairs(first_pairs(pairs, evaluation.size(len(pairs), _QUICK)), raw, text)}


def judge_pairs(pairs: Sequence[Pair], raw: Scorer, text: Scorer) -> BlimpResult:
    """Every pair by both log-probabilities."""
    return BlimpResult(tuple(pairs), _prefers_good(pairs, raw), _prefers_good(pairs, text))


def read_pairs(path: Path) -> list[Pair]:
    """A pair a line. BLiMP writes one of its fields in two ways ("syntax/semantics"): they are taken for one."""
    return [
        Pair(
            good=entry.text("good", empty=False),
            bad=entry.text("bad", empty=False),
            paradigm=entry.text("paradigm", empty=False),
            field=entry.text("field", empty=False).replace("/", "_"),
        )
        for entry in read_entries(path)
    ]


def scorers(checkpoint: Checkpoint, *, progress: bool = False) -> tuple[Scorer, Scorer]:
    """`raw` and `text` of a checkpoint's model."""
    vocabulary = checkpoint.vocabulary

    def over(without: frozenset[int]) -> Scorer:
        def score(sentences: Sequence[str]) -> list[float]:
            ids = [[vocabulary.bos_id, *vocabulary.encode(opened(sentence))] for sentence in sentences]
            rows = token_log_probs(checkpoint.model, ids, vocabulary.pad_id, progress=progress, without=without)
            return [float(row[1:].sum()) for row in rows]

        return score

    return over(frozenset()), over(vocabulary.control_ids)


def _prefers_good(pairs: Sequence[Pair], score: Scorer) -> tuple[bool, ...]:
    scores = score([sentence for pair in pairs for sentence in (pair.good, pair.bad)])
    return tuple(good > bad for good, bad in zip(scores[::2], scores[1::2], strict=True))


def first_pairs(pairs: Sequence[Pair], number: int) -> list[Pair]:
    """The first `number` of each paradigm, so that both arms read the same."""
    seen: dict[str, int] = defaultdict(int)
    kept = []
    for pair in pairs:
        seen[pair.paradigm] += 1
        if seen[pair.paradigm] <= number:
            kept.append(pair)
    return kept
