"""A model with its vocabulary, in a plain Hugging Face folder.

Weights are safetensors alone: no pickle is written or read, and no code that a folder brings along is run. What else a
run keeps in its folder stays untouched.
"""

import os
import tempfile
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel

from lamlam.errors import InputError, LamLamError
from lamlam.vocab import Vocabulary

__all__ = ["Checkpoint", "load_model"]


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
        model = load_model(Path(path)).to(torch.device(device))  # type: ignore[arg-type]
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


def load_model(path: Path) -> PreTrainedModel:
    """The causal model in a folder, whatever its tokenizer. Raises `InputError` when it is missing or does not fit."""
    if not (path / "config.json").is_file():
        raise InputError("the folder holds no config.json", path=path)
    if not any(path.glob("model*.safetensors")):
        raise InputError("the folder holds no weights (model.safetensors)", path=path)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            path, local_files_only=True, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"the model cannot be read ({reason})", path=path) from error
    model, report = loaded
    if report["missing_keys"] or report["mismatched_keys"]:
        raise InputError("the weights do not fit the model of config.json", path=path)
    return model
