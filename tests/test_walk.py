"""The walk of docs/annotating.md does what it says, from an empty folder on."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "annotating.md").read_text(encoding="utf-8")
SHELL = f"""
set -e
lamlam() {{ '{sys.executable}' -c 'from lamlam.cli import main; main()' "$@"; }}
"""


@pytest.fixture
def environment() -> dict[str, str]:
    source = Path(__file__).resolve().parents[1] / "src"
    return {**os.environ, "PYTHONPATH": str(source), "COLUMNS": "100"}


def test_every_command_of_the_walk_does_what_is_said(tmp_path: Path, environment: dict[str, str]) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 8
    for block in blocks:
        ran = subprocess.run(
            ["bash", "-c", SHELL + block], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        told = " ".join((ran.stdout + ran.stderr).replace("│", " ").split())
        assert ran.returncode == 0, (block, told)
        for said in re.findall(r"# says: (.*)", block):
            for words in said.split(", "):
                assert words in told, (words, told)


def test_the_places_of_the_walk_are_those_of_the_texts(tmp_path: Path, environment: dict[str, str]) -> None:
    from lamlam.kb import KnowledgeBase

    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    for block in blocks[:3]:
        subprocess.run(["bash", "-c", SHELL + block], cwd=tmp_path, env=environment, check=True, capture_output=True)
    stated = []
    with KnowledgeBase.open(tmp_path / "notes.sqlite") as kb:
        for fact in kb.facts():
            for source in fact.sources:
                text = (tmp_path / "notes" / str(source.document)).read_text(encoding="utf-8")
                stated.append(text[source.start : source.end])
    assert sorted(stated) == ["10 December 1815", "London", "London", "Lord Byron"]
