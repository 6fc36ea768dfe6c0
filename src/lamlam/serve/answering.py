"""What all generating routes share: limits, complete responses and streams.

The routes format the responses for their protocol.
"""

import asyncio
import json
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import BaseModel

from lamlam.engine import DecodingSettings, Done, Event, Generation, Prompt
from lamlam.engine import Lookup as Call
from lamlam.errors import LamLamError
from lamlam.serve.errors import Fault, fault_of, told
from lamlam.serve.protocol import DecodingRequest, Lookup, Usage
from lamlam.serve.state import AppState

__all__ = ["EVENTS", "Answer", "answer_to", "check_length", "check_model", "settings_of"]

EVENTS: dict[str, Any] = {"text/event-stream": {}}  # if streaming is requested
_DONE = format_sse_event(data_str="[DONE]")
_STREAMED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # keep proxies from buffering
_CLIENT_LEFT = 499  # never sent, only counted


class Answer(ABC):
    """Formats generations for a protocol; each prompt has as many continuations as the request asks for."""

    def __init__(self, asked: DecodingRequest, prompts: Sequence[Prompt], state: AppState, prefix: str) -> None:
        self.asked, self.prompts = asked, prompts
        self.model, self.vocabulary = state.served.name, state.served.vocabulary
        self.id, self.created = f"{prefix}-{secrets.token_hex(12)}", int(time.time())

    @abstractmethod
    def whole(self, generations: list[Generation], usage: Usage) -> BaseModel:
        """Return the complete response."""

    @abstractmethod
    def piece(self, number: int, event: Event) -> BaseModel | None:
        """Return a stream's chunk for an event of text `number`."""

    @abstractmethod
    def ending(self, usage: Usage) -> BaseModel:
        """Return a stream's last chunk."""

    def usage(self, generations: list[Generation]) -> Usage:
        """Count tokens; a prompt counts once however often it is continued."""
        prompts = sum(len(prompt.ids) for prompt in self.prompts)
        written = sum(len(each.ids) - 1 for each in generations) - prompts * (self.asked.n or 1)
        return Usage(prompt_tokens=prompts, completion_tokens=written, total_tokens=prompts + written)


def lookups_of(lookups: Iterable[Call], shift: int = 0) -> list[Lookup]:
    """Convert lookups to API objects, shifting spans by `shift` characters."""
    said = [Lookup.model_validate(lookup.as_json()) for lookup in lookups]
    return [each.model_copy(update={"start": each.start + shift, "end": each.end + shift}) for each in said]


def settings_of(asked: DecodingRequest, state: AppState) -> DecodingSettings:
    """Return the decoding settings. Raises `Fault` over the server's limits, `InputError` for contradictions."""
    check_model(asked.model, state)
    settings, most = asked.decoding(state.served.generation_config), state.settings.max_tokens
    if settings.max_tokens > most and asked.most_tokens is not None:
        raise Fault(422, f"max_tokens is limited to {most}", field="max_tokens")
    return settings


def check_model(name: str | None, state: AppState) -> None:
    if name not in (None, state.served.name):
        raise Fault(404, f"unknown model; this server has '{state.served.name}'", field="model")


def check_length(length: int, state: AppState, field: str) -> None:
    """Raise `Fault` if a prompt is too long."""
    if length > state.settings.max_prompt:
        raise Fault(422, f"a prompt is limited to {state.settings.max_prompt} characters", field=field)


async def answer_to(request: Request, answer: Answer, settings: DecodingSettings, state: AppState) -> Response:
    """Generate the response, complete or streamed. Stops when the client disconnects."""
    if answer.asked.stream:
        chunks = _chunks(answer, settings, state)
        first = await anext(chunks)  # so that an early error is a response of its own, not a broken stream
        return StreamingResponse(_stream(first, chunks), media_type="text/event-stream", headers=_STREAMED)
    writing = asyncio.ensure_future(state.batch.generate(answer.prompts, settings))
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((writing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not writing.done():
            return Response(status_code=_CLIENT_LEFT)
        whole = answer.whole(writing.result(), _counted(answer, writing.result(), state))
        return Response(whole.model_dump_json(), media_type="application/json")
    finally:
        writing.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    """Wait until the client disconnects; the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _chunks(answer: Answer, settings: DecodingSettings, state: AppState) -> AsyncIterator[BaseModel]:
    done: dict[int, Generation] = {}
    with state.batch.writing(answer.prompts, settings) as events:
        async for number, event in events:
            if isinstance(event, Done):
                done[number] = event.generation
            if (piece := answer.piece(number, event)) is not None:
                yield piece
    usage = _counted(answer, list(done.values()), state)
    if answer.asked.stream_options and answer.asked.stream_options.include_usage:
        yield answer.ending(usage)


def _counted(answer: Answer, generations: list[Generation], state: AppState) -> Usage:
    """Record the usage in the metrics and return it."""
    usage = answer.usage(generations)
    state.metrics.count(generations, usage.completion_tokens)
    return usage


async def _stream(first: BaseModel, chunks: AsyncIterator[BaseModel]) -> AsyncIterator[bytes]:
    try:
        yield _event(first.model_dump())
        async for chunk in chunks:
            yield _event(chunk.model_dump())
        yield _DONE
    except LamLamError as error:
        fault = fault_of(error)
        yield _event(told(fault.status, fault.reason, fault.field))
    finally:
        await chunks.aclose()  # type: ignore[attr-defined]


def _event(data: dict[str, Any]) -> bytes:
    return format_sse_event(data_str=json.dumps(data, ensure_ascii=False))
