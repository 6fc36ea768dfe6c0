"""Low-rank adapters (Hu et al., arXiv 2106.09685) by peft, which is optional: the extra `lora` brings it.

An adapter is kept as peft keeps it, so that peft opens it as well.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from lamlam.errors import InputError, needs_extra
from lamlam.model.rows import train_rows, trained_rows
from lamlam.pretrained import reason_of

__all__ = ["LoraSettings", "inject", "merged", "save_injected"]

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_NAME = "default"  # peft's, of the only adapter that a model has


class LoraSettings(BaseModel):
    """Which layers get an adapter, and of what size: `alpha / rank` scales what it adds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] = Field(default=(), description="names of layers; none: all linear ones but the output")


def inject(model: PreTrainedModel, base: str, settings: LoraSettings, rows: Sequence[int], seed: int = 0) -> None:
    """Put an adapter to train into the model, which stays what it is; all else is frozen but the embeddings at `rows`.

    It begins with random weights, fixed by `seed`, that change nothing yet.
    Raises `InputError` when no layer has a name of `targets`.
    """
    peft = _library()
    config = _config(settings, base)
    try:
        with _quiet(), torch.random.fork_rng():
            torch.manual_seed(seed)
            peft.inject_adapter_in_model(config, model, _NAME)
    except ValueError as error:
        raise InputError(reason_of(error), field="training.lora.targets") from error
    train_rows(model, rows)
    config.trainable_token_indices = {name.rpartition(".")[2]: list(rows) for name in trained_rows(model)}


def save_injected(model: PreTrainedModel, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write what `inject` let be trained in a model, as it is in `weights` by name, in float16."""
    kept = _library().get_peft_model_state_dict(model, dict(weights), _NAME, save_embedding_layers=False)
    for name in trained_rows(model):
        kept[f"{name}.token_adapter.trainable_tokens_delta"] = weights[f"{name}.rows"]
    half = {f"base_model.model.{name}": weight.half().contiguous() for name, weight in kept.items()}
    model.peft_config[_NAME].save_pretrained(str(folder))
    save_file(half, folder / _WEIGHTS, {"format": "pt"})


def merged(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """The model with the adapter in `folder` merged into its weights, which then cost what the model's cost.

    Raises `InputError` when the adapter has no safetensors or does not fit.
    """
    peft = _library()
    if not (folder / _WEIGHTS).is_file():  # the library would read a pickle in its stead
        raise InputError(f"the folder holds no weights ({_WEIGHTS})", path=folder)
    try:
        with _quiet():
            whole: PreTrainedModel = peft.PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"the adapter cannot be put on its base model ({reason_of(error)})", path=folder) from error
    return whole


def _config(settings: LoraSettings, base: str) -> Any:
    return _library().LoraConfig(
        task_type="CAUSAL_LM",
        target_modules=list(settings.targets) or "all-linear",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        base_model_name_or_path=base,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the libraries say of each other, and of layers that store their weights transposed."""
    with warnings.catch_warnings():
        for category in (FutureWarning, UserWarning):
            warnings.simplefilter("ignore", category)
        yield


def _library() -> ModuleType:
    with needs_extra("lora", "an adapter"):
        import peft
    return peft
