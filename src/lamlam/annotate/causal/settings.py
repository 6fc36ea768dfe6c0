"""How a causal annotator is fine-tuned."""

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CausalTraining"]


class CausalTraining(BaseModel):
    """The defaults are for a model of some billion parameters and the thousand documents of the paper's seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=10, ge=1)
    batch: int = Field(default=4, ge=1)
    accumulate: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=2e-4, gt=0)
    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    context: int = Field(default=2048, ge=64)  # tokens of prompt and answer
    window: int = Field(default=1600, ge=200)  # characters of a document in one example
    patience: int = Field(default=2, ge=1)  # epochs without a better calibration loss before it stops
    checkpointing: bool = False  # compute activations twice instead of keeping them
    seed: int = 0
