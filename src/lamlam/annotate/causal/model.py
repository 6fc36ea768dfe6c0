"""A fine-tuned causal model with the words it is asked by: an adapter on a base model, or a merged model.

Weights are safetensors alone, and no code that a folder brings along is run.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from lamlam.annotate.causal.template import Template
from lamlam.errors import InputError
from lamlam.model.folder import is_adapter
from lamlam.model.lora import base_of, merged
from lamlam.model.weights import load_model
from lamlam.vocab.fast import fast_tokenizer

__all__ = ["CausalModel"]

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class CausalModel:
    """A model that can be asked, its tokenizer and template, and a digest of its weights."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    template: Template
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
        """The model in a folder. An adapter's base model is the one that it names, or `base`.

        Raises `InputError` when a folder or a part of it is missing or cannot be read.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise InputError("no such folder", path=path)
        template, tokenizer = Template.load(folder), fast_tokenizer(folder)
        folders = [folder]
        if is_adapter(folder):
            folders.append(Path(base) if base is not None else Path(base_of(folder)))
            model = merged(load_model(folders[-1]), folder)
        else:
            model = load_model(folder)
        placed = model.to(torch.device(device), dtype)  # type: ignore[arg-type]
        return cls(placed.eval(), tokenizer, template, _digest(folders))

    def save(self, path: str | Path) -> None:
        """Write the model, merged, into a folder that stands by itself. Raises `InputError` where it cannot."""
        try:
            self.model.save_pretrained(str(path))
            self.tokenizer.save_pretrained(str(path))
        except OSError as error:
            raise InputError(f"cannot be written ({error.strerror})", path=path) from error
        self.template.save(path)


def _digest(folders: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for chunk in (chunk for folder in folders for chunk in _contents(folder)):
        digest.update(chunk)
    return digest.hexdigest()[:16]


def _contents(folder: Path) -> Iterator[bytes]:
    for path in (*sorted(folder.glob("*.safetensors")), *sorted(folder.glob("annotator.json"))):
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
