"""A causal annotator from what a user says of it."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from lamlam.annotate.causal.annotator import CausalAnnotator
from lamlam.annotate.causal.model import CausalModel
from lamlam.checked import checked
from lamlam.model.precision import fast_dtype

__all__ = ["open_causal"]


class _Opening(BaseModel):
    """`base` stands in for the base model that an adapter names; `dtype` auto is what the device is fast in."""

    model_config = ConfigDict(extra="forbid")

    base: str | None = None
    batch: int = Field(default=8, ge=1)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"


def open_causal(model: str, given: Mapping[str, str]) -> CausalAnnotator:
    """The annotator, on a GPU where there is one. Raises `InputError` for a setting that is none, or out of range."""
    opening = checked(_Opening, given)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = fast_dtype(device) if opening.dtype == "auto" else getattr(torch, opening.dtype)
    opened = CausalModel.open(model, base=opening.base, device=device, dtype=dtype)
    return CausalAnnotator(opened, batch=opening.batch)
