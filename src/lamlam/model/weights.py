"""The model of a Hugging Face folder, without its tokenizer."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel

from lamlam.errors import InputError
from lamlam.files import file_digest

__all__ = ["check_ended", "load_model", "weight_digests"]

_PACKED, _SUMMARY = "packed", "training.json"  # the first that a training run leaves in its folder, and the last


def check_ended(folder: str | Path) -> None:
    """Raise `InputError` for a run whose training has not ended: weights in its folder are of another recipe."""
    path = Path(folder)
    if (path / _PACKED).is_dir() and not (path / _SUMMARY).is_file():
        raise InputError("the run's training has not ended: `lamlam pretrain` continues it", path=path)


def load_model(folder: str | Path) -> PreTrainedModel:
    """The causal language model in a folder, from safetensors alone; no code that the folder brings along is run.

    Raises `InputError` when configuration or weights are missing, cannot be read, or do not fit, and when the folder is
    that of a run whose training has not ended.
    """
    path = Path(folder)
    check_ended(path)
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


def weight_digests(folder: str | Path) -> list[str]:
    """The digest of each file of weights in a folder: what tells one checkpoint from another."""
    return [file_digest(path) for path in sorted(Path(folder).glob("model*.safetensors"))]
