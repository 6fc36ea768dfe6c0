"""Where a text states the value of a call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamlam.annotate.spans import facts_in, value_span
from lamlam.markup import AnnotatedDocument, Call


@pytest.mark.parametrize(
    ("text", "value", "stated"),
    [
        ("born in |Rome, Italy", "Rome", "Rome"),
        ("born in| Rome, Italy", "Rome", "Rome"),
        ("|the mayor of Rome, in Rome", "Rome", "Rome"),
        ("on |14 February 1788 in", "February 14, 1788", "14 February 1788"),
        ("on |February 14, 1788 in", "1788-02-14", "February 14, 1788"),
        ("a |singer, songwriter, and actress.", "singer, songwriter, actress", "singer, songwriter, and actress"),
        ("by |Shelley Winters, who sang, and Mark Lester", "Shelley Winters, Mark Lester",
         "Shelley Winters, who sang, and Mark Lester"),
        ("in |Houston.", "Houston, Texas", "Houston"),
        ("|The Tallis Scholars sing", "Tallis Scholars", "Tallis Scholars"),
        ("by |the Tallis Scholars.", "The Tallis Scholars", "the Tallis Scholars"),
        ('wrote |"Moxie" then', "Moxie", "Moxie"),
        ('wrote |"Moxie" then', '"Moxie"', '"Moxie"'),
        ("from the |51% who did", "51% (2000 census)", "51%"),
        ("|attacks by the Iranian government", "Iranian government attacks", "attacks by the Iranian government"),
        ("has |1,121.5 m", "1121.5", "1,121.5"),
        ("|Colonial Revival with Paladian influence", "Colonial Revival with Palladian influences",
         "Colonial Revival with Paladian influence"),
    ],
)  # fmt: skip
def test_a_value_is_found_as_the_text_writes_it(text: str, value: str, stated: str) -> None:
    before, _, behind = text.partition("|")
    place = value_span(before + behind, value, len(before))
    assert place is not None
    assert (before + behind)[slice(*place)] == stated


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Rome is where |she was born.", "Rome"),  # left of the call
        ("|" + "word " * 50 + "Rome", "Rome"),  # far away
        ("|Romeo and Juliet", "Rome"),
        ("a height of |1.25 m", "25"),
        ("a height of |2.1 m", "2"),
        ("|the arts and sciences, work for others", "arts, sciences, charitable work, public service"),
        ("|focused on a genetic study", "harmful to health"),
        ("|Rome", ""),
    ],
)
def test_what_is_not_stated_there_has_no_place(text: str, value: str) -> None:
    before, _, behind = text.partition("|")
    assert value_span(before + behind, value, len(before)) is None


@given(st.text("ab ,.1", max_size=20), st.text("ab ,.1", max_size=8), st.integers(0, 20))
def test_a_place_lies_in_the_text_and_behind_the_call(text: str, value: str, at: int) -> None:
    at = min(at, len(text))
    place = value_span(text, value, at)
    assert place is None or at <= place[0] < place[1] <= len(text)


def test_facts_carry_their_documents_id_and_place() -> None:
    calls = (Call("Ada", "Born In", "Rome", 11), Call("Ada", "Trait", "witty", 11))
    stated, told = facts_in(AnnotatedDocument("a.txt", "Ada was in Rome.", calls))
    assert (stated.document, stated.start, stated.end) == ("a.txt", 11, 15)
    assert (told.document, told.start, told.end) == ("a.txt", None, None)
