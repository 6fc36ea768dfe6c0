"""Requests and responses of OpenAI's chat completions protocol, with the same extensions as completions."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lamlam.serve.errors import Fault
from lamlam.serve.protocol import DecodingRequest, Lookup, Usage

__all__ = [
    "Chat",
    "ChatChoice",
    "ChatChunk",
    "ChatChunkChoice",
    "ChatLogProbs",
    "ChatRequest",
    "Delta",
    "Reply",
    "TokenLogProb",
    "TopLogProb",
]


class _TextPart(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["text"]
    text: str


class _Message(BaseModel):
    """A text message. The protocol's other fields of assistant messages must be empty."""

    model_config = ConfigDict(extra="forbid", strict=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_TextPart]
    name: str | None = Field(default=None, description="Not used.")
    refusal: None = None
    audio: None = None
    function_call: None = None
    annotations: list[Any] | None = Field(default=None, max_length=0)
    tool_calls: list[Any] | None = Field(default=None, max_length=0)

    @property
    def said(self) -> tuple[str, str]:
        """Return role and text; a developer message counts as a system message."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return ("system" if self.role == "developer" else self.role), text


class _ResponseFormat(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["text"]


class ChatRequest(DecodingRequest):
    """Answer the last message of a chat."""

    messages: list[_Message] = Field(min_length=1, max_length=1000)
    max_completion_tokens: int | None = Field(default=None, ge=0, description="Same as max_tokens.")
    logprobs: bool | None = Field(default=None, description="Return each token's log-probability.")
    top_logprobs: int | None = Field(
        default=None, ge=0, le=20, description="Also return this many of the likeliest tokens."
    )
    response_format: _ResponseFormat | None = None
    modalities: list[Literal["text"]] | None = None
    tools: list[Any] | None = Field(default=None, max_length=0)
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = Field(default=None, description="Not used.")
    reasoning_effort: str | None = Field(default=None, description="Not used.")
    verbosity: str | None = Field(default=None, description="Not used.")

    @property
    def most_tokens(self) -> int | None:
        """Maximum visible tokens. Raises `Fault` if its two names disagree."""
        if None not in (self.max_tokens, self.max_completion_tokens) and self.max_tokens != self.max_completion_tokens:
            raise Fault(422, "give either max_completion_tokens or max_tokens", field="max_tokens")
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    def more_settings(self) -> dict[str, Any]:
        most, told = self.most_tokens, bool(self.logprobs)
        return {"max_tokens": most, "stop": self.stops, "log_probs": told, "top_log_probs": self.top_logprobs}


class TopLogProb(BaseModel):
    token: str
    logprob: float
    bytes: list[int]


class TokenLogProb(TopLogProb):
    top_logprobs: list[TopLogProb]


class ChatLogProbs(BaseModel):
    content: list[TokenLogProb]
    refusal: None = None


class Reply(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class _Choice(BaseModel):
    index: int
    finish_reason: Literal["stop", "length"] | None = None
    logprobs: ChatLogProbs | None = None
    lookups: list[Lookup] = []
    revision: int | None = Field(default=None, description="The revision of the knowledge base used.")


class ChatChoice(_Choice):
    message: Reply


class Chat(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage | None = None


class Delta(BaseModel):
    role: Literal["assistant"] | None = None
    content: str | None = None


class ChatChunkChoice(_Choice):
    delta: Delta


class ChatChunk(BaseModel):
    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChatChunkChoice]
    usage: Usage | None = None
