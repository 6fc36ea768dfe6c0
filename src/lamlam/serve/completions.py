"""The routes of OpenAI's completions protocol: `/v1/completions`, streamed or whole, and `/v1/models`.

Each choice also carries its lookups. In a stream, a lookup comes as it is resolved, without a span; the last chunk of a
choice has them all, with their spans.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

from lamlam.engine import CallBegun, CallResolved, DecodingSettings, Done, Event, Generation, TextWritten
from lamlam.engine import Lookup as Call
from lamlam.errors import LamLamError
from lamlam.serve.access import Reader
from lamlam.serve.errors import Fault, fault_of, told
from lamlam.serve.protocol import Choice, Completion, CompletionRequest, LogProbs, Lookup, Model, Models, Usage
from lamlam.serve.site import Site, SiteOf
from lamlam.vocab import Kind, opened

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["completions"])

_DONE = format_sse_event(data_str="[DONE]")
_STREAMED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # a proxy must not hold it back
_EVENTS: dict[str, Any] = {"text/event-stream": {}}  # where a stream is asked for
_CLIENT_LEFT = 499  # nobody reads it, but it is counted


@router.get("/models")
def models(site: SiteOf, _: Reader) -> Models:
    """List what is served: one model."""
    return Models(data=[Model(id=site.served.name, created=site.started)])


@router.get("/models/{name:path}")
def model(name: str, site: SiteOf, _: Reader) -> Model:
    """Describe the model that is served."""
    _check_model(name, site)
    return Model(id=name, created=site.started)


@router.post("/completions", response_model=Completion, responses={200: {"content": _EVENTS}})
async def complete(asked: CompletionRequest, site: SiteOf, _: Reader, request: Request) -> Response:
    """Continue a text. Facts are looked up on the way, for each text in one revision of the knowledge base."""
    settings = _settings(asked, site)
    answer = _Answer(asked, site)
    if asked.stream:
        chunks = _chunks(answer, site, settings)
        first = await anext(chunks)  # before it, a refusal is an answer of its own and no broken stream
        return StreamingResponse(_stream(first, chunks), media_type="text/event-stream", headers=_STREAMED)
    writing = asyncio.ensure_future(site.batch.generate(asked.prompts, settings))
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((writing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not writing.done():
            return Response(status_code=_CLIENT_LEFT)
        completion = answer.whole(writing.result(), _counted(answer, writing.result(), site))
        return Response(completion.model_dump_json(), media_type="application/json")
    finally:
        writing.cancel()
        leaving.cancel()


def _settings(asked: CompletionRequest, site: Site) -> DecodingSettings:
    """The settings of decoding. Raises `Fault` for what the server does not allow, `InputError` for contradictions."""
    _check_model(asked.model, site)
    limits, prompts = site.settings, asked.prompts
    if asked.best_of not in (None, asked.n or 1):
        raise Fault(422, "best_of must equal n: nothing is chosen among", field="best_of")
    if not prompts or len(prompts) * (asked.n or 1) > limits.max_texts:
        raise Fault(422, f"a request may ask for 1 to {limits.max_texts} texts", field="prompt")
    if any(len(prompt) > limits.max_prompt for prompt in prompts):
        raise Fault(422, f"a prompt may have {limits.max_prompt} characters", field="prompt")
    if asked.max_tokens is not None and asked.max_tokens > limits.max_tokens:
        raise Fault(422, f"max_tokens may be {limits.max_tokens} at most", field="max_tokens")
    return DecodingSettings.of(site.served.generation_config, **asked.decoding())


def _check_model(name: str | None, site: Site) -> None:
    if name not in (None, site.served.name):
        raise Fault(404, f"there is no such model: this server has '{site.served.name}'", field="model")


async def _left(request: Request) -> None:
    """Wait until the client hangs up; the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _chunks(answer: "_Answer", site: Site, settings: DecodingSettings) -> AsyncIterator[Completion]:
    done: dict[int, Generation] = {}
    with site.batch.writing(answer.asked.prompts, settings) as events:
        async for number, event in events:
            if isinstance(event, Done):
                done[number] = event.generation
            if (choice := answer.piece(number, event)) is not None:
                yield answer.completion([choice])
    usage = _counted(answer, list(done.values()), site)
    if answer.asked.stream_options and answer.asked.stream_options.include_usage:
        yield answer.completion([], usage)


def _counted(answer: "_Answer", generations: list[Generation], site: Site) -> Usage:
    """What the texts took, once it is in the metrics."""
    usage = answer.usage(generations)
    site.metrics.count(generations, usage.completion_tokens)
    return usage


async def _stream(first: Completion, chunks: AsyncIterator[Completion]) -> AsyncIterator[bytes]:
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


class _Answer:
    """Puts generations into the protocol's words."""

    def __init__(self, asked: CompletionRequest, site: Site) -> None:
        self.asked, self._model, self._vocabulary = asked, site.served.name, site.served.vocabulary
        self._id, self._created = f"cmpl-{secrets.token_hex(12)}", int(time.time())
        self._begun: set[int] = set()

    def whole(self, generations: list[Generation], usage: Usage) -> Completion:
        return self.completion([self._choice(number, each) for number, each in enumerate(generations)], usage)

    def completion(self, choices: list[Choice], usage: Usage | None = None) -> Completion:
        return Completion(id=self._id, created=self._created, model=self._model, choices=choices, usage=usage)

    def piece(self, number: int, event: Event) -> Choice | None:
        """What a stream tells of an event; the first of a text begins with the prompt where that is asked for."""
        if isinstance(event, CallBegun):
            return None
        prompt = ""
        if self.asked.echo and number not in self._begun:
            prompt = self.asked.prompts[number // (self.asked.n or 1)].rstrip()
        self._begun.add(number)
        if isinstance(event, TextWritten):
            return Choice(index=number, text=prompt + event.text)
        if isinstance(event, CallResolved):
            return Choice(index=number, text=prompt, lookups=self._lookups([event.lookup], 0))
        return self._choice(number, event.generation).model_copy(update={"text": prompt})

    def usage(self, generations: list[Generation]) -> Usage:
        """A prompt counts once, however often it is continued."""
        prompts = [len(self._vocabulary.encode(opened(prompt.rstrip()))) for prompt in self.asked.prompts]
        written = sum(len(each.ids) - 1 for each in generations) - sum(prompts) * (self.asked.n or 1)
        return Usage(prompt_tokens=sum(prompts), completion_tokens=written, total_tokens=sum(prompts) + written)

    def _choice(self, number: int, written: Generation) -> Choice:
        echoed = written.prompt if self.asked.echo else ""
        return Choice(
            index=number,
            text=echoed + written.text,
            finish_reason="length" if written.finish == "length" else "stop",
            logprobs=self._log_probs(written, len(echoed)) if written.log_probs else None,
            lookups=self._lookups(written.lookups, len(echoed)),
            revision=written.revision,
        )

    def _lookups(self, lookups: Iterable[Call], shift: int) -> list[Lookup]:
        """Lookups as the protocol has them; spans count from the text's beginning, which may be the prompt's."""
        said = [Lookup.model_validate(lookup.as_json()) for lookup in lookups]
        return [each.model_copy(update={"start": each.start + shift, "end": each.end + shift}) for each in said]

    def _log_probs(self, written: Generation, at: int) -> LogProbs:
        """Of the visible tokens that were chosen; what calls are made of is not in the text."""
        found, spelled = LogProbs(), self._vocabulary.token_bytes()
        text = b""
        for token, kind, log_prob in zip(written.ids, written.kinds, written.log_probs, strict=True):
            if kind is Kind.TEXT and log_prob is not None:
                found.tokens.append(spelled[token].decode(errors="replace"))
                found.token_logprobs.append(log_prob)
                found.text_offset.append(at + len(text.decode(errors="ignore")))
                text += spelled[token]
        return found
