"""Packing: whole documents side by side in rows of equal length, in a memory-mapped file.

A packed folder holds `ids.bin` and `kinds.bin`, both `[N, T]`, and `packed.json`, which is written last and completes
it. Labels and positions follow from the kinds, so they are not stored.

Shapes: N rows, T tokens a row (the context).
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from lamlam.errors import InputError, LamLamError
from lamlam.files import atomic_write
from lamlam.vocab import Encoded, Kind, labels

__all__ = ["PackedFile", "pack"]

_OPEN_ROWS = 64
_TEXT = (Kind.TEXT, Kind.OPEN)


class PackedFile(Dataset[dict[str, torch.Tensor]]):
    """Rows of a packed folder as training examples. Raises `InputError` if the folder is not one.

    With `boundaries`, positions restart with each document, which transformers takes as documents that don't attend to
    each other (`masking_utils.find_packed_sequence_indices`); without, a row is one text. Without `mask_values`, values
    carry loss like everything else.
    """

    def __init__(self, folder: str | Path, *, boundaries: bool = True, mask_values: bool = True) -> None:
        self.boundaries = boundaries
        path = Path(folder) / "packed.json"
        if not path.is_file():
            raise InputError("holds no packed file (packed.json is missing)", path=folder)
        self.mask_values = mask_values
        self.meta: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        shape = (self.meta["rows"], self.meta["context"])
        self.ids = np.memmap(Path(folder) / "ids.bin", np.dtype(self.meta["dtype"]), "r", shape=shape)
        self.kinds = np.memmap(Path(folder) / "kinds.bin", np.uint8, "r", shape=shape)

    def __len__(self) -> int:
        return int(self.meta["rows"])

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `labels`, and with boundaries `position_ids`, each [T], int64.

        If the file has tokens of the kind OPEN, also `open_calls` [T], bool, which marks them.
        """
        ids, kinds = self.ids[row].astype(np.int64), np.asarray(self.kinds[row])
        targets = labels(ids, kinds, self.mask_values)
        example = {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(targets)}
        if self.boundaries:
            example["position_ids"] = torch.from_numpy(_positions(kinds))
        if self.meta.get("open_calls"):
            example["open_calls"] = torch.from_numpy(kinds == Kind.OPEN)
        return example


def pack(
    documents: Iterable[Encoded], folder: str | Path, *, context: int, pad_id: int, tokens: int | None = None
) -> PackedFile:
    """Write documents into rows until `tokens` tokens (None: all) are placed.

    A document goes whole into the first open row with room, which leaves little padding; one longer than a row is cut,
    but never inside a call. Raises `LamLamError` if there is no document.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "packed.json").unlink(missing_ok=True)
    dtype, rows, placed, open_calls = np.dtype(np.uint32), 0, 0, False
    with (folder / "ids.bin").open("wb") as ids_file, (folder / "kinds.bin").open("wb") as kinds_file:
        for row in _rows(_limit(documents, tokens), context):
            padding = context - len(row.ids)
            placed += len(row.ids)
            open_calls |= Kind.OPEN in row.kinds
            row.add([pad_id] * padding, Kind.PAD)
            ids_file.write(np.asarray(row.ids, dtype).tobytes())
            kinds_file.write(np.asarray(row.kinds, np.uint8).tobytes())
            rows += 1
    if not rows:
        raise LamLamError("there is no document to pack")
    with atomic_write(folder / "packed.json") as out:
        meta = {"rows": rows, "context": context, "tokens": placed, "dtype": dtype.name, "open_calls": open_calls}
        json.dump(meta, out)
    return PackedFile(folder)


def _limit(documents: Iterable[Encoded], tokens: int | None) -> Iterator[Encoded]:
    total = 0
    for document in documents:
        yield document
        total += len(document.ids)
        if tokens is not None and total >= tokens:
            return


def _rows(documents: Iterable[Encoded], context: int) -> Iterator[Encoded]:
    """Place documents by first fit over a few open rows; the fullest is closed when a new one is needed."""
    rows: list[Encoded] = []
    for document in documents:
        for piece in _pieces(document, context):
            row = next((row for row in rows if len(row.ids) + len(piece.ids) <= context), None)
            if row is None:
                if len(rows) == _OPEN_ROWS:
                    yield rows.pop(max(range(len(rows)), key=lambda i: len(rows[i].ids)))
                rows.append(row := Encoded())
            row.ids.extend(piece.ids)
            row.kinds.extend(piece.kinds)
    yield from rows


def _pieces(document: Encoded, context: int) -> Iterator[Encoded]:
    """Yield the whole document, or pieces of at most `context` tokens, each beginning with the document's BOS."""
    ids, kinds = document.ids, document.kinds
    while len(ids) > context:
        cut = context
        # Between text tokens only: half a call would teach the model to start one without its entity.
        while cut > 1 and not (kinds[cut] in (*_TEXT, Kind.EOS) and kinds[cut - 1] in (*_TEXT, Kind.END)):
            cut -= 1
        cut = cut if cut > 1 else context
        yield Encoded(ids[:cut], kinds[:cut])
        ids, kinds = [document.ids[0], *ids[cut:]], [Kind.BOS, *kinds[cut:]]
    yield Encoded(list(ids), list(kinds))


def _positions(kinds: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the position of each token in its document (padding is one too): kinds [T] -> [T]."""
    index = np.arange(len(kinds))
    pads = kinds == Kind.PAD
    starts = (kinds == Kind.BOS) | (pads & ~np.concatenate([[False], pads[:-1]]))
    return index - np.maximum.accumulate(np.where(starts, index, 0))
