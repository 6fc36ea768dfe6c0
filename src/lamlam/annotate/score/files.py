"""Scores a file of annotated documents against a gold file and writes the figures down."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lamlam import __version__
from lamlam.annotate.gold import Split, gold_split
from lamlam.annotate.score.score import Score, ScoreSettings, score
from lamlam.corpus.files import read_documents
from lamlam.errors import InputError
from lamlam.files import atomic_write, file_digest

__all__ = ["score_files"]


def score_files(
    gold: Path, predicted: Path, *, split: Split | None = Split.TEST, settings: ScoreSettings, out: Path | None = None
) -> Score:
    """The score of a file's documents, of one split of the gold or of all; also written to `out`, as JSON.

    Predictions for documents of other splits are passed over. Raises `InputError` for a file that cannot be read or a
    gold without a document of the split.
    """
    every = list(read_documents(gold))
    wanted = [document for document in every if split is None or gold_split(document) is split]
    if not wanted:
        raise InputError(f"holds no document of the split '{split}'", path=gold)
    others = {document.id for document in every} - {document.id for document in wanted}
    found = score(wanted, (each for each in read_documents(predicted) if each.id not in others), settings)
    if out is not None:
        with atomic_write(out) as file:
            json.dump(_report(found, gold, predicted, split), file, ensure_ascii=False, indent=1)
            file.write("\n")
    return found


def _report(found: Score, gold: Path, predicted: Path, split: Split | None) -> dict[str, Any]:
    files = {"gold": gold, "predicted": predicted}
    return {
        "split": split.value if split else "all",
        **found.as_json(),
        "files": {name: {"name": path.name, "sha256": file_digest(path)} for name, path in files.items()},
        "version": __version__,
        "settings": asdict(found.settings),
    }
