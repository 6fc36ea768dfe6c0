"""Reads WebNLG: short texts by people, each with the triples that it states.

Where in a text a triple is stated is not said: that is left to `lamlam.annotate`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamlam.corpus.corpus import FactRecord
from lamlam.errors import InputError

__all__ = ["StatedDocument", "read_webnlg"]

_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class StatedDocument:
    """A text and the facts that it is known to state, without their places."""

    id: str
    text: str
    facts: tuple[FactRecord, ...]
    category: str = ""

    @property
    def subjects(self) -> set[str]:
        return {fact.entity for fact in self.facts}


def read_webnlg(path: str | Path) -> Iterator[StatedDocument]:
    """Yield the texts of a JSON Lines file of `{"category", "triples", "text"}`, as "<file's stem>-<line>".

    Relations become readable words: "cityServed" is read as "city served". The category may be missing.
    Raises `InputError` with the line and field for a file that cannot be read so.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _document(path, number, line)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error


def _document(path: Path, number: int, line: bytes) -> StatedDocument:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError("the line is not UTF-8", path=path, line=number) from error
    except json.JSONDecodeError as error:
        raise InputError(f"the line is not JSON: {error.msg}", path=path, line=number) from error
    if not isinstance(row, dict):
        raise InputError("the line is not a JSON object", path=path, line=number)
    text, category, triples = row.get("text"), row.get("category", ""), row.get("triples")
    if not isinstance(text, str) or not text.strip():
        raise InputError("a text is missing", path=path, line=number, field="text")
    if not isinstance(category, str):
        raise InputError("must be a string", path=path, line=number, field="category")
    if not isinstance(triples, list) or not all(_is_triple(triple) for triple in triples):
        raise InputError("must be a list of [entity, relation, value]", path=path, line=number, field="triples")
    facts = dict.fromkeys(FactRecord(_spaced(e), _readable(r), _spaced(v)) for e, r, v in triples)
    return StatedDocument(f"{path.stem}-{number}", text, tuple(facts), category)


def _is_triple(triple: Any) -> bool:
    return isinstance(triple, list) and len(triple) == 3 and all(isinstance(x, str) and x.strip() for x in triple)


def _spaced(name: str) -> str:
    return " ".join(name.replace("_", " ").split())


def _readable(relation: str) -> str:
    """Split camel case and lower its words; abbreviations such as ISBN keep their capitals."""
    words = _WORD_START.sub(" ", _spaced(relation)).split()
    return " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in words)
