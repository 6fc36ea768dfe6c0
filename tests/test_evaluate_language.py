"""BLiMP and parity, with models that always, never and sometimes prefer what is acceptable."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from fakes_model import tiny_llama
from lamlam.errors import InputError
from lamlam.evaluate.results import Mean, Result, append_results, clustered, read_results
from lamlam.evaluate.tasks.blimp import Scorer, SentencePair, judge_pairs, parity, read_pairs, scorers, write_parity
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.likelihood import token_log_probs
from lamlam.vocab import Vocabulary

PAIRS = [
    SentencePair(f"good {field} {number}", f"bad {field} {number}", f"{field}_{number % 4}", field)
    for field in ("syntax", "semantics")
    for number in range(200)
]


def preferring(word: str) -> Scorer:
    return lambda sentences: [0.0 if sentence.startswith(word) else -1.0 for sentence in sentences]


def at_random(seed: int) -> Scorer:
    def score(sentences: Sequence[str]) -> list[float]:
        rng = random.Random(seed)
        return [rng.random() for _ in sentences]

    return score


def test_a_model_that_prefers_what_is_acceptable_is_always_right() -> None:
    figures = judge_pairs(PAIRS, preferring("good"), preferring("bad")).figures()
    assert (figures["raw"], figures["text"], figures["pairs"]) == (1.0, 0.0, 400)
    assert figures["by_field"]["syntax"]["raw"] == 1.0
    assert figures["by_field"]["semantics"]["detail"]["text"]["n"] == 200
    assert len(figures["by_paradigm"]) == 8
    assert figures["by_paradigm"][0] == {"paradigm": "syntax_0", "raw": "1" * 50, "text": "0" * 50}
    assert len(figures["examples_wrong"]) == 3


def test_a_model_that_guesses_is_right_half_the_time_and_ties_are_wrong() -> None:
    result = judge_pairs(PAIRS, at_random(1), lambda sentences: [-3.0] * len(sentences)).figures()
    assert 0.42 < result["raw"] < 0.58
    assert result["text"] == 0.0


def test_equal_arms_are_at_parity_and_unequal_ones_are_not() -> None:
    right = judge_pairs(PAIRS, preferring("good"), preferring("good")).figures()
    wrong = judge_pairs(PAIRS, preferring("bad"), preferring("bad")).figures()
    same = parity(right, right)
    assert (same["difference"], same["interval"], same["parity"]) == (0.0, [0.0, 0.0], True)
    apart = parity(right, wrong)
    assert (apart["difference"], apart["parity"], apart["first_alone"], apart["second_alone"]) == (1.0, False, 400, 0)


def test_two_guessing_arms_differ_by_nothing_that_can_be_told() -> None:
    arms = [judge_pairs(PAIRS, at_random(seed), at_random(seed)).figures() for seed in (1, 2)]
    compared = parity(*arms)
    low, high = compared["interval"]
    assert low < 0 < high
    assert not compared["parity"], "with so few pairs, no difference found is no parity shown"
    assert compared["difference"] == pytest.approx((compared["first_alone"] - compared["second_alone"]) / 400)


def test_arms_that_judged_other_pairs_are_not_compared() -> None:
    few, many = (judge_pairs(pairs, at_random(1), at_random(1)).figures() for pairs in (PAIRS[:40], PAIRS))
    with pytest.raises(InputError, match="different pairs"):
        parity(few, many)


def test_the_parity_of_two_runs_stands_in_the_results_of_the_first(tmp_path: Path) -> None:
    arms = [tmp_path / "lmlm", tmp_path / "standard"]
    for arm, word in zip(arms, ("good", "bad"), strict=True):
        append_results(arm, {"blimp": judge_pairs(PAIRS, preferring(word), preferring("good"))})
    assert write_parity(*arms) is not None
    written = read_results(arms[0])["parity"]["figures"]
    assert (written["raw"]["difference"], written["text"]["difference"]) == (1.0, 0.0)
    assert (written["raw"]["parity"], written["text"]["parity"]) == (False, True)
    append_results(arms[1], {"blimp": judge_pairs(PAIRS[:9], preferring("good"), preferring("good"))})
    assert write_parity(*arms) is None, "the arms judged different pairs"
    append_results(arms[1], {"blimp": Result.skipped("blimp", "no data")})
    assert write_parity(*arms) is None


def test_a_mean_takes_its_groups_for_independent() -> None:
    values = [1.0, 0.0, 1.0, 0.0]
    alone = Mean.of(values)
    assert (alone.value, alone.n) == (0.5, 4)
    assert alone.error == pytest.approx(np.std(values, ddof=1) / 2)
    assert clustered([[1.0, 1.0], [0.0, 0.0]]).error > alone.error
    assert clustered([[1.0, 0.0], [1.0, 0.0]]).error == 0.0
    assert Mean.of([]).as_json("mean") == {"mean": None, "n": 0, "interval": None}
    assert Mean.of([1.0]).as_json("mean") == {"mean": 1.0, "n": 1, "interval": None}


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    vocabulary = Vocabulary.train(["good and bad sentences of words"], 300)
    return Checkpoint(tiny_llama(vocabulary), vocabulary)


def test_text_leaves_the_control_tokens_out_of_the_softmax(checkpoint: Checkpoint) -> None:
    raw, text = scorers(checkpoint)
    sentence = "good words"
    vocabulary = checkpoint.vocabulary
    ids = [vocabulary.bos_id, *vocabulary.encode(" " + sentence)]
    logits = checkpoint.model(torch.tensor([ids])).logits[0, :-1].detach().double()
    kept = [token for token in range(logits.shape[-1]) if token not in vocabulary.control_ids]
    chosen = logits[range(len(ids) - 1), ids[1:]]
    assert raw([sentence])[0] == pytest.approx(float((chosen - logits.logsumexp(-1)).sum()), abs=1e-3)
    assert text([sentence])[0] == pytest.approx(float((chosen - logits[:, kept].logsumexp(-1)).sum()), abs=1e-3)
    assert text([sentence])[0] > raw([sentence])[0]


def test_a_token_that_is_left_out_has_no_probability(checkpoint: Checkpoint) -> None:
    vocabulary = checkpoint.vocabulary
    last = len(vocabulary) - 1
    (row,) = token_log_probs(checkpoint.model, [[vocabulary.bos_id, last]], vocabulary.pad_id, without=[last])
    assert row[1] == -np.inf


def test_a_field_that_is_written_in_two_ways_is_one(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"good": "a", "bad": "b", "paradigm": "p", "field": "syntax/semantics"}\n', encoding="utf-8")
    assert read_pairs(file) == [SentencePair("a", "b", "p", "syntax_semantics")]
    file.write_text('{"good": "a", "paradigm": "p", "field": "f"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="bad"):
        read_pairs(file)


def test_all_of_blimp_can_be_read(shared_data: Path) -> None:
    pairs = read_pairs(shared_data / "blimp" / "pairs.jsonl")
    assert len({pair.paradigm for pair in pairs}) == 67
    assert {pair.field for pair in pairs} == {"syntax", "morphology", "semantics", "syntax_semantics"}
