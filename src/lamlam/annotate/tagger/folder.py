"""The folder that a tagger is kept in.

`model.safetensors` has the weights, `encoder/` the encoder's configuration, then there are the tokenizer's files, the
relations, the ONNX files where they could be written, and `tagger.json`, written last. Nothing in it is a pickle.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from transformers import AutoConfig, AutoModel, AutoTokenizer

from lamlam.annotate.tagger.decoding import Readiness
from lamlam.annotate.tagger.inventory import Inventory
from lamlam.annotate.tagger.model import TaggerModel
from lamlam.annotate.tagger.parts import Manner, TaggerParts
from lamlam.annotate.tagger.runtime import FP32, INT8, OnnxEncoder, can_export, can_run, export_onnx
from lamlam.annotate.tagger.settings import TaggerSettings
from lamlam.annotate.tagger.tagger import Tagger
from lamlam.corpus.lines import read_object
from lamlam.errors import InputError
from lamlam.files import atomic_write

__all__ = ["OpenSettings", "load_parts", "open_tagger", "save_parts"]


class OpenSettings(BaseModel):
    """How a trained tagger is run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    manner: str | None = Field(default=None, description="the gold to annotate like, by its file's name; the first")
    precision: Literal["auto", "torch", "fp32", "int8"] = Field(
        default="auto", description="onnxruntime with weights of 32 or 8 bits, or torch; auto: the first that is there"
    )
    threads: int | None = Field(default=None, ge=1, description="threads of onnxruntime; all")


_WEIGHTS, _TOLD, _RELATIONS, _ENCODER = "model.safetensors", "tagger.json", "relations.json", "encoder"


def save_parts(parts: TaggerParts, folder: Path) -> None:
    """Write a tagger into `folder`, made if need be, and as ONNX too where the extra `tagger` is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _TOLD).unlink(missing_ok=True)
    parts.model.encoder.config.save_pretrained(folder / _ENCODER)
    parts.tokenizer.save_pretrained(folder)
    weights = save({name: tensor.contiguous() for name, tensor in parts.model.state_dict().items()})
    with atomic_write(folder / _WEIGHTS, "wb") as file:
        file.write(weights)
    _write(folder / _RELATIONS, {"names": parts.inventory.names, "counts": parts.inventory.counts})
    for name in (FP32, INT8):
        (folder / name).unlink(missing_ok=True)
    if can_export():
        export_onnx(parts.model, folder)
    told = {
        "settings": parts.settings.model_dump(mode="json"),
        "manners": [{"name": manner.name, **manner.readiness._asdict()} for manner in parts.manners],
        "digest": hashlib.sha256(weights).hexdigest(),
    }
    _write(folder / _TOLD, told)


def load_parts(folder: Path) -> TaggerParts:
    """The tagger that stands in `folder`. Raises `InputError` when there is none, or a file of it is bad."""
    told, relations = read_object(folder / _TOLD).value, read_object(folder / _RELATIONS).value
    try:
        settings = TaggerSettings.model_validate(told["settings"])
        inventory = Inventory(list(relations["names"]), list(relations["counts"]))
        manners = tuple(
            Manner(str(each["name"]), Readiness(float(each["bias"]), float(each["least"]))) for each in told["manners"]
        )
        encoder = AutoModel.from_config(AutoConfig.from_pretrained(folder / _ENCODER))
        model = TaggerModel(
            encoder,
            sources=len(manners),
            relations=len(inventory.names),
            width=settings.width,
            dropout=settings.dropout,
        )
        model.load_state_dict(load_file(folder / _WEIGHTS))
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (KeyError, TypeError, ValueError, OSError, RuntimeError, SafetensorError) as error:
        raise InputError(f"holds no tagger that can be read ({str(error).splitlines()[0]})", path=folder) from error
    return TaggerParts(model.eval(), tokenizer, inventory, settings, manners)


def open_tagger(folder: Path, settings: OpenSettings) -> Tagger:
    """The tagger of `folder`. Raises `InputError` for a folder that holds none and an unknown manner.

    Raises `LamLamError` where what `settings.precision` asks for is not there.
    """
    parts = load_parts(folder)
    names, manner, precision = [each.name for each in parts.manners], settings.manner, settings.precision
    if manner is not None and manner not in names:
        raise InputError(f"knows no manner '{manner}', only {', '.join(names)}", path=folder)
    if precision == "auto":
        precision = "fp32" if can_run() and (folder / FP32).exists() else "torch"
    files = {"fp32": FP32, "int8": INT8}
    encode = OnnxEncoder(folder / files[precision], settings.threads) if precision in files else None
    told = {"model": read_object(folder / _TOLD).text("digest"), "precision": precision}
    return Tagger(parts, source=names.index(manner) if manner else 0, encode=encode, told=told)


def _write(path: Path, content: Mapping[str, object]) -> None:
    with atomic_write(path) as file:
        json.dump(content, file, ensure_ascii=False, indent=1)
        file.write("\n")
