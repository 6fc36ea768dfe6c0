"""How to decode: lengths, sampling, what to do inside calls and on misses.

Every request has settings of its own, and a random generator of its own.
"""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from transformers import GenerationConfig

from lamlam.checked import checked

__all__ = ["DecodingSettings"]

_LEAST = 1e-30  # temperature by which 32-bit logits can be divided


class DecodingSettings(BaseModel):
    """Settings of `Engine.generate`. Unknown keys and contradictions raise pydantic's `ValidationError`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tokens: int = Field(default=64, ge=0, description="visible text tokens to write at most")
    temperature: float = Field(default=0.0, ge=0.0, allow_inf_nan=False, description="0 takes the likeliest token")
    top_k: int | None = Field(default=None, ge=1, description="sample among the k likeliest tokens")
    top_p: float | None = Field(
        default=None, gt=0.0, le=1.0, description="sample among the likeliest tokens of this mass"
    )
    repetition_penalty: float = Field(
        default=1.0, ge=0.01, le=100.0, allow_inf_nan=False, description="above 1 avoids what was said"
    )
    samples: int = Field(default=1, ge=1, description="continuations of each prompt, with seeds in sequence")
    seed: int = Field(default=0, ge=0, lt=2**63, description="of each sequence's generator")
    log_probs: bool = Field(default=False, description="keep the log-probability of each token that was chosen")
    prompt_log_probs: bool = Field(default=False, description="tell those of the prompt's tokens, as text")
    top_log_probs: int = Field(default=0, ge=0, le=20, description="so many of the likeliest tokens beside each")
    stop: tuple[str, ...] = Field(default=(), description="strings before which the text ends")
    lookups: bool = Field(default=True, description="False forbids calls")
    force_call: bool = Field(default=False, description="the first token begins a call")
    call_bias: float = Field(
        default=0.0, allow_inf_nan=False, description="added to the logit of beginning a call: above 0 asks more often"
    )
    max_calls: int = Field(default=32, ge=1, description="calls to make at most, dropped ones included")
    max_calls_in_a_row: int = Field(default=4, ge=1, description="calls without text in between at most")
    max_query_tokens: int = Field(default=48, ge=1, description="tokens of an entity or of a relation")
    max_value_tokens: int = Field(default=64, ge=1, description="longer values are cut")
    entities: Literal["context", "known", "free"] = Field(
        default="context",
        description="names that a call may ask for: those the context mentions, any in the knowledge base, any",
    )
    relations: Literal["known", "free"] = Field(
        default="free", description="relations that the entity has or had, or any"
    )
    skip_stated: bool = Field(
        default=True, description="with context and known: look up no fact whose values the text states already"
    )
    on_miss: Literal["unknown", "drop", "nearest"] = Field(
        default="unknown", description="enter the word, undo the call, or take the nearest fact"
    )
    revision: int | None = Field(
        default=None, ge=0, lt=2**63, description="ask the knowledge base as it stood then; None for as it stands"
    )

    @classmethod
    def checked(cls, **fields: Any) -> Self:
        """Settings from what a user asks for. Raises `InputError` that names the field in place of pydantic's error."""
        return checked(cls, fields)

    @classmethod
    def of(cls, config: GenerationConfig, **changes: Any) -> Self:
        """What a checkpoint's generation_config.json says of sampling and length, with `changes` (those not None)."""
        said: dict[str, Any] = {"max_tokens": config.max_new_tokens, "repetition_penalty": config.repetition_penalty}
        if config.do_sample:
            said |= {"temperature": config.temperature or 1.0, "top_k": config.top_k or None, "top_p": config.top_p}
        said |= {field: value for field, value in changes.items() if value is not None}
        if said.get("temperature") == 0 or "temperature" not in said:
            said |= {field: changes.get(field) for field in ("top_k", "top_p")}
        return cls.checked(**{field: value for field, value in said.items() if value is not None})

    def of_samples(self) -> list[Self]:
        """The settings of each sample: the same, with seeds in sequence."""
        return [self.model_copy(update={"seed": self.seed + sample}) for sample in range(self.samples)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if 0 < self.temperature < _LEAST:
            raise ValueError(f"a temperature is 0, or {_LEAST:g} or more")
        if self.temperature == 0 and (self.top_k is not None or self.top_p is not None):
            raise ValueError("top_k and top_p need a temperature above 0")
        if self.force_call and not self.lookups:
            raise ValueError("force_call needs lookups")
        if "" in self.stop:
            raise ValueError("an empty stop string would end every text at once")
        return self
