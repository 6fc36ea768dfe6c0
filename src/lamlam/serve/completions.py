"""The routes of OpenAI's completions protocol: `/v1/completions`, streamed or whole, and `/v1/models`.

Each choice also has its lookups. A stream sends each lookup as it is resolved, without a span; the last chunk of a
choice has all of them, with spans.
"""

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from lamlam.engine import CallBegun, CallResolved, Event, Generation, Prompt, TextWritten
from lamlam.serve.access import Reader
from lamlam.serve.answering import EVENTS, Answer, answer_to, check_length, check_model, lookups_of, settings_of
from lamlam.serve.errors import Fault
from lamlam.serve.log_probs import Speller, log_probs_of
from lamlam.serve.protocol import Choice, Completion, CompletionRequest, LogProbs, Model, Models, Usage
from lamlam.serve.state import AppState, StateOf
from lamlam.vocab import Vocabulary

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["completions"])


@router.get("/models")
def models(state: StateOf, _: Reader) -> Models:
    """List the served model."""
    return Models(data=[Model(id=state.served.name, created=state.started)])


@router.get("/models/{name:path}")
def model(name: str, state: StateOf, _: Reader) -> Model:
    """Describe the served model."""
    check_model(name, state)
    return Model(id=name, created=state.started)


@router.post("/completions", response_model=Completion, responses={200: {"content": EVENTS}})
async def complete(asked: CompletionRequest, state: StateOf, _: Reader, request: Request) -> Response:
    """Continue a text. Each text looks facts up in one revision of the knowledge base."""
    settings = settings_of(asked, state)
    return await answer_to(request, _Answer(asked, _prompts(asked, state), state), settings, state)


def _prompts(asked: CompletionRequest, state: AppState) -> list[Prompt]:
    """Return the prompts. Raises `Fault` if they are too many or too long."""
    most = state.settings.max_texts
    if asked.best_of not in (None, asked.n or 1):
        raise Fault(422, "best_of must equal n", field="best_of")
    if not asked.prompts or len(asked.prompts) * (asked.n or 1) > most:
        raise Fault(422, f"a request may have 1 to {most} texts", field="prompt")
    for prompt in asked.prompts:
        check_length(len(prompt), state, "prompt")
    return [_prompt(prompt, state) for prompt in asked.prompts]


def _prompt(prompt: str | list[int], state: AppState) -> Prompt:
    vocabulary = state.served.vocabulary
    if isinstance(prompt, str):
        return Prompt.of(prompt, vocabulary)
    text = _text_of(prompt, vocabulary)
    check_length(len(text), state, "prompt")
    return Prompt.of(text, vocabulary, cut=True)


def _text_of(ids: Sequence[int], vocabulary: Vocabulary) -> str:
    """Return the text of a client's token ids. Raises `Fault` for ids that aren't text tokens."""
    spelled = vocabulary.token_bytes()
    text = ids[1:] if ids[:1] == [vocabulary.bos_id] else ids
    if strange := [each for each in text if each not in spelled]:
        raise Fault(422, f"{strange[0]} is not a text token", field="prompt")
    return b"".join(spelled[each] for each in text).decode(errors="replace")


class _Answer(Answer):
    asked: CompletionRequest

    def __init__(self, asked: CompletionRequest, prompts: Sequence[Prompt], state: AppState) -> None:
        super().__init__(asked, prompts, state, "cmpl")
        self._speller = Speller(self.vocabulary)
        self._begun: set[int] = set()

    def whole(self, generations: list[Generation], usage: Usage) -> Completion:
        return self._completion([self._choice(number, each) for number, each in enumerate(generations)], usage)

    def piece(self, number: int, event: Event) -> Completion | None:
        """Return a chunk; with `echo`, the first of a text starts with the prompt."""
        if isinstance(event, CallBegun):
            return None
        prompt = self._echoed(number) if number not in self._begun else ""
        self._begun.add(number)
        if isinstance(event, TextWritten):
            choice = Choice(index=number, text=prompt + event.text)
        elif isinstance(event, CallResolved):
            choice = Choice(index=number, text=prompt, lookups=lookups_of([event.lookup]))
        else:
            choice = self._choice(number, event.generation).model_copy(update={"text": prompt})
        return self._completion([choice])

    def ending(self, usage: Usage) -> Completion:
        return self._completion([], usage)

    def _completion(self, choices: list[Choice], usage: Usage | None = None) -> Completion:
        return Completion(id=self.id, created=self.created, model=self.model, choices=choices, usage=usage)

    def _echoed(self, number: int) -> str:
        return self.prompts[number // (self.asked.n or 1)].text if self.asked.echo else ""

    def _choice(self, number: int, written: Generation) -> Choice:
        echoed = self._echoed(number)
        return Choice(
            index=number,
            text=echoed + written.text,
            finish_reason="length" if written.finish == "length" else "stop",
            logprobs=None if self.asked.logprobs is None else self._log_probs(number, written),
            lookups=lookups_of(written.lookups, len(echoed)),
            revision=written.revision,
        )

    def _log_probs(self, number: int, written: Generation) -> LogProbs:
        given = self.asked.prompts[number // (self.asked.n or 1)]
        prompt = self._speller.prompt(written, None if isinstance(given, str) else given) if self.asked.echo else []
        return log_probs_of([*prompt, *self._speller.written(written)])
