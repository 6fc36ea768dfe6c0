"""Decoding with lookups: a running batch, which requests join and leave, and each step reads on in every sequence.

The sequences keep the grammar and the texts, the batch runs the model, the drafter guesses ahead, the dispatcher asks
the knowledge base. Calls that end in one step are looked up together, and their values enter as token ids, so that
nothing is read twice (decoding interleaved with lookups: arXiv 2505.15962).
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch
from transformers import PreTrainedModel

from lamlam.engine.batch import Batch
from lamlam.engine.constraint import CallConstraint
from lamlam.engine.context import context_of
from lamlam.engine.control_tokens import ControlTokens
from lamlam.engine.dispatcher import LookupDispatcher
from lamlam.engine.draft import Draft, Drafter, Guess
from lamlam.engine.generation import Event, Generation
from lamlam.engine.prompt import Prompt
from lamlam.engine.sampling import Sampler
from lamlam.engine.sequence import DecodingSequence, State
from lamlam.engine.settings import DecodingSettings
from lamlam.engine.source import FactSource
from lamlam.errors import LamLamError
from lamlam.vocab import Vocabulary

__all__ = ["Engine"]

_TOKENS_A_PASS = {"cpu": 16}  # as many tokens take as long to read as a pass takes that reads none
_TOKENS_A_PASS_ELSEWHERE = 256
_SCORED_AT_ONCE = 256
_SEARCHED, _LEAST_SEARCHED = 64, 16  # nodes of all searches that a pass reads, and of each at least


@dataclass(slots=True)
class Counters:
    """What the engine did: passes of the model, tokens it read, tokens drafted, and drafted ones that were right.

    `call_passes` are those in which a sequence was in a call, its value left out, once for each sequence.
    """

    passes: int = 0
    call_passes: int = 0
    tokens: int = 0
    guesses: Counter[Guess] = field(default_factory=Counter)  # drafted ones by kind
    right: Counter[Guess] = field(default_factory=Counter)  # of which so many were right

    @property
    def drafted(self) -> int:
        return self.guesses.total()

    @property
    def accepted(self) -> int:
        return self.right.total()

    def count(self, draft: Draft, accepted: int) -> None:
        self.guesses.update(guess for guess, _ in draft.guesses)
        self.right.update(guess for guess, _ in draft.guesses[:accepted])


class Engine:
    """A model, its vocabulary and a knowledge base. The model is put on `device` and into evaluation mode.

    With a `dtype` its weights are converted (`fast_dtype` tells in which one a device is fast).

    At most `batch_size` sequences run at a time; others wait for their turn. With `speculate`, tokens that are likely
    to follow are read ahead: what is written stays the same, and is written in fewer passes. With `compile`, the model
    is compiled by the first passes, which takes a while, and on a GPU recorded as CUDA graphs. A knowledge base that
    may be slow is asked beside the model, over a connection that `open_source` opens. Raises `LamLamError` when the
    model has fewer token embeddings than the vocabulary has tokens.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        vocabulary: Vocabulary,
        kb: FactSource,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        batch_size: int = 32,
        speculate: bool = True,
        compile: bool = False,
        open_source: Callable[[], FactSource] | None = None,
    ) -> None:
        width: int = model.config.vocab_size
        if width < len(vocabulary):
            raise LamLamError(f"the model has {width} token embeddings and the vocabulary {len(vocabulary)} tokens")
        self.model: PreTrainedModel = model.to(torch.device(device), dtype).eval()  # type: ignore[arg-type]
        self.vocabulary, self.kb = vocabulary, kb
        self.counters = Counters()
        self._slots = batch_size
        self._context = context_of(model.config)
        self._control_tokens = ControlTokens(vocabulary, width, self.model.device)
        self._batch = Batch(self.model, batch_size, compile=compile)
        self._drafter = Drafter(vocabulary) if speculate else None
        self._tokens_a_pass = _TOKENS_A_PASS.get(self.model.device.type, _TOKENS_A_PASS_ELSEWHERE)
        self._dispatcher = LookupDispatcher(kb, open_source)
        self._waiting: deque[DecodingSequence] = deque()
        self._running: list[DecodingSequence] = []  # each in the slot of its place

    # A running batch

    def submit(self, prompt: str | Prompt, settings: DecodingSettings | None = None) -> DecodingSequence:
        """Let a prompt be continued by the next steps. White space at its end is not read.

        Raises `LamLamError` when the prompt fills the model's context or is no valid Unicode.
        """
        sequence = self._sequence(prompt, settings or DecodingSettings())
        self._waiting.append(sequence)
        return sequence

    def cancel(self, sequence: DecodingSequence) -> None:
        """Let a sequence go at once, wherever it stands; its slot is free for the next one."""
        if sequence in self._waiting:
            self._waiting.remove(sequence)
        elif sequence in self._running:
            self._leave(self._running.index(sequence))
        self._dispatcher.forget(sequence)

    def step(self) -> bool:
        """Read on in every sequence, and look up what was asked for; False where there is nothing to do."""
        self._join()
        self._score_prompts()
        if self._running and all(sequence.state is State.WAITING for sequence in self._running):
            self._enter_values(wait=True)
        ready = [slot for slot, sequence in enumerate(self._running) if sequence.is_ready]
        if ready:
            self._read(ready, [self._draft(self._running[slot], len(ready)) for slot in ready])
        self._dispatcher.ask([sequence for sequence in self._running if sequence.state is State.WAITING])
        self._enter_values()
        self._retire()
        return bool(self._running or self._waiting)

    def close(self) -> None:
        """End the thread that asks a slow knowledge base, and its connection."""
        self._dispatcher.close()

    # Whole texts

    def generate(self, prompts: Sequence[str], settings: DecodingSettings | None = None) -> list[Generation]:
        """Continue each prompt, as it would be continued alone, `settings.samples` times each.

        Every sequence samples from a generator with the settings' seed (the next seed for the next sample): equal
        prompts are continued alike. Raises `LamLamError` as `submit` does, before anything is decoded, and where the
        knowledge base raised one; what others submitted goes on.
        """
        settings = settings or DecodingSettings()
        sequences = [self._sequence(prompt, one) for prompt in prompts for one in settings.of_samples()]
        self.run(sequences)
        return [sequence.generation() for sequence in sequences]

    def run(self, sequences: Sequence[DecodingSequence]) -> None:
        """Step until these have ended; where that is interrupted, they are cancelled."""
        self._waiting.extend(sequences)
        try:
            while not all(sequence.done for sequence in sequences):
                self.step()
                for sequence in sequences:
                    sequence.check()
        finally:
            for sequence in sequences:
                self.cancel(sequence)

    def stream(self, prompt: str, settings: DecodingSettings | None = None) -> Iterator[Event]:
        """The events of one continuation, as they happen; the last is `Done`. Raises as `submit` does.

        Closing the iterator cancels the continuation.
        """
        sequence = self.submit(prompt, settings)
        try:
            while not sequence.done:
                self.step()
                yield from sequence.take_events()
            yield from sequence.take_events()  # of steps that another stream made
            sequence.check()
        finally:
            self.cancel(sequence)

    # Steps

    def _join(self) -> None:
        while self._waiting and len(self._running) < self._slots:
            self._running.append(self._waiting.popleft())

    def _leave(self, slot: int) -> None:
        """Free a slot; the last sequence takes its place, so that slots are used from the first on."""
        last = len(self._running) - 1
        if slot != last:
            self._batch.move(last, slot, self._running[last].columns)
            self._running[slot] = self._running[last]
        self._running.pop()

    def _score_prompts(self) -> None:
        """Read prompts whose likelihood is asked for, in pieces, so that few logits are held at a time."""
        for slot, sequence in enumerate(self._running):
            ids = sequence.unscored
            for start in range(0, len(ids), _SCORED_AT_ONCE):
                piece = ids[start : start + _SCORED_AT_ONCE]
                sequence.score(self._batch.read([slot], [piece], [start], [len(piece)]), start)
                self.counters.passes += 1
                self.counters.tokens += len(piece)

    def _enter_values(self, *, wait: bool = False) -> None:
        for sequence, resolution in self._dispatcher.answers(wait=wait):
            sequence.answer(resolution)

    def _retire(self) -> None:
        for slot in reversed(range(len(self._running))):
            if self._running[slot].done:
                self._leave(slot)

    def _draft(self, sequence: DecodingSequence, ready: int) -> Draft:
        """Guesses for one of `ready` sequences; a right one saves its part of a pass, a wrong one is read in vain."""
        if self._drafter is None or sequence.state is State.SEARCH:
            return Draft()
        saved = self._tokens_a_pass / ready + 1
        try:
            return self._drafter.draft(sequence, least=1 / saved, room=self._context - len(sequence.ids) - 1)
        except LamLamError:  # of the knowledge base, about names: told when the call is made, if it is made
            return Draft()

    def _read(self, slots: list[int], drafts: list[Draft]) -> None:
        """Run the model on what these sequences have not read yet, and on what they may go on with."""
        running = [self._running[slot] for slot in slots]
        guesses = [
            [*draft.tokens, *(node.token for node in sequence.searched)]
            for sequence, draft in zip(running, drafts, strict=True)
        ]
        pieces = [[*sequence.pending, *tokens] for sequence, tokens in zip(running, guesses, strict=True)]
        wanted = [bool(sequence.pending) + len(tokens) for sequence, tokens in zip(running, guesses, strict=True)]
        branches = [sequence.branches for sequence in running]
        logits = self._batch.read(slots, pieces, [sequence.columns for sequence in running], wanted, branches)
        likeliest = iter(logits.argmax(-1).tolist())
        for slot, sequence, draft, rows in zip(slots, running, drafts, logits.split(wanted), strict=True):
            try:
                self.counters.call_passes += sequence.is_in_call
                accepted = sequence.advance(rows, draft.tokens, list(islice(likeliest, len(rows))))
                start = len(sequence.ids)
                if columns := sequence.plan(max(_LEAST_SEARCHED, _SEARCHED // len(slots))):
                    self._batch.gather(slot, columns, start)
            except (LamLamError, RuntimeError) as error:  # of the knowledge base, about names; of sampling
                sequence.fail(error if isinstance(error, LamLamError) else LamLamError(f"no token: {error}"))
                accepted = 0
            if self._drafter:
                self._drafter.judge(draft, accepted)
                self._drafter.learn(sequence)
            self.counters.count(draft, accepted)
        self.counters.passes += 1
        self.counters.tokens += sum(map(len, pieces))

    def _sequence(self, prompt: str | Prompt, settings: DecodingSettings) -> DecodingSequence:
        constraint = CallConstraint(self._control_tokens, self.kb, settings)
        sampler = Sampler(settings, self.model.device)
        return DecodingSequence(prompt, settings, self._control_tokens, constraint, self._context, sampler)
