"""Decoding with lookups: a batch of sequences goes on token by token, each chosen or forced, until all have ended.

The sequences keep the grammar and the texts, the batch runs the model, the sampler chooses. Here they meet the
knowledge base: calls that end in one step are looked up together, and their values enter as token ids, so that nothing
is read twice (decoding interleaved with lookups: arXiv 2505.15962).
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lamlam.engine.batch import Batch
from lamlam.engine.constraint import CallConstraint
from lamlam.engine.generation import Event, Generation
from lamlam.engine.lexicon import Lexicon
from lamlam.engine.sampling import Sampler
from lamlam.engine.sequence import Sequence as TokenSequence
from lamlam.engine.sequence import State
from lamlam.engine.settings import DecodingSettings
from lamlam.engine.source import FactSource
from lamlam.errors import LamLamError
from lamlam.kb.fact import Resolution
from lamlam.markup import UNKNOWN
from lamlam.vocab import Vocabulary

__all__ = ["Engine"]


class Engine:
    """A model, its vocabulary and a knowledge base. The model is put on `device` and into evaluation mode.

    `batch_size` is the number of prompts that are decoded at a time. Raises `LamLamError` when the model has fewer
    token embeddings than the vocabulary has tokens.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        vocabulary: Vocabulary,
        kb: FactSource,
        *,
        device: str | torch.device = "cpu",
        batch_size: int = 32,
    ) -> None:
        width: int = model.config.vocab_size
        if width < len(vocabulary):
            raise LamLamError(f"the model has {width} token embeddings and the vocabulary {len(vocabulary)} tokens")
        self.model: PreTrainedModel = model.to(torch.device(device)).eval()  # type: ignore[arg-type]
        self.vocabulary, self.kb = vocabulary, kb
        self._batch_size = batch_size
        self._context: int = model.config.max_position_embeddings
        self._lexicon = Lexicon(vocabulary, width, self.model.device)

    def generate(self, prompts: Sequence[str], settings: DecodingSettings | None = None) -> list[Generation]:
        """Continue each prompt, as it would be continued alone. White space at a prompt's end is left out.

        Every sequence samples from a generator with the settings' seed: equal prompts are continued alike. Raises
        `LamLamError` when a prompt fills the model's context or is no valid Unicode, before anything is decoded.
        """
        settings = settings or DecodingSettings()
        sequences = [self._sequence(prompt, settings) for prompt in prompts]
        for start in range(0, len(sequences), self._batch_size):
            for _ in self._steps(sequences[start : start + self._batch_size], settings):
                pass
        return [sequence.generation() for sequence in sequences]

    def stream(self, prompt: str, settings: DecodingSettings | None = None) -> Iterator[Event]:
        """The events of one continuation, as they happen; the last is `Done`. Raises as `generate` does."""
        settings = settings or DecodingSettings()
        sequence = self._sequence(prompt, settings)
        for _ in self._steps([sequence], settings):
            yield from sequence.take_events()

    def _sequence(self, prompt: str, settings: DecodingSettings) -> TokenSequence:
        prompt = prompt.rstrip()
        try:
            prompt.encode()
        except UnicodeEncodeError as error:
            raise LamLamError(f"the prompt is not valid Unicode at character {error.start}") from error
        sequence = TokenSequence(
            prompt,
            settings,
            self._lexicon,
            CallConstraint(self._lexicon, self.kb, settings),
            self._context,
            torch.Generator(self.model.device).manual_seed(settings.seed),
        )
        length = len(sequence.ids)
        if length >= self._context:
            raise LamLamError(f"the prompt's {length} tokens leave no room in the model's context of {self._context}")
        return sequence

    def _steps(self, running: list[TokenSequence], settings: DecodingSettings) -> Iterator[None]:
        """Decode the sequences to their ends, one token in each a step."""
        sampler, batch = Sampler(settings), Batch(self.model, self.vocabulary.pad_id)
        logits = batch.prefill([sequence.ids for sequence in running])
        while running:
            choosing = [row for row, sequence in enumerate(running) if not sequence.force()]
            self._choose([running[row] for row in choosing], logits[choosing], sampler)
            self._look_up(running, batch, sampler, settings.on_miss)
            yield
            rows = [row for row, sequence in enumerate(running) if not sequence.done]
            if rows and len(rows) < len(running):
                batch.keep(rows)
            running = [running[row] for row in rows]
            if running:
                logits = batch.read([sequence.ids[-1] for sequence in running])

    def _choose(self, sequences: Sequence[TokenSequence], logits: Tensor, sampler: Sampler) -> None:
        """Choose the next token of each sequence by its row of `logits` [B, V]."""
        if not sequences:
            return
        allowed = torch.stack([sequence.allowed(row) for sequence, row in zip(sequences, logits, strict=True)])
        tokens = sampler.choose(logits, allowed, [sequence.generator for sequence in sequences])
        for sequence, token, row in zip(sequences, tokens, logits, strict=True):
            sequence.take(token, row)

    def _look_up(self, running: Sequence[TokenSequence], batch: Batch, sampler: Sampler, on_miss: str) -> None:
        """Answer the calls that have just ended, all at once; a dropped one makes way for another token at once."""
        waiting = [row for row, sequence in enumerate(running) if sequence.state is State.WAITING]
        if not waiting:
            return
        dropped: list[tuple[TokenSequence, Tensor]] = []
        resolutions = self.kb.lookup_many([running[row].query for row in waiting])
        for row, resolution in zip(waiting, resolutions, strict=True):
            sequence = running[row]
            if on_miss == "drop" and not resolution.found:
                read, logits_before = sequence.drop(resolution)
                batch.take_back(row, read)
                dropped.append((sequence, logits_before))
            else:
                self._enter(sequence, resolution, on_miss)
        if dropped:
            self._choose([sequence for sequence, _ in dropped], torch.stack([row for _, row in dropped]), sampler)

    def _enter(self, sequence: TokenSequence, resolution: Resolution, on_miss: str) -> None:
        if on_miss == "nearest" and not resolution.found:
            resolution = self.kb.nearest(*sequence.query)
        sequence.resolve(resolution, resolution.text if resolution.found else UNKNOWN)
