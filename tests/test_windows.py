"""Long texts are cut where they have borders, and nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamlam.text import windows


def pieces(text: str, limit: int) -> list[str]:
    return [text[start:end] for start, end in windows(text, limit)]


@given(st.text("ab. \n", max_size=60), st.integers(1, 20))
def test_windows_are_the_whole_text_in_order_and_within_the_limit(text: str, limit: int) -> None:
    cut = pieces(text, limit)
    assert "".join(cut) == text
    assert all(0 < len(piece) <= limit for piece in cut)


def test_the_best_border_within_the_limit_is_taken() -> None:
    assert pieces("One two.\n\nThree. Four five six", 24) == ["One two.\n\nThree. ", "Four five six"]
    assert pieces("One two three.\n\nFour. Five six", 24) == ["One two three.\n\n", "Four. Five six"]
    assert pieces("One two three four", 10) == ["One two ", "three four"]
    assert pieces("abcdefgh", 3) == ["abc", "def", "gh"]
    assert pieces('She said "No." Then he', 16) == ['She said "No." ', "Then he"]


def test_a_window_holds_something() -> None:
    assert windows("", 5) == []
    with pytest.raises(ValueError, match="at least one"):
        windows("text", 0)
