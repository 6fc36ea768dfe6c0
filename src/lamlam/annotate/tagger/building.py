"""Makes a tagger from gold documents: reads, trains, calibrates each manner, and keeps the result in a folder."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import torch

from lamlam import __version__
from lamlam.annotate.score import score
from lamlam.annotate.tagger.calibration import calibrate
from lamlam.annotate.tagger.decoding import Readiness
from lamlam.annotate.tagger.encoder import default_encoder, embed, load_encoder
from lamlam.annotate.tagger.examples import examples
from lamlam.annotate.tagger.folder import save_parts
from lamlam.annotate.tagger.gold import Collection, read_gold
from lamlam.annotate.tagger.inventory import Inventory
from lamlam.annotate.tagger.model import TaggerModel
from lamlam.annotate.tagger.parts import Manner, TaggerParts
from lamlam.annotate.tagger.settings import TaggerSettings
from lamlam.annotate.tagger.tagger import Tagger
from lamlam.annotate.tagger.training import Pass, Training
from lamlam.annotate.tagger.windows import Windows
from lamlam.errors import InputError
from lamlam.files import atomic_write

__all__ = ["RECORD", "build_tagger"]

RECORD = "training.json"
"""The file of a tagger's folder that says what it was trained on, how, and what it scores on the calibration split."""

_STATE = "state.pt"


def build_tagger(
    gold: Sequence[Path],
    folder: Path,
    settings: TaggerSettings,
    *,
    encoder: str | None = None,
    told: Callable[[int, int, float | None], None] = lambda done, total, score: None,
) -> dict[str, object]:
    """Train a tagger on files of gold and leave it in `folder`; the record of it.

    The first file's manner is the one to get right. Goes on where the same was cut off; `told` is `Training`'s.
    Raises `InputError` for gold or an encoder that cannot be used.
    """
    started = time.monotonic()
    collections = read_gold(gold)
    parts = _untrained(collections, settings, encoder or default_encoder())
    windows = Windows(parts.tokenizer, settings.window, settings.stride)
    train = [each for i, one in enumerate(collections) for each in examples(one.train, i, windows, parts.inventory)]
    folder.mkdir(parents=True, exist_ok=True)
    training = Training(parts, folder / _STATE, _key(collections, settings, encoder), told)
    passes = training.run(train, collections[0].calibration)
    parts = _calibrated(parts, collections)
    save_parts(parts, folder)
    record = _record(collections, parts, encoder, passes) | {"seconds": round(time.monotonic() - started, 1)}
    with atomic_write(folder / RECORD) as file:
        json.dump(record, file, ensure_ascii=False, indent=1)
    (folder / _STATE).unlink(missing_ok=True)
    return record


def _untrained(collections: Sequence[Collection], settings: TaggerSettings, path: str) -> TaggerParts:
    encoder, tokenizer = load_encoder(path)
    longest = getattr(encoder.config, "max_position_embeddings", settings.window)
    if settings.window > longest:
        raise InputError(f"the encoder reads {longest} tokens at most", field="window")
    inventory = Inventory.of(document for one in collections for document in one.train)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = TaggerModel(
            encoder,
            sources=len(collections),
            relations=len(inventory.names),
            width=settings.width,
            dropout=settings.dropout,
        )
    model.names.copy_(embed(inventory.names, encoder, tokenizer))
    return TaggerParts(
        model, tokenizer, inventory, settings, tuple(Manner(one.name, Readiness()) for one in collections)
    )


def _calibrated(parts: TaggerParts, collections: Sequence[Collection]) -> TaggerParts:
    """The parts with each manner as ready to see values as its collection's calibration split asks for."""
    manners = []
    for source, one in enumerate(collections):
        tagger = Tagger(parts, source=source)
        found = calibrate(tagger, one.calibration).readiness if one.calibration else Readiness()
        manners.append(Manner(one.name, found))
    return replace(parts, manners=tuple(manners))


def _key(collections: Sequence[Collection], settings: TaggerSettings, encoder: str | None) -> str:
    """What training that was cut off must have in common with one that goes on from it."""
    fixed = [settings.model_dump(mode="json"), [one.digest for one in collections], encoder, __version__]
    return hashlib.sha256(json.dumps(fixed).encode()).hexdigest()


def _record(
    collections: Sequence[Collection], parts: TaggerParts, encoder: str | None, passes: Sequence[Pass]
) -> dict[str, object]:
    scores = {}
    for source, one in enumerate(collections):
        if one.calibration:
            predicted = Tagger(parts, source=source).annotate_many(one.calibration)
            scores[one.name] = score(one.calibration, predicted).as_json()
    return {
        "gold": [
            {"name": one.name, "sha256": one.digest, "train": len(one.train), "calibration": len(one.calibration)}
            for one in collections
        ],
        "encoder": encoder or "MiniLM-L6",
        "settings": parts.settings.model_dump(mode="json"),
        "versions": {"lamlam": __version__} | {name: version(name) for name in ("torch", "transformers")},
        "relations": len(parts.inventory.names),
        "passes": [asdict(each) for each in passes],
        "manners": [asdict(each) for each in parts.manners],
        "calibration": scores,
    }
