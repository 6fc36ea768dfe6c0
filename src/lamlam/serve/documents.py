"""The texts in which facts were read, found by a document's id without being held in memory."""

import json
from pathlib import Path

from lamlam.errors import InputError

__all__ = ["Documents"]


class Documents:
    """Documents of JSON Lines with `id` and `text`: one file, or all `.jsonl` files of a folder; without a place none.

    Only where each document stands is kept. Raises `InputError` when the place is not there.
    """

    def __init__(self, place: Path | None) -> None:
        if place is not None and not place.exists():
            raise InputError("no such file or folder of documents", path=place)
        files = [] if place is None else sorted(place.glob("*.jsonl")) if place.is_dir() else [place]
        self._places = {name: (file, at) for file in files for name, at in _places(file)}

    def __len__(self) -> int:
        return len(self._places)

    def text(self, document: str) -> str | None:
        """The text of a document; None where there is none of this id."""
        if document not in self._places:
            return None
        file, at = self._places[document]
        with file.open("rb") as lines:
            lines.seek(at)
            return str(json.loads(lines.readline())["text"])


def _places(file: Path) -> "list[tuple[str, int]]":
    """Ids and byte offsets of a file's documents; lines that are none, as facts and probes, are left out."""
    found, at = [], 0
    with file.open("rb") as lines:
        for line in lines:
            said = json.loads(line)
            if isinstance(said, dict) and isinstance(said.get("id"), str) and isinstance(said.get("text"), str):
                found.append((said["id"], at))
            at += len(line)
    return found
