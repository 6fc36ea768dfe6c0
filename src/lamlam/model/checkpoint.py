"""A model with its vocabulary, in a plain Hugging Face folder, or an adapter's.

Weights are safetensors alone: no pickle is written or read, and no code that a folder brings along is run. What else a
run keeps in its folder stays untouched.
"""

import tempfile
from pathlib import Path
from typing import cast

import torch
from transformers import PreTrainedModel

from lamlam.errors import InputError, LamLamError
from lamlam.model.adapter import load_whole
from lamlam.model.folder import move_model
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
                move_model(Path(temporary), folder)
        except OSError as error:
            raise InputError(f"cannot be written ({error.strerror})", path=path) from error

    @classmethod
    def load(
        cls, path: str | Path, *, base: str | Path | None = None, device: str | torch.device = "cpu"
    ) -> "Checkpoint":
        """The checkpoint in a folder; an adapter is merged into its base, which is where it was, or at `base`.

        Raises `InputError` when the folder, its configuration, weights or tokenizer are missing or cannot be read,
        when the weights do not fill the model, when the tokenizer has no control tokens, and when an adapter's base is
        missing or another.
        """
        if not Path(path).is_dir():
            raise InputError("no such folder", path=path)
        vocabulary = Vocabulary.load(path)
        model = load_whole(path, base).to(torch.device(device))  # type: ignore[arg-type]
        try:
            return cls(model, vocabulary)
        except LamLamError as error:
            raise InputError(str(error), path=path) from error
