"""Which words of a copy are which words of a text."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamlam.annotate import transfer
from lamlam.annotate.transfer import same_words

WORDS = st.lists(st.sampled_from("abcdefgh"), max_size=40)


def long_text(words: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [f"w{min(int(rng.expovariate(0.01)), 2000)}" for _ in range(words)]


@pytest.mark.parametrize("at_once", [10**9, 0, 50])
@given(WORDS, WORDS)
def test_places_rise_and_hold_the_same_words(at_once: int, text: list[str], copy: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer, "_AT_ONCE", at_once)
        same = same_words(text, copy)
    assert len(same) == len(copy)
    places = [place for place in same if place is not None]
    assert places == sorted(set(places))
    assert all(place is None or text[place] == word for place, word in zip(same, copy, strict=True))


def test_of_repetitions_the_first_is_the_text() -> None:
    text = long_text(300)
    assert same_words(text, text * 3) == [*range(300), *[None] * 600]


def test_a_long_text_is_aligned_in_pieces_as_well_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, text = random.Random(1), long_text(6000)
    copy = [word if rng.random() > 0.02 else "other" for word in text if rng.random() > 0.01]
    copy = [*copy[:3000], *long_text(200, seed=5), *copy[3000:], *copy[:500]]
    in_pieces = same_words(text, copy)
    monkeypatch.setattr(transfer, "_AT_ONCE", 10**9)
    at_once = same_words(text, copy)
    unlike = sum(one != other for one, other in zip(in_pieces, at_once, strict=True))
    assert sum(place is not None for place in in_pieces) > 0.95 * len(text)
    assert unlike < 0.02 * len(text)


def test_a_copy_of_other_words_has_none_of_the_texts() -> None:
    assert same_words(long_text(6000), ["other"] * 6000) == [None] * 6000


def test_the_texts_of_a_book_are_cut_before_they_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    real = transfer.Indel.opcodes
    monkeypatch.setattr(transfer.Indel, "opcodes", lambda a, b: compared.append(len(a) * len(b)) or real(a, b))
    text = long_text(100_000)
    assert same_words(text, text) == list(range(100_000))
    assert sum(compared) < 25_000_000
