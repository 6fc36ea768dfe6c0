"""Annotating files of documents, from Python and from the command line."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lamlam.annotate.align import Reason
from lamlam.annotate.file import annotate_file
from lamlam.corpus.files import read_documents
from lamlam.errors import InputError, LamLamError
from lamlam.kb import KnowledgeBase
from places import Place

FACTS = [
    {"entity": "Ada Roe", "relation": "birth place", "value": "Rome"},
    {"entity": "Ada Roe", "relation": "employer", "value": "Zork Ltd."},
    {"entity": "Bob Poe", "relation": "birth place", "value": "Oslo"},
]


def lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    return lines(tmp_path / "facts.jsonl", FACTS)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    texts = {"a": "Ada Roe was born in Rome.", "b": "In Oslo lives Bob Poe.", "c": "Nobody was born in Rome."}
    return lines(tmp_path / "plain.jsonl", [{"id": id, "text": text} for id, text in texts.items()])


@pytest.fixture
def stated(tmp_path: Path) -> Path:
    rows = [{"text": "Ada Roe lives in Rome.", "triples": [["Ada_Roe", "livesIn", "Rome"], ["Ada_Roe", "age", "70"]]}]
    return lines(tmp_path / "stated.jsonl", rows)


def test_plain_documents_are_tried_with_the_facts_of_what_they_name(tmp_path: Path, plain: Path, facts: Path) -> None:
    out = tmp_path / "out.jsonl"
    tally = annotate_file(plain, out, facts=facts)
    calls = {
        document.id: [(call.entity, call.value, call.at) for call in document.calls] for document in read_documents(out)
    }
    assert calls == {"a": [("Ada Roe", "Rome", 20)], "b": [], "c": []}
    assert (tally.documents, tally.placed, tally.knowledge_base) == (3, 1, None)
    assert tally.unplaced == {Reason.VALUE_NOT_FOUND: 1, Reason.BEFORE_ENTITY: 1}


def test_texts_with_triples_need_no_facts(tmp_path: Path, stated: Path) -> None:
    annotate_file(stated, tmp_path / "out.jsonl")
    (document,) = read_documents(tmp_path / "out.jsonl")
    assert [(call.entity, call.relation) for call in document.calls] == [("Ada Roe", "lives in")]


def test_the_knowledge_base_gets_every_fact_and_the_place_of_those_found(tmp_path: Path, stated: Path) -> None:
    tally = annotate_file(stated, tmp_path / "out.jsonl", knowledge_base=tmp_path / "kb.sqlite")
    assert tally.knowledge_base is not None
    assert tally.knowledge_base.added == 2
    with KnowledgeBase.open(tmp_path / "kb.sqlite") as kb:
        (place,) = kb.lookup("Ada Roe", "lives in").facts[0].sources
        assert (place.document, place.start, place.end) == ("stated-1", 17, 21)
        assert kb.lookup("Ada Roe", "age").facts[0].sources == ()


def test_plain_documents_without_facts_are_refused(tmp_path: Path, plain: Path) -> None:
    with pytest.raises(InputError, match="file of facts"):
        annotate_file(plain, tmp_path / "out.jsonl")


@pytest.mark.parametrize("bad", ['{"id": "d", "text": "Ada', '{"id": "d"}', '{"id": 1, "text": "t"}'])
def test_nothing_half_written_is_left(tmp_path: Path, plain: Path, facts: Path, bad: str) -> None:
    plain.write_text(plain.read_text() + bad + "\n")
    out, kb = tmp_path / "out.jsonl", tmp_path / "kb.sqlite"
    with pytest.raises(InputError) as caught:
        annotate_file(plain, out, facts=facts, knowledge_base=kb)
    assert caught.value.line == 4
    assert {path.name for path in tmp_path.iterdir()} == {"plain.jsonl", "facts.jsonl"}


def test_the_knowledge_base_may_be_on_a_server(place: Place, tmp_path: Path, stated: Path) -> None:
    for added in (2, 0):
        tally = annotate_file(stated, tmp_path / "out.jsonl", knowledge_base=place.address)
        assert tally.knowledge_base is not None
        assert tally.knowledge_base.added == added
    with pytest.raises(LamLamError, match="cannot be opened"):
        annotate_file(stated, tmp_path / "second.jsonl", knowledge_base="postgresql://127.0.0.1:1/facts")
    assert not (tmp_path / "second.jsonl").exists()


def test_a_file_that_is_no_knowledge_base_is_told_before_anything_is_written(tmp_path: Path, stated: Path) -> None:
    kb = tmp_path / "kb.sqlite"
    kb.write_text("no knowledge base, but a text that is long enough to look like a file of some kind")
    with pytest.raises(InputError, match=r"kb\.sqlite"):
        annotate_file(stated, tmp_path / "out.jsonl", knowledge_base=kb)
    assert not (tmp_path / "out.jsonl").exists()


@pytest.fixture
def app() -> typer.Typer:
    from lamlam.cli.annotate import register

    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return app


def test_the_command_prints_counts_and_reasons(app: typer.Typer, tmp_path: Path, plain: Path, facts: Path) -> None:
    arguments = ["annotate", plain, "--with", "align", "--facts", facts, "--out", tmp_path / "o.jsonl"]
    result = CliRunner().invoke(app, [*map(str, arguments), "--kb", str(tmp_path / "kb.sqlite")])
    assert result.exit_code == 0, result.output
    told = " ".join(result.output.split())
    for part in ("facts tried", "placed", "value not found", "before entity", "new in the knowledge base"):
        assert part in told
    assert len(list(read_documents(tmp_path / "o.jsonl"))) == 3


def test_an_unknown_annotator_is_refused(app: typer.Typer, tmp_path: Path, plain: Path) -> None:
    result = CliRunner().invoke(app, ["annotate", str(plain), "--with", "oracle", "--out", str(tmp_path / "o.jsonl")])
    assert result.exit_code == 2
    assert "oracle" in result.output
    assert "align" in result.output
