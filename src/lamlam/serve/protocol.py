"""Requests and answers of OpenAI's completions protocol, and what is added to it: lookups, and settings of calls."""

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
    """How to write. Fields of the protocol that this server has no use for must be empty or at their default."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = Field(default=None, description="The served model's name; may be left out.")
    max_tokens: int | None = Field(default=None, ge=0, description="Visible tokens to write at most.")
    temperature: float | None = Field(default=None, ge=0, le=10, description="0 takes the likeliest token.")
    top_p: float | None = Field(default=None, gt=0, le=1, description="Changes nothing at a temperature of 0.")
    n: int | None = Field(default=None, ge=1, description="Continuations of each prompt.")
    stop: Stop | Stops | None = Field(default=None, description="Text before which to end.")
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    stream: bool | None = Field(default=None, description="Answer with server-sent events, as tokens come.")
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

    # Beyond the protocol
    top_k: int | None = Field(
        default=None, ge=-1, description="0 and -1 are for all tokens. Changes nothing at a temperature of 0."
    )
    repetition_penalty: float | None = Field(default=None, gt=0, le=10)
    lookups: bool | None = Field(default=None, description="False forbids calls.")
    force_call: bool | None = Field(default=None, description="The first token begins a call.")
    max_calls: int | None = Field(default=None, ge=1, le=1000)
    entities: Literal["context", "known", "free"] | None = Field(
        default=None, description="Names that a call may ask for: those in the text, any known one, or any."
    )
    relations: Literal["known", "free"] | None = None
    on_miss: Literal["unknown", "drop", "nearest"] | None = None
    revision: int | None = Field(
        default=None, ge=0, lt=2**63, description="Ask the knowledge base as it stood after this revision."
    )

    @property
    def most_tokens(self) -> int | None:
        """Visible tokens to write at most, where the request says so."""
        return self.max_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    def decoding(self, config: GenerationConfig) -> DecodingSettings:
        """The settings that are asked for, by a model's own where nothing is.

        Many clients send top_p and top_k with whatever temperature: where the likeliest token is taken they change
        nothing. Raises `InputError` for settings that contradict each other.
        """
        named = set(DecodingSettings.model_fields) - {"samples", "stop", "log_probs"}
        given = {name: getattr(self, name) for name in named if getattr(self, name, None) is not None}
        if given.get("top_k", 1) < 1:
            given["top_k"] = _ALL_TOKENS
        if not given.get("temperature", config.do_sample):
            given = {name: value for name, value in given.items() if name not in ("top_k", "top_p")}
        return DecodingSettings.of(config, **given | self.more_settings(), samples=self.n or 1)

    def more_settings(self) -> dict[str, Any]:
        """Settings that this kind of request has words of its own for."""
        return {"stop": self.stops}


TokenIds = Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]


class CompletionRequest(DecodingRequest):
    """Continue texts."""

    prompt: str | list[str] | TokenIds | list[TokenIds] = Field(
        description="One text to continue, or several; as text or as ids of the model's tokens."
    )
    echo: bool | None = Field(
        default=None, description="Begin the text with the prompt, and the log-probabilities with the prompt's."
    )
    logprobs: int | None = Field(
        default=None, ge=0, le=5, description="Tell the log-probability of each token, and so many of the likeliest."
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
    """A fact: the id it was given when written, the revisions between which it holds, and where it was read."""

    id: int
    entity: str
    relation: str
    value: str
    sources: list[Source]
    since: int
    until: int | None
    supersedes: int | None


class Lookup(BaseModel):
    """A call that the model made: its query, the status, what entered, and where the text states it."""

    entity: str
    relation: str
    status: str
    score: float
    value: str
    cut: bool
    query_cut: bool
    start: int = Field(description="The span of the choice's text that states the value; empty where none does.")
    end: int
    facts: list[Fact]


class LogProbs(BaseModel):
    """Of the text's tokens; the first of a prompt has none, as nothing precedes it."""

    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float] | None] = Field(
        default=[], description="The likeliest tokens, and the one that is there."
    )
    text_offset: list[int] = []


class Choice(BaseModel):
    index: int
    text: str
    finish_reason: Literal["stop", "length"] | None = None
    logprobs: LogProbs | None = None
    lookups: list[Lookup] = []
    revision: int | None = Field(default=None, description="The revision of the knowledge base that was asked.")


class Usage(BaseModel):
    """Tokens of the prompts, and those that were written, calls and values included."""

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
