"""A causal model that was trained to annotate: its weights, its tokenizer, and the styles that it knows.

The folder is an adapter's (`lamlam.model.adapter`) or a whole model's, with `annotator.json` beside the weights.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field
from transformers import PreTrainedModel

from lamlam.checked import checked
from lamlam.corpus.lines import read_object
from lamlam.errors import InputError
from lamlam.files import atomic_write
from lamlam.model.adapter import load_whole
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.weights import weight_digests
from lamlam.vocab import Vocabulary

__all__ = ["CausalModel", "Manner", "Style"]

_FILE = "annotator.json"


class Style(BaseModel):
    """How a source annotates: from which probability on a call is made, measured on that source's calibration split.

    `likelihoods` are those of the calls made there, as percentiles from the lowest to the highest.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float = Field(default=0.5, ge=0, le=1)
    likelihoods: tuple[float, ...] = ()
    f1: float | None = Field(default=None, description="of places of values, on the calibration split")

    def floor(self, share: float) -> float:
        """Return the likelihood that a share of the calls, the least likely ones, falls short of."""
        return self.likelihoods[round(share * (len(self.likelihoods) - 1))] if self.likelihoods else 0.0


class Manner(BaseModel):
    """How a model must be asked, as it was taught: characters of a passage, the styles, and the default one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: int = Field(default=1600, ge=200)
    default: str
    styles: Mapping[str, Style]

    def style(self, name: str | None) -> tuple[str, Style]:
        """Return a style by its name, or the default. Raises `InputError` for one that the model doesn't know."""
        name = name or self.default
        if name not in self.styles:
            raise InputError(f"unknown style '{name}'; choose from {', '.join(self.styles)}", field="style")
        return name, self.styles[name]

    def save(self, folder: str | Path) -> None:
        with atomic_write(Path(folder) / _FILE) as file:
            json.dump(self.model_dump(), file, indent=1, ensure_ascii=False)

    @classmethod
    def remove(cls, folder: str | Path) -> None:
        """Remove a model's manner; it can't be opened after that."""
        (Path(folder) / _FILE).unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: str | Path) -> "Manner":
        """Load a model's manner. Raises `InputError` if it is missing or invalid."""
        entry = read_object(Path(folder) / _FILE)
        return checked(cls, entry.value, entry.path)


@dataclass(frozen=True, slots=True)
class CausalModel:
    """A model that is ready to use, its vocabulary and manner, and a digest of all that decides what it annotates."""

    model: PreTrainedModel
    vocabulary: Vocabulary
    manner: Manner
    digest: str

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        base: str | Path | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
    ) -> "CausalModel":
        """Open the model in a folder. An adapter's base model is the one that it names, or `base`.

        Raises `InputError` if a folder or a part of it is missing or can't be read.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise InputError("no such folder", path=path)
        manner, vocabulary = Manner.load(folder), Vocabulary.load(folder)
        model = load_whole(folder, base)
        known = json.dumps([manner.model_dump(), weight_digests(folder)])
        placed = model.to(torch.device(device), dtype)  # type: ignore[arg-type]
        return cls(placed.eval(), vocabulary, manner, hashlib.sha256(known.encode()).hexdigest()[:16])

    def save(self, path: str | Path) -> None:
        """Write the merged model into a folder that needs no other. Raises `InputError` if it can't be written."""
        Checkpoint(self.model, self.vocabulary).save(path)
        self.manner.save(path)
