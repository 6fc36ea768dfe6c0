"""`lamlam annotate IN --with chat`, against a real server on loopback."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fakes_chat import ChatServer, chatting
from lamlam.corpus.files import read_documents
from lamlam.errors import LamLamError
from lamlam.kb import KnowledgeBase
from test_chat import DOCUMENTS, expected, listed


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "plain.jsonl"
    rows = ({"id": document.id, "text": document.text} for document in DOCUMENTS)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def annotate(source: Path, server: ChatServer | None, *more: str, model: str = "m") -> Result:
    from lamlam.cli.app import app

    reached = ["--server", server.url] if server else []
    out = str(source.parent / "out.jsonl")
    words = ["annotate", str(source), "--with", "chat", "--model", model, "--out", out, *reached, *more]
    return CliRunner().invoke(app, words)


def test_documents_are_annotated_and_their_facts_kept(source: Path, tmp_path: Path) -> None:
    with chatting(lambda text: "No.\x1b \n [31m" if "Oss" in text else listed(text)) as server:
        ran = annotate(source, server, "--kb", str(tmp_path / "kb.sqlite"), "--set", "concurrency=2")
    assert ran.exit_code == 0, ran.output
    found = list(read_documents(tmp_path / "out.jsonl"))
    assert found == [document if document.id == "Oss" else expected(document) for document in DOCUMENTS]
    assert "refused documents" in ran.output
    assert "refused: Oss: No. [31m" in ran.stderr
    with KnowledgeBase.open(tmp_path / "kb.sqlite") as kb:
        assert len(kb.lookup("Ada Roe", "Birth Place").facts) == len(DOCUMENTS) - 1


def test_a_run_made_anew_makes_no_request(source: Path, tmp_path: Path) -> None:
    with chatting(listed) as server:
        assert annotate(source, server).exit_code == 0
        before = (tmp_path / "out.jsonl").read_bytes()
        assert annotate(source, server, "--anew").exit_code == 0
    assert server.requests == len(DOCUMENTS)
    assert annotate(source, None, "--anew").exit_code == 0
    assert (tmp_path / "out.jsonl").read_bytes() == before
    assert (tmp_path / "out.jsonl.answers.sqlite").exists()


def test_a_run_that_failed_goes_on_and_pays_nothing_twice(source: Path, tmp_path: Path) -> None:
    with chatting(lambda text: 503 if "Quill" in text else listed(text)) as server:
        ran = annotate(source, server, "--set", "retries=0", "--cache", str(tmp_path / "answers"))
        assert isinstance(ran.exception, LamLamError)
        assert not (tmp_path / "out.jsonl").exists()
        server.answers = listed
        assert annotate(source, server, "--cache", str(tmp_path / "answers")).exit_code == 0
    assert [*read_documents(tmp_path / "out.jsonl")] == [expected(document) for document in DOCUMENTS]
    assert server.requests == len(DOCUMENTS) + 1


def test_a_dry_run_asks_nothing_and_leaves_nothing(source: Path, tmp_path: Path) -> None:
    ran = annotate(source, None, "--dry-run", "--price-in", "2.5", "--price-out", "10")
    assert ran.exit_code == 0, ran.output
    told = {cells[1].strip(): cells[2].strip() for line in ran.output.splitlines() if len(cells := line.split("│")) > 3}
    assert told["requests to send"] == "12"
    assert float(told["price"]) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["plain.jsonl"]


def test_the_key_is_taken_from_the_environment_and_stands_nowhere(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with chatting(listed, key="sk-right") as server:
        monkeypatch.setenv("LAMLAM_API_KEY", "sk-wrong")
        refused = annotate(source, server)
        assert isinstance(refused.exception, LamLamError)
        assert "sk-wrong" not in str(refused.exception)
        monkeypatch.setenv("LAMLAM_API_KEY", "sk-right")
        ran = annotate(source, server)
    assert ran.exit_code == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 3
    assert not any(b"sk-right" in path.read_bytes() for path in files)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--set", "windw=3"], "windw"),
        (["--set", "window=3"], "window"),
        (["--set", "concurrency=0"], "concurrency"),
        (["--set", "temperature"], "KEY=VALUE"),
        (["--facts", "facts.jsonl"], "takes no --facts"),
        (["--server", "nowhere"], "http"),
        (["--dry-run", "--price-in", "1"], "--price-out"),
        (["--price-out", "1"], "--dry-run"),
        ([], "no server"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(source: Path, words: list[str], told: str) -> None:
    ran = annotate(source, None, *words)
    assert isinstance(ran.exception, LamLamError)
    assert told in str(ran.exception)
    assert not (source.parent / "out.jsonl").exists()


@pytest.mark.parametrize("words", [["--with", "align", "--dry-run"], ["--with", "chat"], ["--with", "causal"]])
def test_what_an_annotator_needs_is_told(source: Path, words: list[str]) -> None:
    from lamlam.cli.app import app

    out = ["--out", str(source.parent / "out.jsonl")]
    ran: Any = CliRunner().invoke(app, ["annotate", str(source), *words, *out])
    assert isinstance(ran.exception, LamLamError)
