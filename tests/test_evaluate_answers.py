"""What counts as an answer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamlam.evaluate.answers import gives


@pytest.mark.parametrize(
    ("continuation", "answer"),
    [
        (" Rome.", "Rome"),
        ("rome", "Rome"),
        (" the University of Oslo, where", "University of Oslo"),
        (" University of Oslo", "The University of Oslo"),
        (' "Dune" by', "Dune"),
        (" “Dune”", '"Dune"'),
        (" 25 metres", "25.0"),
        (" 1,121.0 m", "1121"),
        (" 1931.", "1931"),
        (" 1931, and", "1931"),
        (" Abilene , Texas", "Abilene, Texas"),
        (" New_York City", "New York"),
        (" King’s College", "King's College"),
        (" 14 March 1931.", "14 March 1931"),
        (" Acme Inc.", "Acme Inc."),
        (" -3 degrees", "-3.0"),
    ],
)
def test_an_answer_is_recognised_in_its_forms(continuation: str, answer: str) -> None:
    assert gives(continuation, [answer])


@pytest.mark.parametrize(
    ("continuation", "answer"),
    [
        (" Romeo", "Rome"),
        (" a town near Rome", "Rome"),
        (" 250", "25"),
        (" 25.7", "25"),
        (" 1,121", "1"),
        (" 14 March 19312", "14 March 1931"),
        (" version 2.5", "version 2"),
        ("", "Rome"),
        (" Rome", ""),
        (" unknown", "Rome"),
        (" Theodor", "Odor"),
    ],
)
def test_what_only_resembles_an_answer_is_wrong(continuation: str, answer: str) -> None:
    assert not gives(continuation, [answer])


def test_any_of_several_answers_will_do() -> None:
    assert gives(" Tor and", ["Kelish, Tor", "Kelish", "Tor"])
    assert not gives(" Tor", [])


@settings(deadline=None, max_examples=100)
@given(
    st.from_regex(r"[A-Za-z][a-z]{0,8}( [A-Z][a-z]{1,8}){0,3}", fullmatch=True),
    st.sampled_from([".", ", who", " and", ""]),
)
def test_every_name_is_given_by_itself_with_anything_that_ends_a_word(name: str, after: str) -> None:
    assert gives(f" {name}{after}", [name])
    assert not gives(f" {name}xq{after}", [name])
