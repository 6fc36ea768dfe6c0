"""A server that speaks an OpenAI-compatible protocol over HTTP: requests, timeouts, retries.

What is asked for is left to the protocol's own client. A faulty server becomes one sentence, in which the key never
stands.
"""

import json
import os
import random
import re
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from lamlam.errors import LamLamError

__all__ = ["Broken", "Refused", "Server", "key_of_environment"]

_KEY = "LAMLAM_API_KEY"  # in the environment: what stands on a command line can be seen by others
_LONGEST_REASON = 300  # characters of a server's own words in an error
_LONGEST_PAUSE = 60.0  # seconds
_VERSION = re.compile(r"/v\d")  # of the protocol, somewhere in the path


class Refused(LamLamError):
    """The server will not have the request as it is (`status` 400, 404, 422 and the like)."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


class Broken(LamLamError):
    """The server went away in the middle of an answer."""


class Server:
    """A server by its URL, with or without `/v1` or `/v1/...` at the end.

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
        self.stop()
        self._client.close()

    def stop(self) -> None:
        """Make no further attempts; what is being answered still comes."""
        self._closed.set()

    def models(self) -> list[dict[str, Any]]:
        """What the server says of its models; nothing where it does not say."""
        try:
            with closing(self.send("GET", "models", None)) as response:
                return [each for each in json.loads(response.read())["data"] if isinstance(each, dict)]
        except (Refused, KeyError, TypeError, ValueError, httpx2.RequestError):
            return []

    def send(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx2.Response:
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
                        raise Refused(f"the server at {self.place} {reason}", response.status_code)
                    wait = _asked_for(response) or wait
            if attempt < self._retries:
                self._rest(wait)
        raise LamLamError(f"the server at {self.place} {reason}, {1 + self._retries} times")

    def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON object that a request is answered with; where that is broken, of another attempt.

        Raises `Refused`, or `LamLamError` when the server cannot be reached or fails for good.
        """
        for failures in range(1, 2 + self._retries):
            with suppress(Broken):
                return self._object(path, body)
            if failures <= self._retries:
                self.rest(failures)
        raise LamLamError(f"the server at {self.place} gave no whole answer, {1 + self._retries} times")

    def _object(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        with closing(self.send("POST", path, body)) as response:
            try:
                said = json.loads(response.read())
            except (httpx2.RequestError, ValueError) as error:
                raise Broken(f"the server at {self.place} gave no whole answer") from error
        if not isinstance(said, dict):
            raise Broken(f"the server at {self.place} gave an answer that is no object")
        return said

    def rest(self, failures: int) -> None:
        """Wait before the next attempt after so many failures in a row."""
        self._rest(self._pause_before(failures))

    def _pause_before(self, attempt: int) -> float:
        return self._pause * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)  # so that clients do not come all at once

    def _rest(self, seconds: float) -> None:
        if self._closed.wait(min(seconds, _LONGEST_PAUSE)):
            raise LamLamError(f"the connection to {self.place} was closed")

    def _said(self, response: httpx2.Response) -> str:
        try:
            text = response.read().decode(errors="replace")
        except httpx2.RequestError:
            return ""
        return self.reason_in(text)

    def reason_in(self, text: str) -> str:
        """What a server says of a fault, in brackets, in one line and without the key."""
        with suppress(ValueError):  # what is no JSON is the reason as it stands
            said = json.loads(text)
            while isinstance(said, dict):
                said = said.get("error") or said.get("message") or said.get("detail") or ""
            text = said if isinstance(said, str) else json.dumps(said)
        if self._key:
            text = text.replace(self._key, "***")
        line = " ".join(text.split())
        return f" ({line[:_LONGEST_REASON]})" if line else ""


def key_of_environment() -> str | None:
    """The API key of the environment variable LAMLAM_API_KEY, where there is one."""
    return os.environ.get(_KEY) or None


def _base(url: str) -> httpx2.URL:
    try:
        parsed = httpx2.URL(url.strip())
    except (httpx2.InvalidURL, TypeError) as error:
        raise LamLamError("the server's address is no URL") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise LamLamError("the server's address must begin with http:// or https://")
    path = parsed.path.rstrip("/").removesuffix("/completions").removesuffix("/chat")
    if not _VERSION.search(path):
        path += "/v1"
    return parsed.copy_with(path=path + "/", query=None, fragment=None)


def _asked_for(response: httpx2.Response) -> float | None:
    """Seconds that the server asks to wait: a number, or a date."""
    asked = response.headers.get("retry-after", "")
    with suppress(ValueError):
        return max(0.0, float(asked))
    with suppress(ValueError):
        return max(0.0, (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds())
    return None
