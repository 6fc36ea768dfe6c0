"""Annotation by any chat model behind an OpenAI-compatible endpoint, hosted or local.

A document is asked about in windows, several documents at a time. Its text is never altered: the model's calls are
moved onto it, and what cannot be moved is dropped and counted. A document of which the model refuses a part gets no
calls at all.
"""

import hashlib
import json
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from lamlam.annotate.chat.answer import propose
from lamlam.annotate.chat.client import ChatClient
from lamlam.annotate.chat.prompt import messages
from lamlam.annotate.vetting import Vetting
from lamlam.markup import AnnotatedDocument
from lamlam.text import windows

__all__ = ["ChatAnnotator"]

_REFUSED = "refused_documents"
_SMALLEST = 200  # characters of a window that is still cut in two where the answer was too long
_SHOWN = 200  # characters of a refusal


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
