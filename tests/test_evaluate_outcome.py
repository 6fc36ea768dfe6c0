"""The judge: by meaning, with four outcomes that add up."""

from pathlib import Path

import pytest

from lamlam.evaluate.meaning import likeness
from lamlam.evaluate.outcome import Asked, Outcome, outcome, shares

_LINES = [line.split("\t") for line in Path(__file__).with_name("judged_pairs.txt").read_text().splitlines()]
PAIRS = [tuple(line) for line in _LINES if not line[0].startswith("#") and len(line) == 3]
TEXT = "It was released by Capitol Records on September 16, 1997, and toured Canada."
JAWS = Asked(("Steven Spielberg",), ("1975", "Universal Pictures"), names=("Jaws (film)", "director"))


def test_the_table_judges_enough_pairs_of_every_kind() -> None:
    assert len(PAIRS) >= 80
    assert all(sum(pair[2] == kind for pair in PAIRS) >= 10 for kind in ("same", "part", "none"))


@pytest.mark.parametrize(("said", "value", "kind"), PAIRS)
def test_pair_is_judged_as_the_table_says(said: str, value: str, kind: str) -> None:
    assert likeness(said, value).name.lower() == kind


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (" Steven Spielberg, with", Outcome.RIGHT),
        (" The director of Jaws is Steven Spielberg.", Outcome.RIGHT),
        (" the American director Steven Spielberg", Outcome.RIGHT),
        (" director Steven Spielberg", Outcome.RIGHT),
        (" American director George Lucas", Outcome.FALSE),
        (" George Lucas with Steven Spielberg", Outcome.FALSE),
        (" Spielberg", Outcome.OTHER),
        (" Universal Pictures", Outcome.OTHER),
        (" 1975", Outcome.OTHER),
        (" George Lucas", Outcome.FALSE),
        (" George Lucas and Steven Spielberg", Outcome.FALSE),
        (" unknown", Outcome.NONE),
        (" I don't know.", Outcome.NONE),
        (" not known. Steven Spielberg", Outcome.NONE),
        ("", Outcome.NONE),
        (" Jaws", Outcome.NONE),
        (" the same people as before", Outcome.NONE),
    ],
)
def test_outcome_of_an_answer(said: str, expected: Outcome) -> None:
    assert outcome(said, JAWS) is expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (" Canada", Outcome.RIGHT),
        (" Toronto, Canada", Outcome.FALSE),  # the first value is false, whatever follows
        (" Capitol Records", Outcome.OTHER),  # the entity's own text says so
        (" Columbia Records", Outcome.FALSE),
        (" 1997", Outcome.OTHER),
    ],
)
def test_what_the_entitys_text_says_is_another_true_statement(said: str, expected: Outcome) -> None:
    assert outcome(said, Asked(("Canada",), text=TEXT)) is expected


def test_a_true_place_that_goes_on_to_the_one_asked_for_is_right() -> None:
    asked = Asked(("France",), ("Paris",))
    assert outcome(" Paris, France.", asked) is Outcome.RIGHT
    assert outcome(" Lyon, France.", asked) is Outcome.FALSE
    assert outcome(" Paris.", asked) is Outcome.OTHER


def test_the_kind_of_thing_may_be_said_before_its_name() -> None:
    asked = Asked(("Big Creek, Idaho",))
    assert outcome(" the town of Big Creek, Idaho.", asked) is Outcome.RIGHT
    assert outcome(" the mayor of Big Creek, Idaho.", asked) is Outcome.FALSE


def test_a_value_in_lower_case_is_judged_by_its_words() -> None:
    assert outcome(" footballer who", Asked(("footballer",))) is Outcome.RIGHT
    assert outcome(" politician who", Asked(("footballer",))) is Outcome.FALSE


def test_outcomes_add_up() -> None:
    counted = shares([Outcome.RIGHT, Outcome.RIGHT, Outcome.FALSE, Outcome.NONE])
    assert {name: share.hits for name, share in counted.items()} == {"right": 2, "other": 0, "false": 1, "none": 1}
    assert sum(share.hits for share in counted.values()) == 4
