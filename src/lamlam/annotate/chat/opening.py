"""A chat annotator from what a user says of it, and the key from the environment."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from lamlam.annotate.chat.annotator import ChatAnnotator
from lamlam.annotate.chat.cache import AnswerCache
from lamlam.annotate.chat.client import ChatClient
from lamlam.annotate.chat.settings import ChatSettings
from lamlam.checked import checked
from lamlam.server import Server, key_of_environment

__all__ = ["open_chat", "open_client"]


class _Conduct(BaseModel):
    """How a server is asked; none of it decides what it answers."""

    model_config = ConfigDict(extra="forbid")

    concurrency: int = Field(default=8, ge=1, le=256)
    timeout: float = Field(default=300.0, gt=0)  # seconds between two signs of life
    retries: int = Field(default=6, ge=0)


def open_chat(model: str, address: str | None, cache: Path | None, given: Mapping[str, str]) -> ChatAnnotator:
    """The annotator; without an address it knows what the cache holds. `given` are fields of settings and conduct.

    Raises `InputError` for a setting that is none, or is out of range, `LamLamError` for an address that is none.
    """
    conduct = checked(_Conduct, {key: value for key, value in given.items() if key in _Conduct.model_fields})
    server = None
    if address is not None:
        server = Server(address, api_key=key_of_environment(), timeout=conduct.timeout, retries=conduct.retries)
    return ChatAnnotator(open_client(model, server, cache, given), concurrency=conduct.concurrency)


def open_client(model: str, server: Server | None, cache: Path | None, given: Mapping[str, str]) -> ChatClient:
    """The client of such an annotator, for itself."""
    told = {key: value for key, value in given.items() if key not in _Conduct.model_fields}
    return ChatClient(checked(ChatSettings, {**told, "model": model}), AnswerCache(cache), server)
