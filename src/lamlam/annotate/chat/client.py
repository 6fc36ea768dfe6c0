"""Asks a chat model for the calls of one piece of text, in a form that its server can answer in.

Answers are cached on disk, keyed by a digest of the whole request (model, settings, prompt, document; not the server's
address or key): nothing is asked twice, even by another run. Reading an answer is left to `answer`.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lamlam.annotate.chat.messages import SCHEMA, ChatAnswer, Form, messages
from lamlam.errors import InputError, LamLamError
from lamlam.markup import AnnotatedDocument
from lamlam.server import Refused, Server

__all__ = ["AnswerCache", "ChatClient", "ChatSettings"]

_UNFIT = (400, 413, 415, 422, 501)  # refusals of one request; others concern every request
_Temperature = Annotated[float | None, BeforeValidator(lambda given: None if given == "default" else given)]


class ChatSettings(BaseModel):
    """`form` is the form of answers: a list of calls under a schema, markup in a copy of the text, or a list if the
    server supports schemas, else markup. A `temperature` (or "default") or `max_tokens` of None is left to the
    server.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1)
    form: Literal["auto", "list", "markup"] = "auto"
    window: int = Field(default=4000, ge=200)  # characters of a document in one request
    temperature: _Temperature = Field(default=0.0, ge=0.0)
    max_tokens: int | None = Field(default=None, ge=1)


class AnswerCache:
    """An SQLite file of answers, or a database in memory; safe to use from several threads.

    Raises `InputError` if the file cannot be opened or is something else.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self._path, self._lock = path, threading.Lock()
        try:
            if path is not None:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None, timeout=30)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("CREATE TABLE IF NOT EXISTS answers (request TEXT PRIMARY KEY, answer TEXT NOT NULL)")
        except (sqlite3.Error, OSError) as error:
            raise InputError(f"cannot be used as a cache of answers ({error})", path=path) from error

    def __enter__(self) -> "AnswerCache":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def get(self, request: Mapping[str, Any]) -> ChatAnswer | None:
        """Return the answer to a request, if it was answered before."""
        with self._lock:
            row = self._file.execute("SELECT answer FROM answers WHERE request = ?", (_digest(request),)).fetchone()
        return ChatAnswer(**json.loads(row[0])) if row else None

    def put(self, request: Mapping[str, Any], answer: ChatAnswer) -> None:
        """Store an answer. Raises `InputError` if the file cannot be written."""
        row = (_digest(request), json.dumps(asdict(answer)))
        try:
            with self._lock:
                self._file.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", row)
        except sqlite3.Error as error:
            raise InputError(f"an answer cannot be kept ({error})", path=self._path) from error


class ChatClient:
    """A chat model, its settings and its cached answers; safe to use from several threads.

    `forms` are the possible forms of answers, best first; the first that the server accepts is used from then on.
    Without a `server` only cached answers are available.
    """

    def __init__(self, settings: ChatSettings, cache: AnswerCache, server: Server | None) -> None:
        self.settings, self._cache, self._server = settings, cache, server
        self.forms: tuple[Form, ...] = ("list", "markup") if settings.form == "auto" else (settings.form,)
        self._tried = self.forms
        self._lock = threading.Lock()
        self.requests = self.tokens_in = self.tokens_out = 0

    def request(self, document: AnnotatedDocument, form: Form) -> dict[str, Any]:
        """Return the body of the request for a document's calls."""
        return self.body(messages(document, form), "calls", SCHEMA if form == "list" else None)

    def body(self, asked: list[dict[str, str]], name: str, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the body of a request with these messages, to be answered under a schema, if one is given."""
        settings = self.settings
        body: dict[str, Any] = {"model": settings.model, "messages": asked}
        if settings.temperature is not None:
            body["temperature"] = settings.temperature
        if settings.max_tokens is not None:
            body["max_tokens"] = settings.max_tokens
        if schema is not None:
            named = {"name": name, "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body

    def answer_to(self, asked: list[dict[str, str]], name: str, schema: Mapping[str, Any]) -> ChatAnswer:
        """Return the answer to messages, from the cache or the server; without the schema if the server refuses it.

        Raises as `ask` does, and `Refused` if the server refuses both.
        """
        bodies = [self.body(asked, name, schema), self.body(asked, name, None)]
        known = self._known(bodies)
        return known if known is not None else self._first_taken(bodies)[1]

    def known(self, document: AnnotatedDocument) -> ChatAnswer | None:
        """Return the cached answer, in any form."""
        return self._known(self.request(document, form) for form in self.forms)

    def ask(self, document: AnnotatedDocument) -> ChatAnswer:
        """Return the model's answer about one piece of text; a server's refusal of this text is an answer too.

        Raises `LamLamError` if the server cannot be reached, fails for good, or refuses every request.
        """
        known = self.known(document)
        if known is not None:
            return known
        tried = self._tried
        try:
            place, answer = self._first_taken(self.request(document, form) for form in tried)
        except Refused as error:
            if error.status not in _UNFIT:
                raise
            return ChatAnswer(str(error), refused=True)
        self._tried = (tried[place],)
        return answer

    def _known(self, bodies: Iterable[Mapping[str, Any]]) -> ChatAnswer | None:
        return next((answer for body in bodies if (answer := self._cache.get(body)) is not None), None)

    def _first_taken(self, bodies: Iterable[Mapping[str, Any]]) -> tuple[int, ChatAnswer]:
        """Return the number of the first request that the server accepts, and its answer, which is cached.

        Raises `Refused` if it accepts none, or refuses one for reasons that concern every request.
        """
        refusal: Refused | None = None
        for place, body in enumerate(bodies):
            try:
                answer = self._answer(body)
            except Refused as error:
                if error.status not in _UNFIT:
                    raise
                refusal = error
                continue
            self._cache.put(body, answer)
            return place, answer
        assert refusal is not None
        raise refusal

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()

    def _answer(self, body: Mapping[str, Any]) -> ChatAnswer:
        if self._server is None:
            raise LamLamError("the answer is not in the cache, and no --server was given")
        response = self._server.ask("chat/completions", body)
        try:
            choice = response["choices"][0]
            message, usage = choice["message"], response.get("usage") or {}
            content, finish = message.get("content") or "", choice.get("finish_reason")
            counts = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
            refused = bool(message.get("refusal")) or finish == "content_filter"
            answer = ChatAnswer(str(content), finish, refused, *counts)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise LamLamError(
                f"the server at {self._server.place} returned something other than a chat completion"
                + self._server.reason_in(str(response.get("error") or ""))
            ) from error
        with self._lock:
            self.requests += 1
            self.tokens_in += answer.tokens_in
            self.tokens_out += answer.tokens_out
        return answer


def _digest(request: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
