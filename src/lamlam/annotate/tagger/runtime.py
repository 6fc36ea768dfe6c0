"""Runs the first half of a tagger's network, from ids to tags, with onnxruntime: on a processor faster than torch.

It is an optional dependency (the extra `tagger`). The second half is small and stays with torch.
"""

import importlib.util
import os
import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor

from lamlam.annotate.tagger.model import TaggerModel
from lamlam.errors import LamLamError
from lamlam.files import atomic_write

__all__ = ["FP32", "INT8", "OnnxEncoder", "can_export", "can_run", "export_onnx"]

FP32, INT8 = "encoder.onnx", "encoder.int8.onnx"
_INPUTS = ("ids", "mask", "shapes", "source")
_LONGEST = 1 << 16


def can_run() -> bool:
    """Whether onnxruntime is installed."""
    return importlib.util.find_spec("onnxruntime") is not None


def can_export() -> bool:
    """Whether all that writes ONNX is installed."""
    return can_run() and all(importlib.util.find_spec(name) is not None for name in ("onnx", "onnxscript"))


class OnnxEncoder:
    """Stands in for a called `TaggerModel`. Raises `LamLamError` where onnxruntime or the file is missing."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        if not can_run():
            raise LamLamError("onnxruntime is not installed (the extra 'tagger' brings it)")
        if not path.exists():
            raise LamLamError(f"{path} is missing: the tagger was trained where the extra 'tagger' was not installed")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or os.cpu_count() or 1
        self._given = path, threads
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __reduce__(self) -> tuple[type["OnnxEncoder"], tuple[Path, int | None]]:
        return OnnxEncoder, self._given  # a session cannot be sent to another process, what it is made of can

    def __call__(self, *given: Tensor) -> tuple[Tensor, Tensor]:
        hidden, tags = self._session.run(None, {name: each.numpy() for name, each in zip(_INPUTS, given, strict=True)})
        return torch.from_numpy(hidden), torch.from_numpy(tags)


def export_onnx(model: TaggerModel, folder: Path) -> None:
    """Write the first half into `folder`, twice: `FP32`, and `INT8` with weights of eight bits."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as place:
        written, prepared, small = (Path(place) / name for name in ("written.onnx", FP32, INT8))
        _quietly_exported(model).save(written, external_data=False)
        quant_pre_process(written, prepared, skip_symbolic_shape=True)
        quantize_dynamic(prepared, small, per_channel=True, weight_type=QuantType.QInt8)
        for path in (prepared, small):
            with atomic_write(folder / path.name, "wb") as file:
                file.write(path.read_bytes())


def _quietly_exported(model: TaggerModel) -> torch.onnx.ONNXProgram:
    batch, tokens = torch.export.Dim("batch", max=_LONGEST), torch.export.Dim("tokens", max=_LONGEST)
    rows, ones = {0: batch, 1: tokens}, torch.ones((3, 23), dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecated parts of torch that torch itself uses
        program = torch.onnx.export(
            model.eval(),
            (ones, ones.clone(), ones.clone(), torch.zeros(3, dtype=torch.long)),  # one tensor twice is one input
            input_names=_INPUTS,
            output_names=["hidden", "tags"],
            dynamic_shapes=(rows, rows, rows, {0: batch}),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise LamLamError("torch could not write the encoder as ONNX")
    return program
