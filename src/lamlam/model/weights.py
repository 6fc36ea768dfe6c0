"""A pretrained model without its tokenizer, and what tells one model's weights from another's."""

import hashlib
from pathlib import Path
from struct import error as StructError
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, GgufConfig, PreTrainedModel

from lamlam.errors import InputError
from lamlam.files import file_digest
from lamlam.model.folder import ADAPTER_FILES, check_ended
from lamlam.pretrained import located, reason_of

__all__ = ["load_model", "model_digest", "weight_digests"]


def load_model(source: str | Path) -> PreTrainedModel:
    """The causal language model in a folder or a GGUF file, or of a name on the hub.

    Of a folder and of the hub only safetensors are read, and no code that either brings along is run. Raises
    `InputError` when configuration or weights are missing, cannot be read, or do not fit, and for the folder of a run
    whose training has not ended.
    """
    arguments = located(source)
    if "gguf_file" in arguments:  # its blocks become plain weights: others are neither trained nor saved
        arguments |= {"dtype": torch.float32, "quantization_config": GgufConfig(dequantize=True)}
    else:
        folder = Path(arguments["pretrained_model_name_or_path"])
        check_ended(folder)
        if not (folder / "config.json").is_file():
            raise InputError("the folder holds no config.json", path=source)
        if not any(folder.glob("model*.safetensors")):
            raise InputError("the folder holds no weights (model.safetensors)", path=source)
        arguments["use_safetensors"] = True
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            **arguments, trust_remote_code=False, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, IndexError, SafetensorError, StructError) as error:
        raise InputError(f"the model cannot be read ({reason_of(error)})", path=source) from error
    model, report = loaded
    if report["missing_keys"] or report["mismatched_keys"]:
        raise InputError("the weights do not fit the model's configuration", path=source)
    return model


def weight_digests(folder: str | Path) -> list[str]:
    """The digest of each file in a folder that fixes the weights, an adapter's base included."""
    names = ("model*.safetensors", *ADAPTER_FILES)
    return [file_digest(path) for name in names for path in sorted(Path(folder).glob(name))]


def model_digest(model: PreTrainedModel) -> str:
    """The SHA-256 of all weights as float32, by name: the same for whatever file, or precision, they were kept in.

    Precisions that hold the same numbers, that is: bfloat16 and the float32 made of it, not a model and its quantised
    form.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(model.named_parameters(remove_duplicate=True)):
        digest.update(f"{name} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
