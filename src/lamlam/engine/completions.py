"""A client of the OpenAI-compatible `/v1/completions` protocol, which vLLM, SGLang and llama.cpp's server speak.

Here stand streams and what their pieces tell; requests, timeouts and retries are `server`'s. What is asked for, and
what the tokens mean, is the concern of `dialect` and `remote`.
"""

import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx2

from lamlam.errors import LamLamError
from lamlam.server import Broken, Server

__all__ = ["Completions", "Piece"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a completion: its text, its token ids where the server tells them, and what ended it, in the last."""

    text: str
    ids: tuple[int, ...] | None = None
    finish: str | None = None
    stop_reason: str | int | None = None
    tells_reason: bool = False  # whether the server says what it stopped at; None then is the end of the text


class Completions(Server):
    """A server by its URL, asked for completions."""

    def pieces(self, body: dict[str, Any]) -> Generator[Piece]:
        """Ask for one completion. Closing the iterator lets the server stop.

        Raises `Refused`, `Broken`, or `LamLamError` when the server cannot be reached or fails for good.
        """
        with closing(self.send("POST", "completions", body)) as response:
            try:
                if response.headers.get("content-type", "").startswith("text/event-stream"):
                    ended = False
                    for line in response.iter_lines():
                        data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                        if data == "[DONE]":
                            return
                        if data:
                            piece = self._piece(data)
                            ended = ended or piece.finish is not None
                            yield piece
                    if not ended:
                        raise Broken(f"the server at {self.place} broke off in the middle of an answer")
                else:
                    yield self._piece(response.read())
            except httpx2.RequestError as error:
                raise Broken(f"the server at {self.place} broke off in the middle of an answer") from error

    def whole(self, body: dict[str, Any]) -> list[Piece]:
        """All pieces of one completion; where it broke off, of another attempt."""
        for failures in range(1, 1 + self._retries):
            try:
                return list(self.pieces(body))
            except Broken:
                self.rest(failures)
        return list(self.pieces(body))

    def _piece(self, data: str | bytes) -> Piece:
        try:
            said = json.loads(data)
            if "error" in said and not said.get("choices"):
                raise LamLamError(f"the server at {self.place} failed{self.reason_in(json.dumps(said))}")
            choice = said["choices"][0] if said["choices"] else {}
            ids = choice.get("token_ids", choice.get("tokens"))
            text, finish = choice.get("text") or "", choice.get("finish_reason")
            tells = bool(choice.keys() & {"stop_reason", "matched_stop"})
            reason = choice.get("stop_reason", choice.get("matched_stop"))
            return Piece(str(text), None if ids is None else tuple(map(int, ids)), finish, reason, tells)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise LamLamError(f"the server at {self.place} gave an answer that is no completion") from error
