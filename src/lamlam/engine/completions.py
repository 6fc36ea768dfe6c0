"""A client of the OpenAI-compatible `/v1/completions` protocol, which vLLM, SGLang and llama.cpp's server speak.

Here stand requests, streams, timeouts and retries. What is asked for, and what the tokens mean, is the concern of
`dialect` and `remote`. A faulty server becomes one sentence, in which the key never stands.
"""

import json
import random
import threading
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import httpx2

from lamlam.errors import LamLamError

__all__ = ["Broken", "Completions", "Piece", "Refused"]

_LONGEST_REASON = 300  # characters of a server's own words in an error
_LONGEST_PAUSE = 60.0  # seconds


class Refused(LamLamError):
    """The server will not have the request as it is (400, 404, 422 and the like)."""


class Broken(LamLamError):
    """The server went away in the middle of an answer."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a completion: its text, its token ids where the server tells them, and what ended it, in the last."""

    text: str
    ids: tuple[int, ...] | None = None
    finish: str | None = None
    stop_reason: str | int | None = None
    tells_reason: bool = False  # whether the server says what it stopped at; None then is the end of the text


class Completions:
    """A server by its URL, with or without `/v1` or `/v1/completions` at the end.

    Connection faults, 429 and 5xx are met by `retries` further attempts, after a pause that doubles each time or that
    the server asks for. `timeout` is in seconds, between two signs of life.
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, timeout: float = 60.0, retries: int = 4, pause: float = 0.5
    ) -> None:
        base = _base(url)
        self.place = f"{base.scheme}://{base.host}:{base.port}" if base.port else f"{base.scheme}://{base.host}"
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            raise LamLamError("the API key has characters that no HTTP header can carry")
        self._key, self._retries, self._pause = api_key, retries, pause
        self._closed = threading.Event()
        self._client = httpx2.Client(
            base_url=base,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx2.Timeout(timeout, connect=min(timeout, 10.0)),
            limits=httpx2.Limits(max_connections=None),
        )

    def close(self) -> None:
        """Close the connections; what still waits for an answer ends with an error."""
        self._closed.set()
        self._client.close()

    def models(self) -> list[dict[str, Any]]:
        """What the server says of its models; nothing where it does not say."""
        try:
            with closing(self._send("GET", "models", None)) as response:
                return [each for each in json.loads(response.read())["data"] if isinstance(each, dict)]
        except (Refused, KeyError, TypeError, ValueError, httpx2.RequestError):
            return []

    def pieces(self, body: dict[str, Any]) -> Generator[Piece]:
        """Ask for one completion. Closing the iterator lets the server stop.

        Raises `Refused`, `Broken`, or `LamLamError` when the server cannot be reached or fails for good.
        """
        with closing(self._send("POST", "completions", body)) as response:
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

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> httpx2.Response:
        """The response as it begins, after as many attempts as it takes."""
        reason = ""
        for attempt in range(1 + self._retries):
            wait = self._pause_before(attempt + 1)
            try:
                response = self._client.send(self._client.build_request(method, path, json=body), stream=True)
            except httpx2.TimeoutException:
                reason = "did not answer in time"
            except httpx2.RequestError as error:
                reason = f"cannot be reached ({type(error).__name__})"
            except RuntimeError as error:  # the client was closed meanwhile
                raise LamLamError(f"the connection to {self.place} was closed") from error
            else:
                if response.status_code == 200:
                    return response
                with closing(response):
                    reason = f"answered {response.status_code}{self._said(response)}"
                    if response.status_code not in (408, 425, 429) and response.status_code < 500:
                        raise Refused(f"the server at {self.place} {reason}")
                    wait = _asked_for(response) or wait
            if attempt < self._retries:
                self._rest(wait)
        raise LamLamError(f"the server at {self.place} {reason}, {1 + self._retries} times")

    def rest(self, failures: int) -> None:
        """Wait before the next attempt after so many failures in a row."""
        self._rest(self._pause_before(failures))

    def _pause_before(self, attempt: int) -> float:
        return self._pause * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)  # so that clients do not come all at once

    def _rest(self, seconds: float) -> None:
        if self._closed.wait(min(seconds, _LONGEST_PAUSE)):
            raise LamLamError(f"the connection to {self.place} was closed")

    def _said(self, response: httpx2.Response) -> str:
        """The server's own reason, in one line and without the key."""
        try:
            text = response.read().decode(errors="replace")
        except httpx2.RequestError:
            return ""
        return self._reason(text)

    def _reason(self, text: str) -> str:
        with suppress(ValueError):  # what is no JSON is the reason as it stands
            said = json.loads(text)
            while isinstance(said, dict):
                said = said.get("error") or said.get("message") or said.get("detail") or ""
            text = said if isinstance(said, str) else json.dumps(said)
        if self._key:
            text = text.replace(self._key, "***")
        line = " ".join(text.split())
        return f" ({line[:_LONGEST_REASON]})" if line else ""

    def _piece(self, data: str | bytes) -> Piece:
        try:
            said = json.loads(data)
            if "error" in said and not said.get("choices"):
                raise LamLamError(f"the server at {self.place} failed{self._reason(json.dumps(said))}")
            choice = said["choices"][0] if said["choices"] else {}
            ids = choice.get("token_ids", choice.get("tokens"))
            text, finish = choice.get("text") or "", choice.get("finish_reason")
            tells = bool(choice.keys() & {"stop_reason", "matched_stop"})
            reason = choice.get("stop_reason", choice.get("matched_stop"))
            return Piece(str(text), None if ids is None else tuple(map(int, ids)), finish, reason, tells)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise LamLamError(f"the server at {self.place} gave an answer that is no completion") from error


def _base(url: str) -> httpx2.URL:
    try:
        parsed = httpx2.URL(url.strip())
    except (httpx2.InvalidURL, TypeError) as error:
        raise LamLamError("the server's address is no URL") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise LamLamError("the server's address must begin with http:// or https://")
    path = parsed.path.rstrip("/").removesuffix("/completions").removesuffix("/v1")
    return parsed.copy_with(path=path + "/v1/", query=None, fragment=None)


def _asked_for(response: httpx2.Response) -> float | None:
    """Seconds that the server asks to wait."""
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return None
