"""The names that a text mentions, and the windows and spans that a tagger works with."""

import numpy as np
import pytest
import torch

from lamlam.annotate.tagger.decoding import Readiness, values
from lamlam.annotate.tagger.inventory import Inventory
from lamlam.annotate.tagger.names import names
from lamlam.annotate.tagger.reading import Reading
from lamlam.annotate.tagger.windows import Window
from lamlam.markup import AnnotatedDocument, Call


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("Cork_(city): The city lies on the Lee.", "Cork (city)"),
        ("Ralph Earl\n\nHe was a painter.", "Ralph Earl"),
        ("Acacia auratiflora is a shrub.", "Acacia auratiflora"),
        ("Will Gluck (born 1978) is an American director.", "Will Gluck"),
        ('"Fired Up" is a film.', "Fired Up"),
    ],
)
def test_the_head_is_the_title_or_the_subject_of_the_first_sentence(text: str, head: str) -> None:
    first = names(text)[0]
    assert first.is_head
    assert first.name == head


def test_a_title_is_known_before_the_text_and_a_subject_behind_itself() -> None:
    assert [name.known for name in names("He sang.", "Ada (singer)") if name.is_head] == [0, 0]
    assert [name.name for name in names("He sang.", "Ada (singer)") if name.is_head] == ["Ada (singer)", "Ada"]
    assert [name.known for name in names("Ada was a singer.") if name.is_head] == [3]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("It is led by the Ministry of Defence of Spain today.", "Ministry of Defence of Spain"),
        ("It is led by the Ministry of Defence of Spain today.", "Spain"),
        ("In 1774, Earl's wife moved.", "Earl"),
        ("He met Emmy Noether. Carl Gauss left.", "Carl Gauss"),
        ("He met J. R. R. Tolkien there.", "J. R. R. Tolkien"),
        ('He wrote "the quiet house" there.', "the quiet house"),
        ("She left. A nonstandard dialect has words.", "nonstandard dialect"),
    ],
)
def test_names_are_found_with_their_parts(text: str, name: str) -> None:
    found = {each.name: each for each in names(text)}
    assert name in found
    assert text[found[name].start : found[name].end] == name


def test_a_text_without_names_has_none() -> None:
    assert names("") == []
    assert names(" \n") == []


def _found(tags: str, begins: list[bool], readiness: Readiness) -> list[tuple[int, int]]:
    """The values of one window with two special tokens before its text and one behind it."""
    likely = {"O": (0.8, 0.1, 0.1), "B": (0.2, 0.6, 0.2), "I": (0.2, 0.2, 0.6), "i": (0.6, 0.1, 0.3)}
    scores = np.log([[likely[tag] for tag in "OO" + tags + "O"]])
    offsets = [(2 * place, 2 * place + 1) for place in range(len(begins))]
    size = len(tags) + 3
    window = Window(0, [0] * size, [0] * size, 2, offsets, begins, 0, 99, [])
    found = values(Reading([window], torch.zeros(1, size, 4), scores), readiness)
    return [(value.start // 2, value.end // 2) for value in found]


def test_values_are_the_likeliest_spans_of_whole_words() -> None:
    words = [True] * 6
    assert _found("BIOBBO", words, Readiness()) == [(0, 1), (3, 3), (4, 4)]
    assert _found("BIOBBO", [True, True, False, True, False, True], Readiness(1.0)) == [(0, 2), (3, 4)]
    assert _found("IIIIII", words, Readiness()) == [(0, 5)]
    assert _found("BIOBBO", words, Readiness(-9.0)) == []


def test_a_bias_lets_values_reach_further_and_unsure_ones_are_left_out() -> None:
    words = [True] * 5
    assert _found("OiOBO", words, Readiness(1.0)) == [(3, 3)]
    assert _found("OBiOO", words, Readiness(1.0)) == [(1, 2)]
    assert _found("OBiOO", words, Readiness(1.0, 0.7)) == []
    assert _found("OBIOO", words, Readiness(1.0, 0.7)) == [(1, 2)]


def test_an_inventory_folds_spellings_and_orders_by_number_of_calls() -> None:
    relations = ("Birth Place", "birth_place", "Birth Place", "Job")
    calls = tuple(Call("Ada", relation, "x", 0) for relation in relations)
    inventory = Inventory.of([AnnotatedDocument("d", "text", calls)])
    assert inventory == Inventory(["Birth Place", "Job"], [3, 1])
    assert inventory.number("BIRTH PLACE") == 0
    assert inventory.number("Age") == -1
