"""What a pretrained model is converted on: introductions, marked documents, and questions about what they state."""

import gzip
import json
import random
from pathlib import Path

import pytest

from lamlam.annotate.public_corpora import bare_name, introductions_corpus, opening_name, read_redocred
from lamlam.errors import InputError
from lamlam.markup import UNKNOWN, AnnotatedDocument, Call
from lamlam.pretrain.augmentation import DONT_KNOW, ask_about


def write(path: Path, *rows: object) -> Path:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def introductions(folder: Path, text: str, *facts: tuple[str, str, bool], title: str = "Ann Lee (actor)") -> Path:
    for part in ("train", "dev"):
        name = title if part == "train" else "Bo"
        write(folder / f"{part}.documents.jsonl.gz", {"id": name, "title": name, "text": text})
        rows = [{"entity": name, "relation": r, "value": v, "stated": stated} for r, v, stated in facts]
        write(folder / f"{part}.facts.jsonl.gz", *rows)
    return folder


TEXT = "Ann Lee (born 1950) is an actor from Rome. She won the Golden Cup. She lives in a house by the sea."


def test_an_introduction_has_calls_for_its_stated_facts_and_ends_behind_the_last(tmp_path: Path) -> None:
    folder = introductions(tmp_path, TEXT, ("City", "Rome", True), ("Award", "Golden Cup", False))
    corpus = introductions_corpus(folder)
    assert corpus.train == [
        AnnotatedDocument(
            "Ann Lee (actor)",
            "Ann Lee (born 1950) is an actor from Rome.",
            (Call("Ann Lee", "City", "Rome", TEXT.index("Rome")),),
            "Ann Lee (actor)",
        )
    ]
    assert {(fact.entity, fact.relation) for fact in corpus.facts} >= {("Ann Lee (actor)", "Award")}
    assert next(fact for fact in corpus.facts if fact.entity != "Bo").entity_aliases == ("Ann Lee",)


def test_of_calls_at_one_place_the_commonest_relation_stays(tmp_path: Path) -> None:
    facts = (("City", "Rome", True), ("City/Town", "Rome", True))
    folder = introductions(tmp_path, TEXT, *facts)
    write(
        folder / "train.facts.jsonl.gz",
        *({"entity": "Ann Lee (actor)", "relation": r, "value": v, "stated": s} for r, v, s in facts),
        {"entity": "Cy", "relation": "City/Town", "value": "Oslo", "stated": True},
    )
    write(
        folder / "train.documents.jsonl.gz",
        {"id": "1", "title": "Ann Lee (actor)", "text": TEXT},
        {"id": "2", "title": "Cy", "text": "Cy is from Oslo."},
    )
    corpus = introductions_corpus(folder)
    assert [call.relation for call in corpus.train[0].calls] == ["City/Town"]


def test_a_document_that_never_names_its_subject_is_left_out(tmp_path: Path) -> None:
    folder = introductions(tmp_path, "This is about somebody from Rome.", ("City", "Rome", True))
    assert introductions_corpus(folder).train == []


@pytest.mark.parametrize(
    ("title", "text", "name"),
    [
        ("R. C. Thielemann", "Ray Charles Thielemann (born 1955) is", "Ray Charles Thielemann"),
        ("Kumejima Island", "Kume Island, also Kumejima, is", "Kume Island"),
        ("111 Hits", "Fox Funny is an Australian channel", ""),
        ("1908 Senators season", "The 1908 Senators won 67 games, lost", ""),
        ("X", "it is", ""),
    ],
)
def test_the_name_with_which_a_text_opens(title: str, text: str, name: str) -> None:
    assert opening_name(title, text) == name


def test_a_title_without_its_brackets() -> None:
    assert bare_name("Robert Garrison (actor)") == "Robert Garrison"
    assert bare_name("Washington, D.C.") == "Washington, D.C."


MARKED = {
    "title": "Ann Lee",
    "text": "Ann Lee was born in Rome. Rome is in Italy. Lee likes Italy.",
    "entities": [
        {"name": "Ann Lee", "mentions": [[0, 7], [44, 47]]},
        {"name": "Rome", "mentions": [[20, 24], [26, 30]]},
        {"name": "Italy", "mentions": [[37, 42], [54, 59]]},
    ],
    "triples": [
        {"head": 0, "tail": 1, "relation": "place of birth"},
        {"head": 1, "tail": 2, "relation": "country"},
        {"head": 2, "tail": 1, "relation": "contains"},
        {"head": 0, "tail": 2, "relation": "country of citizenship"},
    ],
}


def plain(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_triple_becomes_a_call_where_its_tail_follows_its_head(tmp_path: Path) -> None:
    (document,) = read_redocred(plain(tmp_path / "d.jsonl", MARKED))
    assert document.text == MARKED["text"]
    # Of two heads at one place the title; an inverse triple comes once.
    assert document.calls == (
        Call("Ann Lee", "place of birth", "Rome", 20),
        Call("Ann Lee", "country of citizenship", "Italy", 37),
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"entities": [{"name": "A", "mentions": [[0]]}]}, r"field 'entities\[0\]\.mentions'"),
        (
            {"triples": [{"head": 0, "tail": 9, "relation": "r"}]},
            r"field 'triples\[0\]\.tail': there are 3|there are 3",
        ),
        ({"triples": [{"head": 0, "tail": 1}]}, "relation"),
    ],
)
def test_a_marked_document_that_is_malformed_is_refused_by_its_field(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        list(read_redocred(plain(tmp_path / "d.jsonl", MARKED | change)))


def test_a_question_names_the_fact_and_its_answer_follows_the_call() -> None:
    document = AnnotatedDocument("d", "Ann Lee was born in Rome.", (Call("Ann Lee", "Birth Place", "Rome", 20),))
    for seed in range(20):
        asked = ask_about(document, random.Random(seed))
        (call,) = asked.calls
        assert "birth place" in asked.text
        assert "Ann Lee" in asked.text
        assert asked.text[call.at :] == "Rome."
        assert (call.entity, call.relation, call.value) == ("Ann Lee", "Birth Place", "Rome")


def test_a_question_that_finds_nothing_is_answered_with_that() -> None:
    document = AnnotatedDocument("d", "Ann Lee was born in Rome.", (Call("Ann Lee", "Birth Place", "Rome", 20),))
    asked = ask_about(document, random.Random(0), unknown=1.0)
    assert asked.text.endswith(DONT_KNOW)
    assert asked.calls[0].value == UNKNOWN
