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
_SMALLEST = 200  # characters of a window that is still cut in two where the answer was too long
_SHOWN = 200  # characters of a refusal
_CHARACTERS = 4.0  # of ASCII a token, in English; beyond ASCII about one
_CALLS_A_WORD = 0.05  # as in GPT-4o's seed of the paper
_TOKENS_A_CALL = {"list": 45, "markup": 30}
_A_MILLION = 1_000_000


class ChatAnnotator:
    """An `Annotator`; `concurrency` is how many documents are asked about at once.

    `refused` tells by the ids of documents why they got no calls: in words of the server's or the model's.
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
        """What became of calls and documents, counted since it was last asked."""
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
        """The documents with calls, in order.

        When it is interrupted, or a document fails, no new request is made, and what was asked already is waited for:
        its answers are paid for, and stay in the cache.
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
        """Offer the calls of a part of a document to `vetting`; the model's words where it refused some of it."""
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


def _readable(said: str) -> str:
    """Words of others in one line, without signs that a terminal obeys."""
    return "".join(sign for sign in " ".join(said.split()) if sign.isprintable())[:_SHOWN]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Documents, the requests that are still to be made for them, and their tokens; `known` answers cost nothing."""

    documents: int = 0
    requests: int = 0
    known: int = 0
    words: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def price(self, price_in: float, price_out: float) -> float:
        """What the tokens cost at so much a million."""
        return (self.tokens_in * price_in + self.tokens_out * price_out) / _A_MILLION


def estimate(documents: Iterable[AnnotatedDocument], client: ChatClient) -> Estimate:
    """The estimate for documents with a client's settings and cache; nothing is sent."""
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
    """How a server is asked; none of it decides what it answers."""

    model_config = ConfigDict(extra="forbid")

    concurrency: int = Field(default=8, ge=1, le=256)
    timeout: float = Field(default=300.0, gt=0)  # seconds between two signs of life
    retries: int = Field(default=6, ge=0)


def open_chat(model: str, address: str | None, cache: Path | None, given: Mapping[str, str]) -> ChatAnnotator:
    """The annotator; without an address it knows what the cache holds. `given` are fields of settings and conduct.

    Raises `InputError` for a setting that is none, or is out of range, `LamLamError` for an address that is none.
    """
    conduct = checked(
        _RequestSettings, {key: value for key, value in given.items() if key in _RequestSettings.model_fields}
    )
    server = None
    if address is not None:
        server = Server(address, api_key=key_of_environment(), timeout=conduct.timeout, retries=conduct.retries)
    return ChatAnnotator(open_client(model, server, cache, given), concurrency=conduct.concurrency)


def open_client(model: str, server: Server | None, cache: Path | None, given: Mapping[str, str]) -> ChatClient:
    """The client of such an annotator, for itself."""
    told = {key: value for key, value in given.items() if key not in _RequestSettings.model_fields}
    return ChatClient(checked(ChatSettings, {**told, "model": model}), AnswerCache(cache), server)
