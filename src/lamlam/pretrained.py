"""Where a pretrained model is: a Hugging Face folder, a GGUF file, or a name on the Hugging Face hub."""

import re
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from transformers.utils import is_gguf_available

from lamlam.errors import InputError, LamLamError

__all__ = ["is_hub_name", "located", "reason_of"]

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_WANTED = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]


def located(source: str | Path) -> dict[str, Any]:
    """The arguments of transformers' `from_pretrained` that lead to a model or its tokenizer, on this machine.

    What a name on the hub stands for is downloaded, unless that was done before. Raises `InputError` when there is
    nothing at `source`.
    """
    path = Path(source)
    if path.is_dir():
        return {"pretrained_model_name_or_path": str(path), "local_files_only": True}
    if path.is_file():
        if path.suffix.lower() != ".gguf":
            raise InputError("neither a folder nor a GGUF file (.gguf)", path=path)
        if not is_gguf_available():
            raise LamLamError("a GGUF file needs the extra 'gguf': pip install 'lamlam[gguf]'")
        return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name, "local_files_only": True}
    if not is_hub_name(source):
        raise InputError("no such folder or GGUF file", path=source)
    return {"pretrained_model_name_or_path": _downloaded(str(source)), "local_files_only": True}


def is_hub_name(source: str | Path) -> bool:
    """Whether `source` is of the form owner/name, and nothing here is called so."""
    return _HUB_NAME.fullmatch(str(source)) is not None and not Path(source).exists()


def reason_of(error: Exception) -> str:
    """The first line of what a library says of a fault, or the fault's kind."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _downloaded(name: str) -> str:
    try:
        return snapshot_download(name, allow_patterns=_WANTED, ignore_patterns=["*/*"])
    except (OSError, ValueError) as error:
        told = "no such folder or GGUF file, and no such model on the hub, or the hub cannot be reached"
        raise InputError(told, path=name) from error
