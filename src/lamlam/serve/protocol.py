"""Requests and answers of OpenAI's completions protocol, and what is added to it: lookups, and settings of calls."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lamlam.engine.settings import DecodingSettings

__all__ = ["Choice", "Completion", "CompletionRequest", "LogProbs", "Lookup", "Model", "Models", "Usage"]

Stop = Annotated[str, Field(min_length=1, max_length=200)]

Stops = Annotated[list[Stop], Field(max_length=16)]


class CompletionRequest(BaseModel):
    """What is asked for. Fields of the protocol that this server has no use for must be empty or at their default."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = Field(default=None, description="The served model's name; may be left out.")
    prompt: str | list[str] = Field(description="One text to continue, or several.")
    max_tokens: int | None = Field(default=None, ge=1, description="Visible tokens to write at most.")
    temperature: float | None = Field(default=None, ge=0, le=10, description="0 takes the likeliest token.")
    top_p: float | None = Field(default=None, gt=0, le=1)
    n: int | None = Field(default=None, ge=1, description="Continuations of each prompt.")
    stop: Stop | Stops | None = Field(default=None, description="Text before which to end.")
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    stream: bool | None = Field(default=None, description="Answer with server-sent events, as tokens come.")
    stream_options: "StreamOptions | None" = None
    echo: bool | None = Field(default=None, description="Begin the text with the prompt.")
    logprobs: int | None = Field(
        default=None, ge=0, le=1, description="Tell the log-probability of each token that was chosen."
    )
    best_of: int | None = Field(default=None, ge=1, description="Must equal n.")
    frequency_penalty: float | None = Field(default=None, ge=0, le=0)
    presence_penalty: float | None = Field(default=None, ge=0, le=0)
    logit_bias: dict[str, float] | None = Field(default=None, max_length=0)
    suffix: Literal[""] | None = None
    user: str | None = Field(default=None, description="Not used.")

    # Beyond the protocol
    top_k: int | None = Field(default=None, ge=1)
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
    def prompts(self) -> list[str]:
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt

    def decoding(self) -> dict[str, Any]:
        """Fields of `DecodingSettings`, those that were given."""
        names = set(DecodingSettings.model_fields) - {"samples", "stop", "log_probs"}
        given = {name: getattr(self, name) for name in names if getattr(self, name, None) is not None}
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        return given | {"samples": self.n or 1, "stop": stop, "log_probs": self.logprobs is not None}


class StreamOptions(BaseModel):
    model_config = ConfigDict(strict=True)

    include_usage: bool | None = None


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
    tokens: list[str] = []
    token_logprobs: list[float] = []
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
