"""Documents, facts, probes and corpora survive their files; bad files are told by file, line and field."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamlam.corpus import Corpus, FactRecord, Probe
from lamlam.corpus.files import (
    documents_from_paper,
    documents_to_paper,
    load_corpus,
    read_documents,
    read_facts,
    read_probes,
    save_corpus,
    write_documents,
    write_facts,
    write_probes,
)
from lamlam.errors import InputError, LamLamError
from lamlam.markup import AnnotatedDocument, Call

characters = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\r\u2028\"'\\[]"), max_size=12)
names = characters.filter(str.strip)
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def documents(draw: st.DrawFn) -> AnnotatedDocument:
    text = draw(characters)
    call = st.builds(Call, characters, characters, characters, st.integers(0, len(text)))
    return AnnotatedDocument(draw(characters), text, tuple(draw(st.lists(call, max_size=3))))


def told_apart(least: int, most: int) -> st.SearchStrategy[list[AnnotatedDocument]]:
    return st.lists(documents(), min_size=least, max_size=most, unique_by=lambda document: document.id)


@st.composite
def facts(draw: st.DrawFn) -> FactRecord:
    document = draw(st.none() | characters)
    start, end = draw(st.just((None, None)) | st.tuples(st.integers(0, 9), st.integers(9, 20)))
    if document is None:
        start = end = None
    aliases = st.lists(characters, max_size=2).map(tuple)
    return FactRecord(draw(names), draw(names), draw(names), document, start, end, draw(aliases), draw(aliases))


answers = st.lists(characters, min_size=1, max_size=3).map(tuple)
probes = st.builds(Probe, characters, characters, characters, characters, answers, characters, st.integers(0, 50))
corpora = st.builds(
    Corpus,
    told_apart(1, 3),
    st.dictionaries(st.sampled_from(["seen", "unseen", "far-off_1"]), told_apart(0, 2)),
    st.lists(facts(), max_size=3),
    st.lists(probes, max_size=3),
)

DOCUMENT = AnnotatedDocument("d", "Ada was born in Rome.", (Call("Ada", "Birthplace", "Rome", 16),))


@many
@given(written=told_apart(1, 3))
def test_documents_survive_both_forms(tmp_path: Path, written: list[AnnotatedDocument]) -> None:
    assert write_documents(written, tmp_path / "a.jsonl") == len(written)
    assert list(read_documents(tmp_path / "a.jsonl")) == written
    assert documents_to_paper(written, tmp_path / "a.json") == len(written)
    assert list(documents_from_paper(tmp_path / "a.json")) == written
    assert list(read_documents(tmp_path / "a.json")) == written


@many
@given(written=st.lists(facts(), max_size=3))
def test_facts_survive(tmp_path: Path, written: list[FactRecord]) -> None:
    write_facts(written, tmp_path / "facts.jsonl")
    assert list(read_facts(tmp_path / "facts.jsonl")) == written


@many
@given(written=st.lists(probes, max_size=3))
def test_probes_survive(tmp_path: Path, written: list[Probe]) -> None:
    write_probes(written, tmp_path / "probes.jsonl")
    assert list(read_probes(tmp_path / "probes.jsonl")) == written


@many
@given(written=corpora)
def test_corpora_survive_and_leave_nothing_of_earlier_ones(tmp_path: Path, written: Corpus) -> None:
    save_corpus(written, tmp_path / "corpus")  # The same folder for every example.
    assert load_corpus(tmp_path / "corpus") == written


def test_facts_are_written_as_documented(tmp_path: Path) -> None:
    write_facts([FactRecord("é", "R", "V", "d", 3, 7, ("E2",)), FactRecord("E", "R", "V")], tmp_path / "f.jsonl")
    first, second = (tmp_path / "f.jsonl").read_text(encoding="utf-8").splitlines()
    source = '"source": {"document": "d", "start": 3, "end": 7}, "aliases": {"entity": ["E2"]}'
    assert first == f'{{"entity": "é", "relation": "R", "value": "V", {source}}}'
    assert second == '{"entity": "E", "relation": "R", "value": "V"}'


def test_documents_are_written_as_documented(tmp_path: Path) -> None:
    write_documents([DOCUMENT], tmp_path / "d.jsonl")
    assert json.loads((tmp_path / "d.jsonl").read_text()) == {
        "id": "d",
        "text": "Ada was born in Rome.",
        "calls": [{"entity": "Ada", "relation": "Birthplace", "value": "Rome", "at": 16}],
    }


def test_a_span_without_a_document_is_not_written(tmp_path: Path) -> None:
    for fact in (FactRecord("E", "R", "V", None, 1, 2), FactRecord("E", "R", "V", "d", 1)):
        with pytest.raises(LamLamError, match="the fact R of E has a span without"):
            write_facts([fact], tmp_path / "f.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_plain_texts_are_documents_named_by_their_place(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.txt").write_bytes("\ufeffé\r\n[dblookup(".encode())
    (tmp_path / "sub" / "a.md").write_text("# A")
    (tmp_path / "blank.txt").write_text(" \n")
    (tmp_path / "other.csv").write_bytes(b"\xff")
    assert list(read_documents(tmp_path)) == [
        AnnotatedDocument("b.txt", "é\r\n[dblookup("),
        AnnotatedDocument("sub/a.md", "# A"),
    ]
    assert list(read_documents(tmp_path / "b.txt")) == [AnnotatedDocument("b.txt", "é\r\n[dblookup(")]


def test_blank_lines_and_a_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "a", "text": "x"}\r\n\n{"id": "b", "text": "y", "calls": null}')
    assert list(read_documents(path)) == [AnnotatedDocument("a", "x"), AnnotatedDocument("b", "y")]


def test_documents_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "a", "text": "x"}\n{"id": ')
    reader = read_documents(path)
    assert next(reader).id == "a"
    with pytest.raises(InputError, match=r"a\.jsonl:2: is no whole JSON object"):
        next(reader)


def test_paper_examples_are_read_with_an_index_and_leniently(tmp_path: Path) -> None:
    path = tmp_path / "paper.json"
    examples = [
        {"annotated_text": "In [dblookup('King's', 'R') -> V], x [dblookup(", "text": "In V, x"},
        {"text": "plain", "id": "own"},
    ]
    path.write_text(json.dumps({"examples": examples, "metadata": {}}))
    assert list(documents_from_paper(path)) == [
        AnnotatedDocument("paper-0", "In , x [dblookup(", (Call("King's", "R", "V", 3),)),
        AnnotatedDocument("own", "plain"),
    ]


def test_the_papers_files_survive_both_forms(shared_data: Path, tmp_path: Path) -> None:
    for name, count in (("squad-train1k_gpt4o", 990), ("wiki-1k_annotator", 830)):
        read = list(read_documents(shared_data / "lmlm" / f"{name}.json"))
        assert len({document.id for document in read}) == count
        assert write_documents(read, tmp_path / "a.jsonl") == count
        assert list(read_documents(tmp_path / "a.jsonl")) == read
        documents_to_paper(read, tmp_path / "a.json")
        assert list(documents_from_paper(tmp_path / "a.json")) == read


def document_line(**fields: Any) -> bytes:
    return json.dumps({"id": "d", "text": "abc", "calls": []} | fields).encode()


def call_line(**fields: Any) -> bytes:
    return document_line(calls=[{"entity": "E", "relation": "R", "value": "V", "at": 0} | fields])


GOOD = document_line()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD + b"\n\xff\xfe", "2: is not UTF-8 (byte 1 of the line)"),
        (GOOD + b'\n{"id": "a", "te', "2: is no whole JSON object (broken at character 13)"),
        (b"[" * 100_000, "1: is no whole JSON object"),
        (b'"text"', "1: is no JSON object"),
        (b'{"id": "a"}', "1: field 'text': is missing"),
        (document_line(text=1), "1: field 'text': must be text"),
        (document_line(text="a\ud800"), "1: field 'text': holds half of a surrogate pair"),
        (document_line(calls={}), "1: field 'calls': must be a list"),
        (document_line(calls=[[]]), "1: field 'calls[0]': must be an object"),
        (call_line(at="0"), "1: field 'calls[0].at': must be a whole number"),
        (call_line(at=True), "1: field 'calls[0].at': must be a whole number"),
        (call_line(at=1.0), "1: field 'calls[0].at': must be a whole number"),
        (call_line(at=-1), "1: field 'calls[0].at': must not be below 0"),
        (call_line(at=4), "1: field 'calls[0].at': is outside the text of 3 characters"),
        (call_line(value=None), "1: field 'calls[0].value': must be text"),
        (b"", " holds no documents"),
        (b"\n \n", " holds no documents"),
    ],
)
def test_bad_documents_are_told_by_line_and_field(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(read_documents(path))
    assert str(caught.value).startswith(f"{path}:{message}")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"entity": " "}, "field 'entity': must not be empty"),
        ({"value": None}, "field 'value': must be text"),
        ({"source": "d"}, "field 'source': must be an object"),
        ({"source": {}}, "field 'source.document': is missing"),
        ({"source": {"document": "d", "start": 1}}, "field 'source.end': is missing"),
        ({"source": {"document": "d", "start": 3, "end": 2}}, "field 'source.end': must not be below 3"),
        ({"aliases": {"entity": "E"}}, "field 'aliases.entity': must be a list"),
        ({"aliases": {"relation": ["a", 2]}}, "field 'aliases.relation[1]': must be text"),
    ],
)
def test_bad_facts_are_told_by_line_and_field(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    path = tmp_path / "facts.jsonl"
    path.write_text(json.dumps({"entity": "E", "relation": "R", "value": "V"} | fields))
    with pytest.raises(InputError) as caught:
        list(read_facts(path))
    assert str(caught.value) == f"{path}:1: {message}"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"answers": []}, "field 'answers': must hold at least one answer"),
        ({"answers": [None]}, "field 'answers[0]': must be text"),
        ({"mentions": -1}, "field 'mentions': must not be below 0"),
        ({"mention": 3}, "field 'mention': is not known: it must be called 'mentions'"),
        ({"group": 3}, "field 'group': must be text"),
    ],
)
def test_bad_probes_are_told_by_line_and_field(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    path = tmp_path / "probes.jsonl"
    write_probes([Probe("p", "Ada was born in", "Ada", "Birthplace", ("Rome",), "seen")], path)
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    with pytest.raises(InputError) as caught:
        list(read_probes(path))
    assert str(caught.value) == f"{path}:1: {message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"examples": [', ":1: is no whole JSON"),
        (b"\xff", ":1: is not UTF-8"),
        (b"[]", ": is no JSON object"),
        (b"{}", ": field 'examples': is missing"),
        (b'{"examples": {}}', ": field 'examples': must be a list"),
        (b'{"examples": [{}]}', ": field 'examples[0].text': is missing"),
        (b'{"examples": [{"annotated_text": 1}]}', ": field 'examples[0].annotated_text': must be text"),
        (b'{"examples": []}', ": holds no documents"),
    ],
)
def test_bad_paper_files_are_told_by_field(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(documents_from_paper(path))
    assert str(caught.value).startswith(f"{path}{message}")


@pytest.mark.parametrize("read", [read_documents, read_facts, read_probes, documents_from_paper])
@pytest.mark.parametrize("name", ["missing.jsonl", "missing.json", "missing.txt", "missing"])
def test_missing_files_are_told(tmp_path: Path, read: Callable[[Path], Iterator[object]], name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: no such file"):
        list(read(tmp_path / name))


def test_folders_and_unknown_kinds_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no documents"):
        list(read_documents(tmp_path))
    with pytest.raises(InputError, match="cannot be read"):
        list(read_facts(tmp_path))
    (tmp_path / "a.pdf").write_bytes(b"")
    with pytest.raises(InputError, match=r"must end in \.jsonl, \.parquet, \.json, \.txt or \.md"):
        list(read_documents(tmp_path / "a.pdf"))


def test_bad_corpora_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_corpus(tmp_path / "none")
    with pytest.raises(InputError, match=r"train\.jsonl: no such file"):
        load_corpus(tmp_path)
    save_corpus(Corpus([], {}, []), tmp_path)
    with pytest.raises(InputError, match=r"train\.jsonl: holds no documents"):
        load_corpus(tmp_path)
    with pytest.raises(InputError, match=r"the held-out group '\.\./x' must be named"):
        save_corpus(Corpus([DOCUMENT], {"../x": []}, []), tmp_path)
    save_corpus(Corpus([DOCUMENT], {}, []), tmp_path)
    (tmp_path / "probes.jsonl").unlink()
    assert load_corpus(tmp_path) == Corpus([DOCUMENT], {}, [])
