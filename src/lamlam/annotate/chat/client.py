"""Asks a chat model for the calls of one piece of text, in the form that its server can answer in.

What was answered before comes from the cache. Reading the answer is left to `answer`.
"""

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from lamlam.annotate.chat.answer import Answer
from lamlam.annotate.chat.cache import AnswerCache
from lamlam.annotate.chat.prompt import SCHEMA, Form, messages
from lamlam.annotate.chat.settings import ChatSettings
from lamlam.errors import LamLamError
from lamlam.markup import AnnotatedDocument
from lamlam.server import Refused, Server

__all__ = ["ChatClient"]

_UNFIT = (400, 413, 415, 422, 501)  # said of this request; other refusals are said of every one


class ChatClient:
    """A chat model, its settings, and the answers that it has given; used by several threads.

    `forms` are those that may be asked for, the best first; the first that the server takes is kept to. With `server`
    None only what the cache holds can be asked.
    """

    def __init__(self, settings: ChatSettings, cache: AnswerCache, server: Server | None) -> None:
        self.settings, self._cache, self._server = settings, cache, server
        self.forms: tuple[Form, ...] = ("list", "markup") if settings.form == "auto" else (settings.form,)
        self._tried = self.forms
        self._lock = threading.Lock()
        self.requests = self.tokens_in = self.tokens_out = 0

    def request(self, document: AnnotatedDocument, form: Form) -> dict[str, Any]:
        """The body of the request for a document's calls."""
        return self.body(messages(document, form), "calls", SCHEMA if form == "list" else None)

    def body(self, said: list[dict[str, str]], name: str, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        """The body of a request with these messages, to be answered under a schema of this name, where one is given."""
        settings = self.settings
        body: dict[str, Any] = {"model": settings.model, "messages": said}
        if settings.temperature is not None:
            body["temperature"] = settings.temperature
        if settings.max_tokens is not None:
            body["max_tokens"] = settings.max_tokens
        if schema is not None:
            named = {"name": name, "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body

    def answer_to(self, said: list[dict[str, str]], name: str, schema: Mapping[str, Any]) -> Answer:
        """The answer to any messages, from the cache or the server; without the schema where the server takes none.

        Raises as `ask` does, and `Refused` where the server will have neither.
        """
        bodies = [self.body(said, name, schema), self.body(said, name, None)]
        known = self._known(bodies)
        return known if known is not None else self._first_taken(bodies)[1]

    def known(self, document: AnnotatedDocument) -> Answer | None:
        """The answer that the cache holds, in whichever form."""
        return self._known(self.request(document, form) for form in self.forms)

    def ask(self, document: AnnotatedDocument) -> Answer:
        """The model's answer about one piece of text; a refusal of this text by the server is an answer, too.

        Raises `LamLamError` when the server cannot be reached, fails for good, or refuses every request.
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
            return Answer(str(error), refused=True)
        self._tried = (tried[place],)
        return answer

    def _known(self, bodies: Iterable[Mapping[str, Any]]) -> Answer | None:
        return next((answer for body in bodies if (answer := self._cache.get(body)) is not None), None)

    def _first_taken(self, bodies: Iterable[Mapping[str, Any]]) -> tuple[int, Answer]:
        """Which of the requests the server takes, the first that it does, and its answer, which is kept.

        Raises `Refused` where it takes none, or refuses one for another reason than what it asks for.
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

    def _answer(self, body: Mapping[str, Any]) -> Answer:
        if self._server is None:
            raise LamLamError("no server was named to ask")
        said = self._server.ask("chat/completions", body)
        try:
            choice = said["choices"][0]
            message, usage = choice["message"], said.get("usage") or {}
            content, finish = message.get("content") or "", choice.get("finish_reason")
            counts = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
            refused = bool(message.get("refusal")) or finish == "content_filter"
            answer = Answer(str(content), finish, refused, *counts)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise LamLamError(
                f"the server at {self._server.place} gave an answer that is no chat completion"
                + self._server.reason_in(str(said.get("error") or ""))
            ) from error
        with self._lock:
            self.requests += 1
            self.tokens_in += answer.tokens_in
            self.tokens_out += answer.tokens_out
        return answer
