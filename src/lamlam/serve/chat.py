"""The route of OpenAI's chat completions protocol: `/v1/chat/completions`, streamed or whole.

The chat becomes a prompt, using the checkpoint's chat template if it has one, and then works like a completion.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from lamlam.engine import CallBegun, CallResolved, Event, Generation, Prompt, TextWritten
from lamlam.engine.chat import chat_prompt
from lamlam.serve.access import Reader
from lamlam.serve.answering import EVENTS, Answer, answer_to, check_length, lookups_of, settings_of
from lamlam.serve.chat_protocol import (
    Chat,
    ChatChoice,
    ChatChunk,
    ChatChunkChoice,
    ChatLogProbs,
    ChatRequest,
    Delta,
    Reply,
    TokenLogProb,
    TopLogProb,
)
from lamlam.serve.errors import Fault
from lamlam.serve.log_probs import Speller
from lamlam.serve.protocol import Lookup, Usage
from lamlam.serve.state import AppState, StateOf

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["chat"])


@router.post("/chat/completions", response_model=Chat, responses={200: {"content": EVENTS}})
async def chat(asked: ChatRequest, state: StateOf, _: Reader, request: Request) -> Response:
    """Answer the last message. Each answer looks facts up in one revision of the knowledge base."""
    settings = settings_of(asked, state)
    if settings.samples > state.settings.max_texts:
        raise Fault(422, f"a request may have 1 to {state.settings.max_texts} texts", field="n")
    messages = [message.said for message in asked.messages]
    check_length(sum(len(text) for _, text in messages), state, "messages")
    prompt, stops = chat_prompt(messages, state.served.vocabulary)
    settings = settings.model_copy(update={"stop": (*settings.stop, *stops)})
    return await answer_to(request, _Answer(asked, prompt, state), settings, state)


class _Answer(Answer):
    asked: ChatRequest

    def __init__(self, asked: ChatRequest, prompt: Prompt, state: AppState) -> None:
        super().__init__(asked, [prompt], state, "chatcmpl")
        self._speller = Speller(self.vocabulary)
        self._begun: set[int] = set()

    def whole(self, generations: list[Generation], usage: Usage) -> Chat:
        choices = [
            ChatChoice(index=number, message=Reply(content=each.text), **self._told(each))
            for number, each in enumerate(generations)
        ]
        return Chat(id=self.id, created=self.created, model=self.model, choices=choices, usage=usage)

    def piece(self, number: int, event: Event) -> ChatChunk | None:
        """Return a chunk; the first of an answer has the role."""
        if isinstance(event, CallBegun):
            return None
        delta = Delta() if number in self._begun else Delta(role="assistant", content="")
        self._begun.add(number)
        if isinstance(event, TextWritten):
            delta.content = event.text
            return self._chunk([ChatChunkChoice(index=number, delta=delta)])
        if isinstance(event, CallResolved):
            found: list[Lookup] = lookups_of([event.lookup])
            return self._chunk([ChatChunkChoice(index=number, delta=delta, lookups=found)])
        return self._chunk([ChatChunkChoice(index=number, delta=delta, **self._told(event.generation))])

    def ending(self, usage: Usage) -> ChatChunk:
        return self._chunk([], usage)

    def _chunk(self, choices: list[ChatChunkChoice], usage: Usage | None = None) -> ChatChunk:
        return ChatChunk(id=self.id, created=self.created, model=self.model, choices=choices, usage=usage)

    def _told(self, written: Generation) -> dict[str, Any]:
        """Return an answer's fields other than its text."""
        return {
            "finish_reason": "length" if written.finish == "length" else "stop",
            "logprobs": ChatLogProbs(content=self._log_probs(written)) if self.asked.logprobs else None,
            "lookups": lookups_of(written.lookups),
            "revision": written.revision,
        }

    def _log_probs(self, written: Generation) -> list[TokenLogProb]:
        return [
            TokenLogProb(
                **_named((each.spelling, each.log_prob or 0.0)),
                top_logprobs=[TopLogProb(**_named(top)) for top in self._top(each.top)],
            )
            for each in self._speller.written(written)
        ]

    def _top(self, top: Mapping[bytes, float]) -> list[tuple[bytes, float]]:
        likeliest = sorted(top.items(), key=lambda each: -each[1])
        return likeliest[: self.asked.top_logprobs or 0]


def _named(token: tuple[bytes, float]) -> dict[str, Any]:
    spelling, log_prob = token
    return {"token": spelling.decode(errors="replace"), "logprob": log_prob, "bytes": list(spelling)}
