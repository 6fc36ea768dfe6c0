"""The limits of a server."""

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ServeSettings"]


class ServeSettings(BaseModel):
    """Limits of a server. Requests beyond them are refused with 408, 413, 422 or 429 and a reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_size: int = Field(default=32, ge=1, description="texts written at a time; others wait")
    max_waiting: int = Field(default=256, ge=1, description="texts running or waiting, over all clients")
    max_texts: int = Field(default=16, ge=1, description="texts per request")
    max_tokens: int = Field(default=512, ge=1, description="tokens per text")
    max_prompt: int = Field(default=20_000, ge=1, description="characters per prompt")
    max_body: int = Field(default=1 << 20, ge=1, description="bytes per request body")
    max_facts: int = Field(default=10_000, ge=1, description="facts written per request")
    body_seconds: float = Field(default=20.0, gt=0, description="seconds to receive a body")
    read_seconds: float = Field(
        default=60.0, gt=0, description="seconds that a client may stall while reading a response"
    )
    requests_a_minute: int = Field(default=600, ge=1, description="requests per minute and client, by token or address")
    max_clients: int = Field(
        default=10_000, ge=1, description="clients tracked for rate limiting; the oldest are dropped"
    )
    max_requests: int = Field(default=256, ge=1, description="concurrent requests, over all clients")
