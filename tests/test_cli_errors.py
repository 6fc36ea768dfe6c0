"""Bad input at the command line: one clear sentence, exit code 2, nothing half-written."""

import errno
import json
import os
import sys
from pathlib import Path

import pytest

from lamlam.kb import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint

FACT = json.dumps({"entity": "Ada", "relation": "Birth Place", "value": "London"})
DOCUMENT = json.dumps({"id": "d", "text": "Ada was born in London.", "calls": []})
RECIPE = "name: x\ncorpora: [{kind: folder, path: PATH}]\n"


@pytest.fixture
def lamlam(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Run `lamlam ARGUMENTS`; returns exit code and standard error."""
    from lamlam.cli import main

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["lamlam", *map(str, arguments)])
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as exit_:
            main()
        return int(exit_.value.code or 0), capsys.readouterr().err

    return run


def told(outcome: tuple[int, str], *words: str) -> None:
    """The fault was told in one sentence with these words, and exit code 2."""
    code, message = outcome[0], outcome[1].strip()  # a progress bar that ends leaves an empty line
    assert code == 2
    assert message.startswith("lamlam: ")
    assert "\n" not in message
    assert "Traceback" not in message
    for word in words:
        assert word in message


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"id": "d", "text": "caf\xe9"}\n', ["documents.jsonl", "UTF-8"]),
        (DOCUMENT.encode() + b"\n" + DOCUMENT.encode()[:20] + b"\n", ["documents.jsonl:2", "JSON"]),
        (b'{"id": "d", "text": 3}\n', ["documents.jsonl:1", "'text'"]),
        (b"", ["documents.jsonl", "no documents"]),
    ],
)
def test_documents_that_cannot_be_read(lamlam, tmp_path, content, words):
    (tmp_path / "documents.jsonl").write_bytes(content)
    (tmp_path / "facts.jsonl").write_text(FACT + "\n", encoding="utf-8")
    before = written(tmp_path)
    told(
        lamlam("annotate", "documents.jsonl", "--with", "align", "--facts", "facts.jsonl", "--out", "out.jsonl"), *words
    )
    assert written(tmp_path) == before


def test_an_unknown_recipe_key(lamlam, tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE + "trainin: {tokens: 3}\n", encoding="utf-8")
    told(lamlam("pretrain", "recipe.yaml"), "recipe.yaml", "'trainin'", "unknown setting")
    assert written(tmp_path) == {"recipe.yaml"}


def test_an_empty_corpus(lamlam, tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name in ("train", "heldout-seen", "facts", "probes"):
        (corpus / f"{name}.jsonl").touch()
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("PATH", "corpus"), encoding="utf-8")
    told(lamlam("pretrain", "recipe.yaml"), "no ")
    assert not {name for name in written(tmp_path) if name.endswith((".safetensors", ".sqlite", ".bin"))}


@pytest.mark.parametrize("content", [None, b"this is no knowledge base" * 100, b"SQLite format 3\x00" + b"\x00" * 4000])
def test_a_missing_or_corrupt_knowledge_base(lamlam, trained_run, tmp_path, content):
    if content is not None:
        (tmp_path / "facts.sqlite").write_bytes(content)
    told(lamlam("generate", trained_run, "Ada was born in", "--kb", "facts.sqlite"), "facts.sqlite")
    told(lamlam("kb", "lookup", "facts.sqlite", "Ada", "Birth Place"), "facts.sqlite")
    if content is not None:
        assert (tmp_path / "facts.sqlite").read_bytes() == content


def test_a_checkpoint_without_control_tokens(lamlam, trained_run, tmp_path):
    checkpoint = Checkpoint.load(trained_run)
    plain = tmp_path / "plain"
    checkpoint.save(plain)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (plain / name).read_text(encoding="utf-8").replace("<|db_", "<|other_")
        (plain / name).write_text(text, encoding="utf-8")
    with KnowledgeBase.open(tmp_path / "facts.sqlite", create=True) as kb:
        kb.add([("Ada", "Birth Place", "London")])
    told(lamlam("generate", plain, "Ada was born in", "--kb", "facts.sqlite"), "plain", "control tokens")


def test_a_prompt_longer_than_the_context(lamlam, trained_run):
    told(lamlam("generate", trained_run, "Ada was born in " * 400), "context")


def test_a_run_that_is_not_there(lamlam):
    told(lamlam("generate", "runs/none", "Ada"), "runs/none")
    told(lamlam("evaluate", "runs/none"), "runs/none")


def test_a_usage_error_has_exit_code_2_too(lamlam):
    code, message = lamlam("pretrain")
    assert code == 2
    assert "recipe" in message.lower()


@pytest.fixture
def facts(tmp_path):
    (tmp_path / "facts.jsonl").write_text(FACT + "\n", encoding="utf-8")
    with KnowledgeBase.open(tmp_path / "facts.sqlite", create=True) as kb:
        kb.add([("Ada", "Birth Place", "London")])
    return tmp_path


def test_a_file_system_that_is_read_only(lamlam, facts, monkeypatch):
    before = written(facts)
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK and access(path, mode))
    told(lamlam("kb", "import", "new.sqlite", "facts.jsonl"), "new.sqlite", "read-only")
    told(lamlam("kb", "import", "facts.sqlite", "facts.jsonl"), "facts.sqlite", "read-only")
    told(lamlam("kb", "copy", "facts.sqlite", "new.sqlite"), "new.sqlite", "read-only")
    told(lamlam("kb", "forget", "facts.sqlite", "--entity", "Ada", "--yes"), "facts.sqlite", "read-only")
    assert written(facts) == before


@pytest.mark.parametrize("fault", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_what_the_system_refuses(lamlam, tmp_path, monkeypatch, fault):
    def refuse(path, *_, **__):
        raise OSError(fault, os.strerror(fault), str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    told(lamlam("world", "--people", "20", "--out", tmp_path / "world"), "world", os.strerror(fault))


def test_the_knowledge_base_is_not_written_over(lamlam, facts):
    (facts / "link.sqlite").symlink_to("facts.sqlite")
    before = (facts / "facts.sqlite").read_bytes()
    for format in ("jsonl", "csv", "json", "parquet"):
        for out in ("facts.sqlite", facts / "facts.sqlite", "link.sqlite", "facts.sqlite-wal", "facts.sqlite-journal"):
            told(lamlam("kb", "export", "facts.sqlite", out, "--format", format), str(out), "knowledge base itself")
    told(lamlam("world", "--out", "facts.sqlite"), "facts.sqlite")
    forget = ("kb", "forget", "facts.sqlite", "--entity", "Ada", "--yes", "--certificate")
    told(lamlam(*forget, "facts.sqlite"), "facts.sqlite", "database, which is not written over")
    told(lamlam(*forget, facts / "facts.jsonl" / "c.json"), "cannot be written")
    assert (facts / "facts.sqlite").read_bytes()[100:] == before[100:]
    with KnowledgeBase.open(facts / "facts.sqlite") as kb:
        assert kb.lookup("Ada", "Birth Place").found, "nothing is erased whose certificate cannot be written"
