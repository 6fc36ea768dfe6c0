"""A pretrained model without its tokenizer, and what tells one model's weights from another's."""

import hashlib
import os
from pathlib import Path
from struct import error as StructError
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, GgufConfig, PreTrainedModel

from lamlam.errors import InputError
from lamlam.files import file_digest
from lamlam.pretrained import is_hub_name, located, reason_of

__all__ = ["holds_weights", "load_model", "model_digest", "move_model", "weight_digests"]

_WHOLE, _ADAPTER = (
    ("config.json", "model*.safetensors*"),
    ("adapter_config.json", "adapter_model.safetensors", "base.json"),
)


def load_model(source: str | Path) -> PreTrainedModel:
    """The causal language model in a folder or a GGUF file, or of a name on the hub.

    Of a folder and of the hub only safetensors are read, and no code that either brings along is run. Raises
    `InputError` when configuration or weights are missing, cannot be read, or do not fit.
    """
    path, arguments = Path(source), located(source)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise InputError("the folder holds no config.json", path=path)
        if not any(path.glob("model*.safetensors")):
            raise InputError("the folder holds no weights (model.safetensors)", path=path)
    if "gguf_file" in arguments:  # its blocks become plain weights: others are neither trained nor saved
        arguments |= {"dtype": torch.float32, "quantization_config": GgufConfig(dequantize=True)}
    else:
        arguments["use_safetensors"] = True
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            **arguments, trust_remote_code=False, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, IndexError, SafetensorError, StructError) as error:
        if is_hub_name(source):
            told = "no such folder, and the hub cannot be reached or has no model of this name in safetensors"
            raise InputError(told, path=source) from error
        raise InputError(f"the model cannot be read ({reason_of(error)})", path=source) from error
    model, report = loaded
    if report["missing_keys"] or report["mismatched_keys"]:
        raise InputError("the weights do not fit the model of config.json", path=source)
    return model


def weight_digests(folder: str | Path) -> list[str]:
    """The digest of each file in a folder that fixes the weights, an adapter's base included."""
    names = ("model*.safetensors", *_ADAPTER)
    return [file_digest(path) for name in names for path in sorted(Path(folder).glob(name))]


def holds_weights(folder: str | Path) -> bool:
    """Whether a model or an adapter has been left in a folder; a run that is training has neither yet."""
    return any(all(any(Path(folder).glob(name)) for name in names) for names in (_WHOLE, _ADAPTER))


def move_model(source: Path, target: Path) -> None:
    """Move a model's files, or an adapter's, weights last; what was saved before and would be read too is removed."""
    names = sorted((file.name for file in source.iterdir()), key=lambda name: (name.endswith(".safetensors"), name))
    for stale in (path for name in (*_WHOLE, *_ADAPTER) for path in target.glob(name)):
        if stale.name not in names:
            stale.unlink()
    for name in names:
        os.replace(source / name, target / name)


def model_digest(model: PreTrainedModel) -> str:
    """The SHA-256 of all weights as float32, by name: the same for whatever file, or precision, they were kept in.

    Precisions that hold the same numbers, that is: bfloat16 and the float32 made of it, not a model and its quantised
    form.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(model.named_parameters(remove_duplicate=True)):
        digest.update(f"{name} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().float().cpu().contiguous().numpy())
    return digest.hexdigest()
