"""Decoding with lookups by a model that runs on a server.

The server writes on from token ids until a call ends, the call is looked up here, and the value's tokens are put behind
what the server has read already. The grammar of calls is kept by `Sequence`, as for a model at hand: a token that has
no place there is put back, and the server asked for another one.
"""

import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import closing
from types import TracebackType
from typing import Self

import torch

from lamlam.engine.completions import Completions
from lamlam.engine.constraint import CallConstraint
from lamlam.engine.control_tokens import ControlTokens
from lamlam.engine.dialect import Dialect
from lamlam.engine.dispatcher import LookupDispatcher
from lamlam.engine.generation import Event, Generation
from lamlam.engine.remote_sequence import RemoteSequence
from lamlam.engine.sequence import State
from lamlam.engine.settings import DecodingSettings
from lamlam.engine.source import FactSource
from lamlam.engine.transcript import Transcript
from lamlam.errors import LamLamError
from lamlam.server import Broken
from lamlam.vocab import Vocabulary

__all__ = ["RemoteEngine"]

_BARREN = 3  # answers in a row without a token
_SEEDS = 2**31  # that servers take


class RemoteEngine:
    """A server of `/v1/completions`, the vocabulary of its model and a knowledge base.

    `model` is the name under which the server knows the model (default: the first that it lists). `context` is how many
    tokens the model can read (default: what the server says, if it does). `concurrency` requests are made at a time;
    the knowledge base is asked by the calling thread alone. An engine is used by one thread.
    """

    def __init__(
        self,
        url: str,
        vocabulary: Vocabulary,
        kb: FactSource,
        *,
        model: str | None = None,
        api_key: str | None = None,
        context: int | None = None,
        concurrency: int = 16,
        timeout: float = 60.0,
        retries: int = 4,
        pause: float = 0.5,
    ) -> None:
        self.vocabulary, self.kb = vocabulary, kb
        self._server = Completions(url, api_key=api_key, timeout=timeout, retries=retries, pause=pause)
        self._control_tokens = ControlTokens(
            vocabulary, 1 + max(vocabulary.tokenizer.get_vocab().values()), torch.device("cpu")
        )
        self._model, self._context, self._concurrency = model, context, concurrency
        self._known: Dialect | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def generate(self, prompts: Sequence[str], settings: DecodingSettings | None = None) -> list[Generation]:
        """Continue each prompt, `settings.samples` times each; settings without names to choose among (`free`).

        Raises `LamLamError` when the server cannot be reached, does not understand, or cannot do what settings ask.
        """
        settings = settings or DecodingSettings(entities="free")
        sequences = [self._sequence(prompt, one) for prompt in prompts for one in settings.of_samples()]
        self._run(sequences)
        return [sequence.generation() for sequence in sequences]

    def stream(self, prompt: str, settings: DecodingSettings | None = None) -> Iterator[Event]:
        """The events of one continuation, as they happen; the last is `Done`. Raises as `generate` does.

        Closing the iterator hangs up, which lets the server stop.
        """
        sequence = self._sequence(prompt, settings or DecodingSettings(entities="free"))
        dispatcher = LookupDispatcher(self.kb)
        while not sequence.done:
            with closing(self._write_on(sequence)) as steps:
                for _ in steps:
                    yield from sequence.take_events()
            _look_up(dispatcher, [sequence])
            yield from sequence.take_events()
        yield from sequence.take_events()  # of one that had nothing to write
        sequence.check()

    def _run(self, sequences: Sequence[RemoteSequence]) -> None:
        """Let threads wait for the server while this one asks the knowledge base."""
        dispatcher, stopped = LookupDispatcher(self.kb), threading.Event()
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="lamlam-remote")
        try:
            running = {pool.submit(self._until_it_waits, sequence, stopped): sequence for sequence in sequences}
            while running:
                done, _ = wait_for(running, return_when=FIRST_COMPLETED)
                paused = [_checked(future, running.pop(future)) for future in done]
                _look_up(dispatcher, paused)
                for sequence in paused:
                    sequence.check()
                    if not sequence.done:
                        running[pool.submit(self._until_it_waits, sequence, stopped)] = sequence
        finally:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)  # a thread that waits for the server ends by itself

    def _until_it_waits(self, sequence: RemoteSequence, stopped: threading.Event) -> None:
        with closing(self._write_on(sequence)) as steps:
            for _ in steps:
                if stopped.is_set():
                    return

    def _write_on(self, sequence: RemoteSequence) -> Generator[None]:
        """Let the server write until the sequence waits or has ended; yields where something was written."""
        barren = 0
        sequence.resume()
        while sequence.is_ready:
            before = sequence.offered
            try:
                yield from self._ask(sequence)
            except Broken:
                if barren == _BARREN:
                    raise
            barren = 0 if sequence.offered > before else barren + 1
            if barren > _BARREN:
                raise LamLamError(f"the server at {self._server.place} answers without writing anything")
            if barren:
                self._server.rest(barren)

    def _ask(self, sequence: RemoteSequence) -> Generator[None]:
        """Make one request, and take what the server writes as far as it has a place."""
        dialect = self._dialect()
        body = dialect.body(
            sequence.ids,
            sequence.most_tokens,
            sequence.settings,
            seed=(sequence.settings.seed * 1_000_003 + sequence.requests) % _SEEDS,
            banned=sequence.banned,
        )
        sequence.requests += 1
        transcript = Transcript(self._control_tokens, from_ids=dialect.tells_ids)
        with closing(self._server.pieces(body)) as pieces:
            for piece in pieces:
                for token in transcript.tokens(piece):
                    fits = sequence.offer(token)
                    yield
                    if not fits or not sequence.is_ready:
                        return
                if (stopped_by := sequence.stopped_by(piece)) is not None:
                    sequence.offer(stopped_by)
                    yield

    def _dialect(self) -> Dialect:
        assert self._known is not None
        return self._known

    def _meet(self) -> Dialect:
        """Ask the server who it is and what it understands, once."""
        if self._known is None:
            if self._model is None or self._context is None:
                listed = self._server.models()
                said = next((each for each in listed if self._model in (None, each.get("id"))), {})
                self._model = self._model or str(said.get("id", "default"))
                length = said.get("max_model_len")
                self._context = self._context or (length if isinstance(length, int) else None)
            self._known = Dialect.of(self._server, self._control_tokens, self._model)
        return self._known

    def _sequence(self, prompt: str, settings: DecodingSettings) -> RemoteSequence:
        self._refuse_what_cannot_be(settings)
        constraint = CallConstraint(self._control_tokens, self.kb, settings)
        return RemoteSequence(prompt, settings, self._control_tokens, constraint, self._context)

    def _refuse_what_cannot_be(self, settings: DecodingSettings) -> None:
        if settings.entities != "free" or settings.relations != "free":
            raise LamLamError("names cannot be constrained on a server: entities and relations must be 'free'")
        if settings.log_probs or settings.prompt_log_probs:
            raise LamLamError("log-probabilities cannot be had from a server: log_probs must be off")
        if settings.call_bias:
            raise LamLamError("a bias on calls needs the model's logits, which servers don't give: call_bias must be 0")
        if settings.repetition_penalty != 1.0:
            raise LamLamError("servers do not agree on a repetition penalty: repetition_penalty must be 1")
        dialect = self._meet()
        if settings.top_k is not None and not dialect.takes_more:
            raise LamLamError(f"the server at {self._server.place} does not know top_k")
        if not dialect.heeds_bias and (settings.on_miss == "drop" or not settings.lookups):
            asked = "on_miss 'drop'" if settings.lookups else "lookups off"
            raise LamLamError(f"the server at {self._server.place} does not heed logit_bias, which {asked} needs")


def _checked(future: "Future[None]", sequence: RemoteSequence) -> RemoteSequence:
    future.result()
    return sequence


def _look_up(dispatcher: LookupDispatcher, sequences: Sequence[RemoteSequence]) -> None:
    dispatcher.ask([sequence for sequence in sequences if sequence.state is State.WAITING])
    for sequence, resolution in dispatcher.answers(wait=True):
        sequence.answer(resolution)
