"""Annotation by any chat model behind an OpenAI-compatible endpoint, hosted or local.

A document is asked about in windows, several documents at a time. Its text is never altered: the model's calls are
moved onto it, and those that can't be are dropped and counted. A document gets no calls if the model refuses a part.
"""

import hashlib
import json
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from lamlam.annotate.chat.client import AnswerCache, ChatClient, ChatSettings
from lamlam.annotate.chat.messages import messages, propose
from lamlam.annotate.vetting import Vetting
from lamlam.checked import checked
from lamlam.markup import AnnotatedDocument
from lamlam.server import Server, key_of_environment
from lamlam.text import windows

__all__ = ["ChatAnnotator", "Estimate", "estimate", "open_chat", "open_client"]

_REFUSED = "refused_documents"
_SMALLEST = 200  # characters of half a window, which is cut in two if the answer was too long
_SHOWN = 200  # characters of a refusal
_CHARACTERS = 4.0  # of ASCII per token, in English; beyond ASCII about one
_CALLS_A_WORD = 0.05  # as in GPT-4o's seed of the paper
_TOKENS_A_CALL = {"list": 45, "markup": 30}
_A_MILLION = 1_000_000


class ChatAnnotator:
    """An `Annotator` that asks about `concurrency` documents at once.

    `refused` maps ids of documents without calls to the reason, in the server's or the model's words.
    """

    name = "chat"

    def __init__(self, client: ChatClient, *, concurrency: int = 8) -> None:
        self._client, self._concurrency = client, concurrency
        self._lock = threading.Lock()
        self._notes: Counter[str] = Counter()
        self.refused: dict[str, str] = {}

    @property
    def settings(self) -> Mapping[str, object]:
        asked = [messages(AnnotatedDocument("", ""), form) for form in self._client.forms]
        digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
        return self._client.settings.model_dump() | {"prompt": digest[:12]}

    def take_notes(self) -> Counter[str]:
        """Return what happened to calls and documents, counted since the last call."""
        with self._lock:
            notes, self._notes = self._notes, Counter()
        return notes

    def annotate(self, document: AnnotatedDocument) -> AnnotatedDocument:
        vetting = Vetting(document)
        refusal = self._refusal(vetting, document, 0, len(document.text), self._client.settings.window)
        vetted = vetting.result()
        with self._lock:
            if refusal is not None:
                self._notes[_REFUSED] += 1
                self.refused[document.id] = _readable(refusal) or "an empty answer"
                return replace(document, calls=())
            self._notes.update(vetted.dropped)
        return vetted.document

    def annotate_many(self, documents: Iterable[AnnotatedDocument]) -> Iterator[AnnotatedDocument]:
        """Yield the documents with calls, in order.

        After an interruption or a failure no new request is made; pending ones are waited for, as they are paid for,
        and their answers are cached.
        """
        running: deque[Future[AnnotatedDocument]] = deque()
        with ThreadPoolExecutor(self._concurrency) as pool:
            try:
                for document in documents:
                    running.append(pool.submit(self.annotate, document))
                    if len(running) >= 2 * self._concurrency:
                        yield running.popleft().result()
                while running:
                    yield running.popleft().result()
            except BaseException as error:
                pool.shutdown(wait=False, cancel_futures=True)
                if not isinstance(error, GeneratorExit):
                    self._client.stop()
                raise

    def _refusal(self, vetting: Vetting, document: AnnotatedDocument, first: int, last: int, size: int) -> str | None:
        """Offer the calls of a part of a document to `vetting`; return the model's words if it refused some of it."""
        for start, end in windows(document.text[first:last], size):
            refusal = self._refusal_of(vetting, document, first + start, first + end)
            if refusal is not None:
                return refusal
        return None

    def _refusal_of(self, vetting: Vetting, document: AnnotatedDocument, start: int, end: int) -> str | None:
        text = document.text[start:end]
        if not text.strip():
            return None
        answer = self._client.ask(replace(document, text=text, calls=()))
        if answer.refused:
            return answer.content or "refused"
        if answer.finish == "length":
            if len(text) < 2 * _SMALLEST:
                return "the answer was cut off"
            return self._refusal(vetting, document, start, end, (len(text) + 1) // 2)
        if not propose(vetting, text, answer.content, start):
            return answer.content
        return None


def _readable(message: str) -> str:
    """Return a message of others in one line, without control characters."""
    return "".join(sign for sign in " ".join(message.split()) if sign.isprintable())[:_SHOWN]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will request and cost; `known` answers are cached and cost nothing.

    Tokens are estimated from characters, as a hosted model's tokenizer isn't available.
    """

    documents: int = 0
    requests: int = 0
    known: int = 0
    words: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def price(self, price_in: float, price_out: float) -> float:
        """Return the price of the tokens, given prices per million."""
        return (self.tokens_in * price_in + self.tokens_out * price_out) / _A_MILLION


def estimate(documents: Iterable[AnnotatedDocument], client: ChatClient) -> Estimate:
    """Estimate the requests for documents with a client's settings and cache; nothing is sent."""
    form = client.forms[0]
    count = requests = known = words = tokens_in = tokens_out = 0
    for document in documents:
        count += 1
        words += len(document.text.split())
        for start, end in windows(document.text, client.settings.window):
            piece = replace(document, text=document.text[start:end], calls=())
            if not piece.text.strip():
                continue
            if client.known(piece) is not None:
                known += 1
                continue
            requests += 1
            tokens_in += sum(_tokens(message["content"]) for message in client.request(piece, form)["messages"])
            calls = round(_CALLS_A_WORD * len(piece.text.split()))
            tokens_out += calls * _TOKENS_A_CALL[form] + (_tokens(piece.text) if form == "markup" else 0)
    return Estimate(count, requests, known, words, tokens_in, tokens_out)


def _tokens(text: str) -> int:
    ascii_ = sum(character.isascii() for character in text)
    return round(ascii_ / _CHARACTERS) + len(text) - ascii_


class _RequestSettings(BaseModel):
    """How a server is asked; doesn't affect its answers."""

    model_config = ConfigDict(extra="forbid")

    concurrency: int = Field(default=8, ge=1, le=256)
    timeout: float = Field(default=300.0, gt=0)  # seconds between two signs of life
    retries: int = Field(default=6, ge=0)


def open_chat(model: str, address: str | None, cache: Path | None, given: Mapping[str, str]) -> ChatAnnotator:
    """Open a chat annotator; without an address it only knows cached answers. `given` are settings of both kinds.

    Raises `InputError` for an unknown or invalid setting, `LamLamError` for an invalid address.
    """
    request = checked(
        _RequestSettings, {key: value for key, value in given.items() if key in _RequestSettings.model_fields}
    )
    server = None
    if address is not None:
        server = Server(address, api_key=key_of_environment(), timeout=request.timeout, retries=request.retries)
    return ChatAnnotator(open_client(model, server, cache, given), concurrency=request.concurrency)


def open_client(model: str, server: Server | None, cache: Path | None, given: Mapping[str, str]) -> ChatClient:
    """Open the client of such an annotator."""
    settings = {key: value for key, value in given.items() if key not in _RequestSettings.model_fields}
    return ChatClient(checked(ChatSettings, {**settings, "model": model}), AnswerCache(cache), server)
