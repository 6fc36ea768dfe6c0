"""A model with its vocabulary, in a plain Hugging Face folder.

Weights are safetensors alone: no pickle is written or read, and no code that a folder brings along is run. What else a
run keeps in its folder stays untouched.
"""

import os
import tempfile
from pathlib import Path
from typing import cast

import torch
from transformers import PreTrainedModel

from lamlam.errors import InputError, LamLamError
from lamlam.model.weights import load_model
from lamlam.vocab import Vocabulary

__all__ = ["Checkpoint"]


class Checkpoint:
    """A causal language model and its vocabulary.

    Raises `LamLamError` when the model has fewer token embeddings than the vocabulary has tokens.
    """

    def __init__(self, model: PreTrainedModel, vocabulary: Vocabulary) -> None:
        embeddings = cast(torch.nn.Embedding, model.get_input_embeddings()).num_embeddings
        if embeddings < len(vocabulary):
            raise LamLamError(
                f"the model has {embeddings} token embeddings and the vocabulary {len(vocabulary)} tokens"
            )
        self.model, self.vocabulary = model, vocabulary

    def save(self, path: str | Path) -> None:
        """Write the folder, or the model's files in a folder that exists; each appears by rename, the weights last.

        Raises `InputError` when the place cannot be written.
        """
        folder = Path(path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as temporary:
                self.model.save_pretrained(temporary)
                self.vocabulary.save(temporary)
                _move_files(Path(temporary), folder)
        except OSError as error:
            raise InputError(f"cannot be written ({error.strerror})", path=path) from error

    @classmethod
    def load(cls, path: str | Path, *, device: str | torch.device = "cpu") -> "Checkpoint":
        """The checkpoint in a folder.

        Raises `InputError` when the folder, its configuration, weights or tokenizer are missing or cannot be read,
        when the weights do not fill the model, and when the tokenizer has no control tokens.
        """
        vocabulary = Vocabulary.load(path)
        model = load_model(path).to(torch.device(device))  # type: ignore[arg-type]
        try:
            return cls(model, vocabulary)
        except LamLamError as error:
            raise InputError(str(error), path=path) from error


def _move_files(source: Path, target: Path) -> None:
    """Move files, weights last; weights of an earlier save that would be read in their place are removed."""
    names = sorted((file.name for file in source.iterdir()), key=lambda name: (name.startswith("model"), name))
    for stale in target.glob("model*.safetensors*"):
        if stale.name not in names:
            stale.unlink()
    for name in names:
        os.replace(source / name, target / name)
