"""What a server allows."""

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ServeSettings"]


class ServeSettings(BaseModel):
    """Limits of a server. Whatever goes beyond is refused, with 408, 413, 422 or 429 and a reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_size: int = Field(default=32, ge=1, description="texts that are written at a time; others wait")
    max_waiting: int = Field(default=256, ge=1, description="texts that are written or wait, of all clients")
    max_texts: int = Field(default=16, ge=1, description="texts that one request may ask for")
    max_tokens: int = Field(default=512, ge=1, description="tokens that one text may have")
    max_prompt: int = Field(default=20_000, ge=1, description="characters of a prompt")
    max_body: int = Field(default=1 << 20, ge=1, description="bytes of a request's body")
    max_facts: int = Field(default=10_000, ge=1, description="facts that one request may write")
    body_seconds: float = Field(default=20.0, gt=0, description="seconds in which a body must have come")
    read_seconds: float = Field(
        default=60.0, gt=0, description="seconds in which a client must read on in its answer, or it is left"
    )
    requests_a_minute: int = Field(default=600, ge=1, description="requests of one client, by token or address")
    max_clients: int = Field(
        default=10_000, ge=1, description="clients whose requests are counted; the oldest go first"
    )
    max_requests: int = Field(default=256, ge=1, description="requests that are answered at a time, of all clients")
