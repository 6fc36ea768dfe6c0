"""BLiMP: minimal pairs of an acceptable and an unacceptable sentence (arXiv 1912.00582), by their log-probabilities.

A pair is right if the acceptable sentence has the higher sum of log p of its text tokens, given [bos], without lookups
and [eos]; equal sums are wrong. There are two log p, since an LMLM also spends probability on calls: `raw`, the softmax
over the whole vocabulary, and `text`, over all tokens but the four control tokens, as with lookups forbidden.

Parity is whether two arms judge language equally well: the whole interval of the difference of their accuracies lies
within a margin. Finding no difference in a few pairs doesn't show that there is none. Pairs of a paradigm are made from
one template, so the interval takes the paradigms, not the pairs, for independent (`results.clustered`).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lamlam.corpus.lines import read_entries
from lamlam.errors import InputError
from lamlam.evaluate.evaluation import Evaluation, task
from lamlam.evaluate.results import EXAMPLES, Proportion, Result, append_results, clustered, read_results, with_detail
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.likelihood import token_log_probs
from lamlam.vocab import opened

__all__ = [
    "MARGIN",
    "Scorer",
    "SentencePair",
    "first_pairs",
    "judge_pairs",
    "parity",
    "read_pairs",
    "scorers",
    "write_parity",
]

MARGIN = 0.02
"""A difference in accuracy up to two points counts as none."""

_QUICK = 15  # pairs of each paradigm

Scorer = Callable[[Sequence[str]], list[float]]
"""The log-probabilities of sentences."""


@dataclass(frozen=True, slots=True)
class SentencePair:
    """Two sentences that differ in little but that one is acceptable English."""

    good: str
    bad: str
    paradigm: str
    field: str


@task("blimp", "acceptable sentences against unacceptable ones")
def blimp(evaluation: Evaluation) -> Result:
    """The pairs of `blimp/pairs.jsonl`; with `quick` the first few of each paradigm, the same for both arms."""
    pairs = read_pairs(evaluation.data_at("blimp", "pairs.jsonl"))
    kept = first_pairs(pairs, evaluation.size(len(pairs), _QUICK))
    return judge_pairs(kept, *scorers(evaluation.checkpoint, progress=evaluation.progress))


def read_pairs(path: Path) -> list[SentencePair]:
    """Read a pair per line. BLiMP spells one of its fields in two ways ("syntax/semantics"): they count as one."""
    return [
        SentencePair(
            good=entry.text("good", empty=False),
            bad=entry.text("bad", empty=False),
            paradigm=entry.text("paradigm", empty=False),
            field=entry.text("field", empty=False).replace("/", "_"),
        )
        for entry in read_entries(path)
    ]


def first_pairs(pairs: Sequence[SentencePair], number: int) -> list[SentencePair]:
    """The first `number` pairs of each paradigm, so that all arms judge the same."""
    seen: Counter[str] = Counter()
    kept = []
    for pair in pairs:
        seen[pair.paradigm] += 1
        if seen[pair.paradigm] <= number:
            kept.append(pair)
    return kept


def scorers(checkpoint: Checkpoint, *, progress: bool = False) -> tuple[Scorer, Scorer]:
    """`raw` and `text` of a checkpoint's model."""
    vocabulary = checkpoint.vocabulary

    def over(without: frozenset[int]) -> Scorer:
        def log_probs(sentences: Sequence[str]) -> list[float]:
            ids = [[vocabulary.bos_id, *vocabulary.encode(opened(sentence))] for sentence in sentences]
            rows = token_log_probs(checkpoint.model, ids, vocabulary.pad_id, progress=progress, without=without)
            return [float(row[1:].sum()) for row in rows]

        return log_probs

    return over(frozenset()), over(vocabulary.control_ids)


def judge_pairs(pairs: Sequence[SentencePair], raw: Scorer, text: Scorer) -> Result:
    """Judge every pair by both log-probabilities.

    The figures have both accuracies, also by field, and by paradigm the outcome of every pair as ones and zeros, in the
    order of the file, by which two arms can be compared.
    """
    right = {"raw": _prefers_good(pairs, raw), "text": _prefers_good(pairs, text)}
    outcomes: dict[str, dict[str, str]] = defaultdict(lambda: dict.fromkeys(right, ""))
    by_field: dict[str, dict[str, list[bool]]] = defaultdict(lambda: {name: [] for name in right})
    for number, pair in enumerate(pairs):
        for name, hits in right.items():
            outcomes[pair.paradigm][name] += str(int(hits[number]))
            by_field[pair.field][name].append(hits[number])
    wrong = [pair for pair, hit in zip(pairs, right["text"], strict=True) if not hit]
    more = {
        "pairs": len(pairs),
        "by_field": {field: with_detail(_accuracies(by_field[field])) for field in sorted(by_field)},
        "by_paradigm": [{"paradigm": name} | outcome for name, outcome in outcomes.items()],
        "examples_wrong": [{"good": p.good, "bad": p.bad, "paradigm": p.paradigm} for p in wrong[:EXAMPLES]],
    }
    return Result("blimp", _accuracies(right), more)


def _accuracies(right: Mapping[str, Sequence[bool]]) -> dict[str, Proportion]:
    return {name: Proportion.of(hits) for name, hits in right.items()}


def _prefers_good(pairs: Sequence[SentencePair], score: Scorer) -> list[bool]:
    log_probs = score([sentence for pair in pairs for sentence in (pair.good, pair.bad)])
    return [good > bad for good, bad in zip(log_probs[::2], log_probs[1::2], strict=True)]


def parity(
    first: Mapping[str, Any], second: Mapping[str, Any], log_p: Literal["raw", "text"] = "text"
) -> dict[str, Any]:
    """Compare two arms by their figures of `blimp`.

    `difference` is the first arm's accuracy minus the second's; `first_alone` and `second_alone` count the pairs that
    one of them alone has right. Raises `InputError` if they did not judge the same pairs.
    """
    one, other = ({row["paradigm"]: row[log_p] for row in figures["by_paradigm"]} for figures in (first, second))
    if {name: len(pairs) for name, pairs in one.items()} != {name: len(pairs) for name, pairs in other.items()}:
        raise InputError("the two arms judged different pairs: measure both in the same way", field="by_paradigm")
    groups = [[int(a) - int(b) for a, b in zip(one[name], other[name], strict=True)] for name in one]
    differences = [difference for group in groups for difference in group]
    figures = clustered(groups).as_json("difference")
    interval = figures["interval"]
    within = interval is not None and max(-interval[0], interval[1]) <= MARGIN
    counts = {"first_alone": differences.count(1), "second_alone": differences.count(-1)}
    return figures | counts | {"margin": MARGIN, "parity": within}


def write_parity(first: str | Path, second: str | Path) -> Result | None:
    """Compare the `blimp` of two runs' results, and write `parity` into those of the first.

    None if one of them has none, or they judged different pairs.
    """
    measured = [read_results(run).get("blimp", {}).get("figures", {}) for run in (first, second)]
    if not all("by_paradigm" in figures for figures in measured):
        return None
    one, other = measured
    try:
        result = Result("parity", more={"raw": parity(one, other, "raw"), "text": parity(one, other, "text")})
    except InputError:
        return None
    append_results(first, {"parity": result})
    return result
