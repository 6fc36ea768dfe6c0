"""Requests and responses of OpenAI's completions protocol, extended with lookups and call settings."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field
from transformers import GenerationConfig

from lamlam.engine.settings import DecodingSettings

__all__ = [
    "Choice",
    "Completion",
    "CompletionRequest",
    "DecodingRequest",
    "LogProbs",
    "Lookup",
    "Model",
    "Models",
    "Usage",
]

_ALL_TOKENS = 2**31  # more than any vocabulary has

Stop = Annotated[str, Field(min_length=1, max_length=200)]

Stops = Annotated[list[Stop], Field(max_length=16)]


class StreamOptions(BaseModel):
    model_config = ConfigDict(strict=True)

    include_usage: bool | None = None


class DecodingRequest(BaseModel):
    """Decoding settings. Unsupported fields of the protocol must be empty or have their default."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = Field(default=None, description="The served model's name; optional.")
    max_tokens: int | None = Field(default=None, ge=0, description="Maximum visible tokens.")
    temperature: float | None = Field(default=None, ge=0, le=10, description="0 for greedy decoding.")
    top_p: float | None = Field(default=None, gt=0, le=1, description="No effect at temperature 0.")
    n: int | None = Field(default=None, ge=1, description="Continuations per prompt.")
    stop: Stop | Stops | None = Field(default=None, description="Stop before this text.")
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    stream: bool | None = Field(default=None, description="Stream server-sent events as tokens arrive.")
    stream_options: StreamOptions | None = None
    frequency_penalty: float | None = Field(default=None, ge=0, le=0)
    presence_penalty: float | None = Field(default=None, ge=0, le=0)
    logit_bias: dict[str, float] | None = Field(default=None, max_length=0)
    user: str | None = Field(default=None, description="Not used.")
    metadata: dict[str, str] | None = Field(default=None, description="Not used.")
    store: bool | None = Field(default=None, description="Not used: nothing is stored.")
    service_tier: str | None = Field(default=None, description="Not used.")
    safety_identifier: str | None = Field(default=None, description="Not used.")
    prompt_cache_key: str | None = Field(default=None, description="Not used.")

    # Extensions of the protocol
    top_k: int | None = Field(default=None, ge=-1, description="0 and -1 mean all tokens. No effect at temperature 0.")
    repetition_penalty: float | None = Field(default=None, gt=0, le=10)
    lookups: bool | None = Field(default=None, description="False forbids calls.")
    force_call: bool | None = Field(default=None, description="The first token starts a call.")
    max_calls: int | None = Field(default=None, ge=1, le=1000)
    entities: Literal["context", "known", "free"] | None = Field(
        default=None, description="Entities that a call may name: those in the text, any known one, or any text."
    )
    relations: Literal["known", "free"] | None = None
    on_miss: Literal["unknown", "drop", "nearest"] | None = None
    revision: int | None = Field(
        default=None, ge=0, lt=2**63, description="Use the knowledge base as of this revision."
    )

    @property
    def most_tokens(self) -> int | None:
        """Maximum visible tokens, if the request sets it."""
        return self.max_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    def decoding(self, config: GenerationConfig) -> DecodingSettings:
        """Return the decoding settings, with the model's own as defaults.

        Many clients always send top_p and top_k; they have no effect on greedy decoding. Raises `InputError` for
        contradictory settings.
        """
        named = set(DecodingSettings.model_fields) - {"samples", "stop", "log_probs"}
        given = {name: getattr(self, name) for name in named if getattr(self, name, None) is not None}
        if given.get("top_k", 1) < 1:
            given["top_k"] = _ALL_TOKENS
        if not given.get("temperature", config.do_sample):
            given = {name: value for name, value in given.items() if name not in ("top_k", "top_p")}
        return DecodingSettings.of(config, **given | self.more_settings(), samples=self.n or 1)

    def more_settings(self) -> dict[str, Any]:
        """Settings specific to this kind of request."""
        return {"stop": self.stops}


TokenIds = Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]


class CompletionRequest(DecodingRequest):
    """Continue texts."""

    prompt: str | list[str] | TokenIds | list[TokenIds] = Field(
        description="One or more prompts, as text or as token ids."
    )
    echo: bool | None = Field(default=None, description="Prepend the prompt to the text, and its log-probabilities.")
    logprobs: int | None = Field(
        default=None,
        ge=0,
        le=5,
        description="Return each token's log-probability and this many of the likeliest tokens.",
    )
    best_of: int | None = Field(default=None, ge=1, description="Must equal n.")
    suffix: Literal[""] | None = None

    @property
    def prompts(self) -> Sequence[str | list[int]]:
        if isinstance(self.prompt, str):
            return [self.prompt]
        if self.prompt and isinstance(self.prompt[0], int):
            return [self.prompt]
        return cast(list[str | list[int]], self.prompt)

    def more_settings(self) -> dict[str, Any]:
        told = self.logprobs is not None
        return {
            "stop": self.stops,
            "log_probs": told,
            "top_log_probs": self.logprobs,
            "prompt_log_probs": told and bool(self.echo),
        }


class Source(BaseModel):
    document: str
    start: int | None
    end: int | None


class Fact(BaseModel):
    """A fact: its id, the revisions between which it holds, and its sources."""

    id: int
    entity: str
    relation: str
    value: str
    sources: list[Source]
    since: int
    until: int | None
    supersedes: int | None


class Lookup(BaseModel):
    """A call of the model: its query, status, inserted value, and where the text states it."""

    entity: str
    relation: str
    status: str
    score: float
    value: str
    cut: bool
    query_cut: bool
    start: int = Field(description="The span of the choice's text that states the value; empty if none does.")
    end: int
    facts: list[Fact]


class LogProbs(BaseModel):
    """Log-probabilities of the text's tokens; a prompt's first token has none."""

    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float] | None] = Field(
        default=[], description="The likeliest tokens and the actual one."
    )
    text_offset: list[int] = []


class Choice(BaseModel):
    index: int
    text: str
    finish_reason: Literal["stop", "length"] | None = None
    logprobs: LogProbs | None = None
    lookups: list[Lookup] = []
    revision: int | None = Field(default=None, description="The revision of the knowledge base used.")


class Usage(BaseModel):
    """Prompt tokens and completion tokens, calls and values included."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(BaseModel):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None = None


class Model(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "lamlam"


class Models(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]
