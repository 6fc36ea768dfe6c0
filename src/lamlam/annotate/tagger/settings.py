"""The settings of a tagger's training, and of what it writes."""

from collections.abc import Sequence
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from lamlam.checked import checked
from lamlam.errors import InputError

__all__ = ["TaggerSettings"]


class TaggerSettings(BaseModel):
    """The default is small enough for a processor. Lengths are in tokens of the encoder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    epochs: int = Field(default=6, ge=1, description="passes over the training split at most")
    finish: int = Field(default=3, ge=0, description="of these, passes over the first collection alone, at the end")
    patience: int = Field(default=3, ge=1, description="passes without a better score before training stops")
    batch: int = Field(default=16, ge=1, description="windows a step")
    learning_rate: float = Field(default=2e-4, gt=0.0, description="of the encoder")
    head_learning_rate: float = Field(default=1e-3, gt=0.0, description="of what stands on top of it")
    warmup: float = Field(default=0.1, ge=0.0, lt=1.0, description="share of the steps")
    weight_decay: float = Field(default=0.01, ge=0.0)
    average: float = Field(default=0.99, ge=0.0, lt=1.0, description="decay of the average of weights that is kept")
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0, description="of what stands on top of the encoder")
    window: int = Field(default=256, ge=32, description="length of a window, the head of its document included")
    stride: int = Field(default=64, ge=1, description="what a window shares with the one before it")
    width: int = Field(default=192, ge=2, description="dimensions of the pointer's and of the relations' space")
    entity_weight: float = Field(default=0.5, ge=0.0, description="of the pointer's loss, beside the spans'")
    relation_weight: float = Field(default=0.3, ge=0.0, description="of the relations' loss, beside the spans'")
    relation_softness: float = Field(default=0.07, gt=0.0, description="how far the names of other relations count")
    least_count: int = Field(default=2, ge=1, description="calls that a relation needs to be written")
    bf16: bool = Field(default=True, description="train in bfloat16 where the hardware computes in it")

    @classmethod
    def read(cls, changes: Sequence[str]) -> "TaggerSettings":
        """The default settings with changes of the form `key=value`. Raises `InputError`."""
        raw: dict[str, Any] = {}
        for change in changes:
            key, equals, value = change.partition("=")
            if not equals:
                raise InputError(f"'{change}' is not of the form key=value")
            raw[key] = yaml.safe_load(value)
        return checked(cls, raw)
