"""Low-rank adapters of causal models; the library is optional: the extra `causal` brings it."""

import os
from pathlib import Path
from types import ModuleType
from typing import Any

from transformers import PreTrainedModel

from lamlam.annotate.causal.settings import CausalTraining
from lamlam.corpus.lines import read_object
from lamlam.errors import InputError, LamLamError

__all__ = ["base_of", "is_adapter", "merged", "new_adapter", "save_adapter"]

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def new_adapter(model: PreTrainedModel, base: str, settings: CausalTraining) -> Any:
    """The model with an adapter to train on all of its linear layers; the model's own weights stay as they are."""
    peft = _library()
    model.config.name_or_path = base
    if settings.checkpointing:
        model.enable_input_require_grads()
    lora = peft.LoraConfig(
        task_type="CAUSAL_LM",
        target_modules="all-linear",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        base_model_name_or_path=base,
    )
    return peft.get_peft_model(model, lora)


def save_adapter(model: Any, folder: Path, by_way_of: Path) -> None:
    """Write the adapter alone; each of its files appears whole, by way of a folder on the same disk."""
    model.save_pretrained(str(by_way_of))
    for name in (_WEIGHTS, _CONFIG):
        os.replace(by_way_of / name, folder / name)


def is_adapter(folder: Path) -> bool:
    return (folder / _CONFIG).is_file()


def base_of(folder: Path) -> Path:
    """The base model that an adapter names. Raises `InputError` when it names none."""
    return Path(read_object(folder / _CONFIG).text("base_model_name_or_path", empty=False))


def merged(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """The model with the adapter in `folder` merged into its weights, which then cost what the model's cost.

    Raises `InputError` when the adapter has no safetensors or does not fit.
    """
    peft = _library()
    if not (folder / _WEIGHTS).is_file():  # the library would read a pickle in its stead
        raise InputError(f"the folder holds no weights ({_WEIGHTS})", path=folder)
    try:
        whole: PreTrainedModel = peft.PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"the adapter cannot be put on its base model ({reason})", path=folder) from error
    return whole


def _library() -> ModuleType:
    try:
        import peft
    except ImportError as error:
        raise LamLamError("adapters need the extra 'causal': pip install 'lamlam[causal]'") from error
    return peft
