"""A value that was found is written as it was found, once the model begins it."""

import pytest

from fakes_engine import FREE, DictionaryFacts, ScriptedModel, small_vocabulary
from lamlam.engine import Engine
from lamlam.engine.copying import forms

VOCABULARY = small_vocabulary()
PROMPT = "Alan Turing worked at"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("London", ["London", "london"]),
        ("Castle (novel)", ["Castle (novel)", "castle (novel)", "Castle", "castle"]),
        ("Mahé, India", ["Mahé, India", "mahé, India", "Mahé", "mahé", "India", "india"]),
        ("1815-12-10", []),
        ("42 m", []),
        ("long, " * 100, []),
    ],
)
def test_the_forms_in_which_a_name_may_be_written(value: str, written: list[str]) -> None:
    assert forms(value) == written


def _written(values: list[str], *wanted: str, speculate: bool = True, **changes: object) -> str:
    """What follows a call that finds `values`, where the model wants to write these texts, the first one most.

    It keeps to a text only as long as it wrote that text itself.
    """
    call = [
        VOCABULARY.entity_id,
        *VOCABULARY.encode(" Alan Turing"),
        VOCABULARY.relation_id,
        *VOCABULARY.encode(" Work Place"),
        VOCABULARY.return_id,
    ]
    texts = [VOCABULARY.encode(text) for text in wanted]

    def script(seen: list[int]) -> list[int]:
        if VOCABULARY.end_id in seen:
            said = seen[seen.index(VOCABULARY.end_id) + 1 :]
            fitting = [text for text in texts if text[: len(said)] == said]
            return list(
                dict.fromkeys(text[len(said)] if len(text) > len(said) else VOCABULARY.eos_id for text in fitting)
            )
        begun = seen[seen.index(VOCABULARY.entity_id) :] if VOCABULARY.entity_id in seen else []
        return call[len(begun) : len(begun) + 1]

    kb = DictionaryFacts({("Alan Turing", "Work Place"): values})
    engine = Engine(ScriptedModel(script, VOCABULARY), VOCABULARY, kb, speculate=speculate)  # type: ignore[arg-type]
    settings = FREE.model_copy(update={"max_tokens": 40, "max_calls": 1, **changes})
    [generation] = engine.generate([PROMPT], settings)
    assert [lookup.resolution.values for lookup in generation.lookups] == [tuple(values)]
    assert engine.generate([PROMPT] * 3, settings) == [generation] * 3
    return generation.text


@pytest.mark.parametrize("speculate", [True, False])
@pytest.mark.parametrize(
    ("values", "wanted", "written"),
    [
        (["Bletchley Park"], [" Bletchley Pond.", " Bletchley Park."], " Bletchley Park."),
        (["Bletchley Park"], [" bletchley pond.", " bletchley Park."], " bletchley Park."),
        # Token by token it would be "Bletchley", and then the Park that it likes little.
        (
            ["Bletchley Park", "Bletch Town"],
            [" Bletchley Town.", " Bletch Town.", " Bletchley Park."],
            " Bletch Town.",
        ),
        (["Bletchley (town)"], [" Bletchley. So", " Bletchley (town)"], " Bletchley. So"),
        (["Bletchley Park"], [" the Park.", " Bletchley Park."], " the Park."),
        (["1815"], [" 1816.", " 1815."], " 1816."),
    ],
)
def test_the_rest_of_a_name_is_written_as_found(
    values: list[str], wanted: list[str], written: str, speculate: bool
) -> None:
    assert _written(values, *wanted, speculate=speculate) == written


def test_a_text_that_only_begins_with_the_same_letters_is_left_to_the_model() -> None:
    assert _written(["Bletchley Park"], " Blet is a word.") == " Blet is a word."


def test_what_is_copied_is_counted_and_cut_like_any_text() -> None:
    wanted = [" Bletchley Pond.", " Bletchley Park."]
    assert _written(["Bletchley Park"], *wanted, max_tokens=2) == VOCABULARY.decode(
        VOCABULARY.encode(" Bletchley Park")[:2]
    )
    assert _written(["Bletchley Park"], *wanted, stop=("ley",)) == " Bletch"


def test_sampling_is_left_free() -> None:
    written = _written(["Bletchley Park"], " Bletchley Pond.", " Bletchley Park.", temperature=1e-6)
    assert written == " Bletchley Pond."
