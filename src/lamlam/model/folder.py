"""The files of a checkpoint's folder: a whole model, or an adapter."""

import os
from pathlib import Path

from lamlam.errors import InputError

__all__ = ["ADAPTER_FILES", "check_ended", "holds_checkpoint", "is_adapter", "move_model"]

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "base.json")
_WHOLE = ("config.json", "model*.safetensors*")
_PACKED, _SUMMARY = "packed", "training.json"  # the first that a training run leaves in its folder, and the last


def check_ended(folder: str | Path) -> None:
    """Raise `InputError` for a run whose training has not ended: weights in its folder are of another recipe."""
    path = Path(folder)
    if (path / _PACKED).is_dir() and not (path / _SUMMARY).is_file():
        raise InputError("the run's training has not ended: `lamlam pretrain` continues it", path=path)


def is_adapter(folder: str | Path) -> bool:
    """Whether a folder holds an adapter, ours or peft's."""
    return (Path(folder) / "adapter_config.json").is_file()


def holds_checkpoint(folder: str | Path) -> bool:
    """Whether a model or an adapter has been left there; a run that is training has none yet."""
    return any(all(any(Path(folder).glob(name)) for name in names) for names in (_WHOLE, ADAPTER_FILES))


def move_model(source: Path, target: Path) -> None:
    """Move a model's files, or an adapter's, weights last; what was saved before and would be read too is removed."""
    names = sorted((file.name for file in source.iterdir()), key=lambda name: (name.endswith(".safetensors"), name))
    for stale in (path for name in (*_WHOLE, *ADAPTER_FILES) for path in target.glob(name)):
        if stale.name not in names:
            stale.unlink()
    for name in names:
        os.replace(source / name, target / name)
