"""Which chat model judges biographies, where a language model is to judge them."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from lamlam.annotate.chat.opening import open_client
from lamlam.evaluate.factscore.chat import ChatJudge
from lamlam.kb.view import View
from lamlam.server import Server, key_of_environment

__all__ = ["JudgeSettings"]


class JudgeSettings(BaseModel):
    """A server's address, a model of it, and the file that keeps its answers, if any. The key is the environment's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(min_length=1)
    model: str = Field(min_length=1)
    cache: Path | None = None

    def open(self, reference: View) -> ChatJudge:
        """The judge. Raises `LamLamError` for an address that is none."""
        server = Server(self.url, api_key=key_of_environment(), timeout=300.0, retries=6)
        return ChatJudge(open_client(self.model, server, self.cache, {}), reference)
