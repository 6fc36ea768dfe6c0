"""Which names a context mentions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes_engine import DictionaryFacts
from lamlam.engine.mentions import Mentions, mentions

NAMES = ["Ada Lovelace", "Ada", "Addiction (journal)", "Apple Inc.", "O'Neill", "École Normale", "St. Louis", "Zoe"]
KB = DictionaryFacts({(name, "r"): "v" for name in [*NAMES, *(f"John {i}" for i in range(20))]})


class WithAliases(DictionaryFacts):
    def entities_named(self, names: object) -> dict[str, str]:
        aliases = {"Countess Lovelace": "Ada Lovelace", "zoe": "Zoe"}
        return {name: aliases[name] for name in names if name in aliases}  # type: ignore[attr-defined]

    def entities_starting(self, prefix: str, limit: int) -> list[str]:
        names = ["Ada Lovelace", "Countess Lovelace", "Zoe"]
        return [name for name in names if name.casefold().startswith(prefix.casefold())][:limit]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Then Ada Lovelace went home", ["Ada", "Ada Lovelace"]),
        ('("Zoe", she said)', ["Zoe"]),
        ("Zoe's brother", ["Zoe"]),
        ("Zoe’s brother", ["Zoe"]),
        ("He left Apple Inc. for St. Louis.", ["Apple Inc.", "St. Louis"]),
        ("at the École Normale, and O'Neill?", ["École Normale", "O'Neill"]),
        ("in Addiction (journal).", ["Addiction (journal)"]),
        ("The paper appeared in Addiction.", ["Addiction (journal)"]),
        ("nobody here", []),
        ("", []),
    ],
)
def test_names_are_found_between_words_and_punctuation(text: str, found: list[str]) -> None:
    assert sorted(mentions(text, KB)) == sorted(found)


def test_a_beginning_of_many_names_tells_nothing() -> None:
    assert mentions("John came", KB) == []
    assert mentions("John 7 came", KB) == ["John 7"]


def test_a_beginning_ends_with_a_word() -> None:
    assert mentions("Add some", KB) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the Kingdom of Sweden has", ["Kingdom of Sweden"]),
        ("the Kingdom of Denmark has", []),
        ("the Kingdom of the Isles has", []),
        ("the Government of United States has", ["Government of United States"]),
        ("the Government of United Emirates has", []),
        ("at the Akron Summit, Peter", ["Akron Summit Assault", "Akron Summit riot"]),
        ("at the Akron Summit riot", ["Akron Summit riot"]),
        ("in Antioch, Ohio", ["Antioch, Ohio"]),
        ("in Antioch Peter", ["Antioch, California", "Antioch, Ohio"]),
    ],
)
def test_a_beginning_stands_for_no_name_where_the_text_goes_on_with_another(text: str, found: list[str]) -> None:
    """Who asks about Sweden must not be led to Spain, nor who asks about a stranger to one who is known."""
    names = [
        *("Kingdom of Spain", "Kingdom of Sweden", "Kingdom of the Netherlands"),
        *("Government of United States", "Government of United Kingdom"),
        *("Akron Summit Assault", "Akron Summit riot", "Antioch, California", "Antioch, Ohio"),
    ]
    assert sorted(mentions(text, DictionaryFacts({(name, "r"): "v" for name in names}))) == found


def test_an_alias_brings_the_canonical_name_with_it() -> None:
    assert mentions("Countess Lovelace met zoe", WithAliases({})) == ["Ada Lovelace", "Countess Lovelace", "Zoe"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([*NAMES, "and", "the (", "x."]), max_size=30), st.integers(1, 9))
def test_reading_a_growing_text_finds_what_reading_it_at_once_finds(words: list[str], step: int) -> None:
    text = " ".join(words)
    growing = Mentions(KB)
    for end in range(0, len(text) + 1, step):
        assert growing.update(text[:end]) == mentions(text[:end], KB)
    assert growing.update(text) == mentions(text, KB)


def test_what_the_last_words_might_have_meant_does_not_stay() -> None:
    kb = DictionaryFacts({(name, "r"): "v" for name in ("Kingdom of Spain", "Ada")})
    growing = Mentions(kb)
    assert growing.update("Ada") == ["Ada"]
    assert growing.update("Adam of the Kingdom of") == []
    assert growing.update("Adam of the Kingdom of Spain") == ["Kingdom of Spain"]
    assert Mentions(kb).update("the Kingdom of Sweden") == []
