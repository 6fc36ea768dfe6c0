"""Entity substitution renames in text and calls alike, and touches nothing else."""

import random

from lamlam.markup import AnnotatedDocument, Call
from lamlam.pretrain.augmentation import Substitution
from lamlam.pretrain.recipe import SubstitutionSettings

TEXT = "Aarhus Airport serves Aarhus, Denmark. The airport of Aarhus has a runway of 2777.0 metres."
NAMES = [
    "Aarhus Airport",
    "Aarhus, Denmark",
    "Belmont Airport",
    "Corvo Airport",
    "Derry Airport",
    "Essex Airport",
    "2777.0",
]
DOCUMENT = AnnotatedDocument(
    "a",
    TEXT,
    (
        Call("Aarhus Airport", "city served", "Aarhus, Denmark", TEXT.index("Aarhus, Denmark")),
        Call("Aarhus Airport", "runway length", "2777.0", TEXT.index("2777.0")),
    ),
)


def renamed(seed: int = 0, *, subjects: float = 1.0, values: float = 0.0) -> AnnotatedDocument:
    settings = SubstitutionSettings(subjects=subjects, values=values)
    return Substitution(settings, NAMES).apply(DOCUMENT, random.Random(seed))


def test_the_subject_is_renamed_throughout_text_and_calls():
    document = renamed()
    entity = document.calls[0].entity
    name = entity.removesuffix(" Airport")
    assert "Aarhus" not in document.text
    assert entity != "Aarhus Airport"
    assert document.text.startswith(entity)
    assert document.text.count(name) == 3
    assert document.calls[1].entity == entity


def test_words_that_many_names_share_stay():
    assert all(renamed(seed).calls[0].entity.endswith(" Airport") for seed in range(20))


def test_calls_still_stand_before_their_values():
    for seed in range(20):
        document = renamed(seed, values=1.0)
        for call in document.calls:
            assert document.text.startswith(call.value, call.at)


def test_relations_and_the_words_between_are_untouched():
    document = renamed(values=1.0)
    assert [call.relation for call in document.calls] == ["city served", "runway length"]
    assert document.text.endswith(" metres.")
    assert " serves " in document.text


def test_numbers_keep_their_shape():
    value = renamed(values=1.0).calls[1].value
    assert value != "2777.0"
    assert [len(part) for part in value.split(".")] == [4, 1]


def test_probability_zero_changes_nothing_and_a_share_changes_a_share():
    assert renamed(subjects=0.0) == DOCUMENT
    changed = sum(renamed(seed, subjects=0.3) != DOCUMENT for seed in range(300))
    assert 60 < changed < 120


def test_the_same_seed_renames_the_same():
    assert renamed(5, values=0.5) == renamed(5, values=0.5)
    assert renamed(5) != renamed(6)


def test_a_name_that_the_text_writes_only_in_part_is_kept():
    document = AnnotatedDocument("b", "Bean was born in 1932.", (Call("Alan Bean", "birth date", "1932", 17),))
    substitution = Substitution(SubstitutionSettings(subjects=1.0), ["Alan Bean", "Buzz Aldrin"])
    assert substitution.apply(document, random.Random(0)) == document


def test_a_value_that_the_text_writes_otherwise_is_kept():
    document = AnnotatedDocument("c", "Almond is from the USA.", (Call("Almond", "country", "United States", 19),))
    substitution = Substitution(SubstitutionSettings(values=1.0), ["Almond", "United States"])
    assert substitution.apply(document, random.Random(0)) == document


def missed(document: AnnotatedDocument, share: float, seed: int = 0) -> AnnotatedDocument:
    return Substitution(SubstitutionSettings(unknown=share), NAMES).apply(document, random.Random(seed))


def test_a_call_that_finds_nothing_is_said_to_find_nothing():
    document = missed(DOCUMENT, 1.0)
    assert [call.value for call in document.calls] == ["unknown", "unknown"]
    assert document.text == "Aarhus Airport serves unknown. The airport of Aarhus has a runway of unknown metres."
    assert all(document.text.startswith("unknown", call.at) for call in document.calls)
    assert [call.entity for call in document.calls] == ["Aarhus Airport"] * 2


def test_only_a_share_of_the_calls_finds_nothing_and_the_others_stand_before_their_values():
    documents = [missed(DOCUMENT, 0.3, seed) for seed in range(200)]
    values = [call.value for document in documents for call in document.calls]
    assert 80 < values.count("unknown") < 160
    assert all(document.text.startswith(call.value, call.at) for document in documents for call in document.calls)


def test_a_value_that_the_text_does_not_state_is_no_miss():
    document = AnnotatedDocument("c", "Almond is from the USA.", (Call("Almond", "country", "United States", 19),))
    assert missed(document, 1.0) == document
