"""The title that a text bears."""

from pathlib import Path

import pytest

from lamlam.corpus.files import read_documents, write_documents
from lamlam.text import title_of


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Pope_Paul_VI: He reminded", "Pope Paul VI"),
        ("Bras%C3%ADlia: The metro", "Brasília"),
        ("Ralph Earl\n\nRalph Earl (May 11, 1751)", "Ralph Earl"),
        ("# Ralph Earl\n\nHe was", "Ralph Earl"),
        ("He was a painter.\n\nHe died", ""),
        ("He said: go", ""),
        ("A line\nand the next\n\nend", ""),
        ("", ""),
    ],
)
def test_a_title_is_a_word_before_a_colon_or_a_line_by_itself(text: str, title: str) -> None:
    assert title_of(text) == title


def test_a_document_keeps_its_title_in_files(tmp_path: Path) -> None:
    paper = tmp_path / "paper.json"
    paper.write_text(
        '{"examples": [{"annotated_text": "Ada sang.", "text": "Ada_Roe: Ada sang."}, {"text": "Bob\\n\\nHe"}]}'
    )
    documents = list(read_documents(paper))
    assert [document.title for document in documents] == ["Ada Roe", "Bob"]
    write_documents(documents, tmp_path / "out.jsonl")
    assert list(read_documents(tmp_path / "out.jsonl")) == documents
