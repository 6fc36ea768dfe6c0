"""The texts in which facts were read, found by a document's id without being held in memory."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lamlam.errors import InputError

__all__ = ["Documents"]


class Documents:
    """Documents of JSON Lines with `id` and `text`: one file, or all `.jsonl` files of a folder; without a place none.

    Only where each document stands is kept. Raises `InputError` when the place is not there, or a line is not JSON.
    """

    def __init__(self, place: Path | None) -> None:
        if place is not None and not place.exists():
            raise InputError("no such file or folder of documents", path=place)
        files = [] if place is None else sorted(place.glob("*.jsonl")) if place.is_dir() else [place]
        self._places: dict[str, tuple[Path, int] | None] = {}
        for file in files:
            for name, at in _places(file):  # an ambiguous id maps to None
                self._places[name] = None if name in self._places else (file, at)

    def __len__(self) -> int:
        return len(self._places)

    def text(self, document: str) -> str | None:
        """The text of a document; None if none or several have this id, or its file has changed."""
        place = self._places.get(document)
        if place is None:
            return None
        file, at = place
        try:
            with file.open("rb") as lines:
                lines.seek(at)
                found = _document(json.loads(lines.readline()))
        except (OSError, ValueError):
            return None
        return found[1] if found is not None and found[0] == document else None


def _places(file: Path) -> Iterator[tuple[str, int]]:
    """Yield ids and byte offsets of a file's documents, skipping other lines, such as facts and probes."""
    at = 0
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                found = _document(json.loads(line)) if line.strip() else None
            except ValueError as error:
                raise InputError("is not JSON", path=file, line=number) from error
            if found is not None:
                yield found[0], at
            at += len(line)


def _document(said: Any) -> tuple[str, str] | None:
    """The id and the text of a document; None for anything else."""
    if isinstance(said, dict) and isinstance(said.get("id"), str) and isinstance(said.get("text"), str):
        return said["id"], said["text"]
    return None
