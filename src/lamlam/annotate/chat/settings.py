"""What decides the answers of a chat model, but for the prompt."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["ChatSettings"]


_Temperature = Annotated[float | None, BeforeValidator(lambda given: None if given == "default" else given)]


class ChatSettings(BaseModel):
    """`form` is what answers are asked for as: a list of calls under a schema, markup in a copy of the text, or a list
    where the server takes schemas, else markup. A `temperature` (or "default") or `max_tokens` of None is left to the
    server.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1)
    form: Literal["auto", "list", "markup"] = "auto"
    window: int = Field(default=4000, ge=200)  # characters of a document in one request
    temperature: _Temperature = Field(default=0.0, ge=0.0)
    max_tokens: int | None = Field(default=None, ge=1)
