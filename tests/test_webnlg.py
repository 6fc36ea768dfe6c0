"""Reading WebNLG, holding subjects out, and the corpus that comes of it."""

import json
import re
from pathlib import Path

import pytest

from lamlam.annotate.align import Aligner
from lamlam.annotate.forms import spellings
from lamlam.annotate.public_corpora import webnlg_corpus
from lamlam.corpus import Corpus, FactRecord
from lamlam.corpus.split import NameSearch, StatedDocument, is_held_out, read_webnlg, split_by_subject
from lamlam.errors import InputError


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def relations(tmp_path: Path, *names: str) -> list[str]:
    row = {"text": "t", "triples": [["e", name, "v"] for name in names]}
    (document,) = read_webnlg(write(tmp_path / "w.jsonl", row))
    return [fact.relation for fact in document.facts]


def test_relations_become_readable_words(tmp_path: Path) -> None:
    told = {
        "cityServed": "city served",
        "elevationAboveTheSeaLevel_(in_metres)": "elevation above the sea level (in metres)",
        "ISBN_number": "ISBN number",
        "LCCN number": "LCCN number",
        "was selected by NASA": "was selected by NASA",
        "UTCOffset": "UTC offset",
        "1st runway SurfaceType": "1st runway surface type",
    }
    assert relations(tmp_path, *told) == list(told.values())


def test_a_document_has_its_lines_id_and_each_fact_once(tmp_path: Path) -> None:
    row = {"category": "City", "text": "Rome.", "triples": [["A_B", "x", "C"], ["A B", "x", "C"]]}
    (document,) = read_webnlg(write(tmp_path / "train.jsonl", row))
    assert document == StatedDocument("train-1", "Rome.", (FactRecord("A B", "x", "C"),), "City")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "JSON object"),
        (b"[]", "JSON object"),
        (b'{"text": "\xff"}', "UTF-8"),
        (b'{"text": " ", "triples": []}', "field 'text'"),
        (b'{"text": "t"}', "field 'triples'"),
        (b'{"text": "t", "triples": [["a", "b"]]}', "field 'triples[0]'"),
        (b'{"text": "t", "triples": [["a", "b", 3]]}', "field 'triples[0][2]'"),
        (b'{"text": "t", "triples": [], "category": 1}', "field 'category'"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: bytes, said: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b'{"text": "t", "triples": []}\n' + line + b"\n")
    with pytest.raises(InputError) as caught:
        list(read_webnlg(path))
    assert said in str(caught.value)
    assert caught.value.line == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.jsonl"):
        list(read_webnlg(tmp_path / "none.jsonl"))


def stated(id: str, text: str, *facts: tuple[str, str, str]) -> StatedDocument:
    return StatedDocument(id, text, tuple(FactRecord(*fact) for fact in facts))


SUBJECTS = [f"Zork{letter}" for letter in "abcdefghijklmnop"]
HELD = next(subject for subject in SUBJECTS if is_held_out(subject, 4, 0))
KEPT, NEW = [subject for subject in SUBJECTS if not is_held_out(subject, 4, 0)][:2]


def split(documents: list[StatedDocument], dev: list[StatedDocument]) -> Corpus:
    return split_by_subject(documents, dev, annotate=Aligner().annotate, spellings=spellings, one_in=4)


def test_texts_are_sorted_by_what_they_mention() -> None:
    documents = [
        stated("about", f"{HELD} is in Rome.", (HELD, "home", "Rome")),
        stated("object", f"{KEPT} knows {HELD}.", (KEPT, "friend", HELD)),
        stated("named", f"{KEPT} ({HELD.upper()}'s friend) is in Oslo.", (KEPT, "home", "Oslo")),
        stated("kept", f"{KEPT} is in Oslo.", (KEPT, "home", "Oslo")),
    ]
    dev = [
        stated("dev-seen", f"{KEPT} lives in Oslo.", (KEPT, "home", "Oslo")),
        stated("dev-new", f"{NEW} lives in Oslo.", (NEW, "home", "Oslo")),
        stated("dev-unseen", f"{HELD} lives in Rome.", (HELD, "home", "Rome")),
    ]
    corpus = split(documents, dev)
    assert [document.id for document in corpus.train] == ["kept"]
    assert [document.id for document in corpus.heldout["seen"]] == ["dev-seen"]
    assert [document.id for document in corpus.heldout["unseen"]] == ["about", "dev-unseen"]
    assert {(fact.entity, fact.value) for fact in corpus.facts} == {
        (HELD, "Rome"), (KEPT, HELD), (KEPT, "Oslo"), (NEW, "Oslo"),
    }  # fmt: skip


def test_probes_know_every_true_value_and_how_often_it_was_read() -> None:
    documents = [
        stated("kept", f"{KEPT} is in the US.", (KEPT, "home", "United States")),
        stated("also", f"{KEPT} is in Oslo.", (KEPT, "home", "Oslo")),
        stated("about", f"{HELD} is in Rome.", (HELD, "home", "Rome")),
    ]
    dev = [stated("dev", f"{KEPT} lives in the U.S. now.", (KEPT, "home", "United States"))]
    seen, unseen = split(documents, dev).probes
    assert (seen.prompt, seen.entity, seen.relation, seen.group, seen.mentions) == (
        f"{KEPT} lives in the", KEPT, "home", "seen", 1,
    )  # fmt: skip
    assert {"United States", "USA", "U.S.", "Oslo"} <= set(seen.answers)
    assert (unseen.prompt, unseen.mentions, unseen.answers[0]) == (f"{HELD} is in", 0, "Rome")


def test_a_seed_gives_its_own_split_and_the_same_one_again() -> None:
    documents = [stated(name, f"{name} is in Oslo.", (name, "home", "Oslo")) for name in SUBJECTS]
    first, again, other = (
        split_by_subject(documents, [], annotate=Aligner().annotate, spellings=spellings, one_in=4, seed=seed)
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first.train != other.train


def test_nothing_left_to_train_on_is_told() -> None:
    with pytest.raises(InputError, match="no text is left"):
        split([stated("about", f"{HELD} is in Rome.", (HELD, "home", "Rome"))], [])
    with pytest.raises(InputError, match="one_in"):
        split_by_subject([], [], annotate=Aligner().annotate, spellings=spellings, one_in=1)


def test_names_are_searched_as_whole_words() -> None:
    search = NameSearch(["Rafael Viñoly", "Rome", "..."])
    assert search.found_in("by RAFAEL-VINOLY,")
    assert search.found_in("(Rome)")
    assert not search.found_in("Romero ... Rafael")


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "webnlg"


@pytest.fixture(scope="module")
def corpus(folder: Path) -> Corpus:
    return webnlg_corpus(folder)


def test_real_triples_find_their_places(folder: Path) -> None:
    aligner = Aligner()
    documents = list(read_webnlg(folder / "train.jsonl"))[::4]
    placed = sum(len(aligner.annotate(one.text, one.facts, one.id).placed) for one in documents)
    assert placed / sum(len(one.facts) for one in documents) >= 0.80


def test_no_real_training_text_mentions_a_held_out_subject(corpus: Corpus) -> None:
    held = {fact.entity for fact in corpus.facts if is_held_out(fact.entity, 8, 0)}
    assert len(held) > 30
    named = re.compile(r"\b(" + "|".join(map(re.escape, held)) + r")(s|es)?\b", re.IGNORECASE)
    for document in corpus.train:
        assert not named.search(document.text)
        assert not any(call.entity in held or call.value in held for call in document.calls)
    assert {call.entity for document in corpus.heldout["seen"] for call in document.calls}.isdisjoint(held)


def test_real_probes_ask_about_their_group(corpus: Corpus) -> None:
    train = {call.entity for document in corpus.train for call in document.calls}
    groups = {name: [probe for probe in corpus.probes if probe.group == name] for name in ("seen", "unseen")}
    assert [len(probes) for probes in groups.values()] == [600, 600]
    assert all(is_held_out(probe.entity, 8, 0) and probe.mentions == 0 for probe in groups["unseen"])
    assert all(not is_held_out(probe.entity, 8, 0) for probe in groups["seen"])
    assert {probe.entity for probe in groups["unseen"]}.isdisjoint(train)
    assert len({probe.id for probe in corpus.probes}) == len(corpus.probes)
    assert all(probe.prompt and probe.prompt == probe.prompt.rstrip() and probe.answers for probe in corpus.probes)
