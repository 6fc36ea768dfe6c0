"""Text for models that cannot write any: each row of a batch is made to write a plan of its own.

The model's forward pass is real and whole. Then the planned token's logit is raised above all others, so that random
weights write what a trained model might: documents of the demo's invented world with their calls, several in a row.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from transformers import LogitsProcessor

from lamlam.engine import Engine
from lamlam.markup import AnnotatedDocument
from lamlam.vocab import Kind, Vocabulary, encode

__all__ = ["Plan", "Planned", "Steering", "plans"]

_FAR_ABOVE = 1e4


@dataclass(frozen=True)
class Plan:
    """A prompt, and all ids of its text with calls and without; each ends with EOS."""

    prompt: str
    with_calls: Sequence[int]
    without_calls: Sequence[int]
    calls: int


def plans(
    documents: Sequence[AnnotatedDocument], vocabulary: Vocabulary, count: int, tokens: int, seed: int, every: int = 1
) -> list[Plan]:
    """`count` plans of different documents, each with `tokens` text tokens behind its prompt; every so many-th call."""
    thinned = [replace(document, calls=document.calls[::every]) for document in documents]
    shuffled = iter(random.Random(seed).sample(thinned, len(thinned)))
    return [_plan(shuffled, vocabulary, tokens) for _ in range(count)]


def _plan(documents: Iterator[AnnotatedDocument], vocabulary: Vocabulary, tokens: int) -> Plan:
    chained = next(documents)
    prompt = chained.text[: chained.calls[0].at].rstrip()
    wanted = tokens + len(vocabulary.encode(" " + prompt))
    while True:
        without = [token for token, kind in _encoded(chained, vocabulary, "standard") if kind is Kind.TEXT]
        if len(without) >= wanted:
            break
        chained = _joined(chained, next(documents))
    with_calls: list[int] = []
    text = calls = 0
    for token, kind in _encoded(chained, vocabulary, "lmlm"):
        if text == wanted:
            break
        with_calls.append(token)
        text += kind is Kind.TEXT
        calls += kind is Kind.END
    return Plan(
        prompt,
        [*with_calls, vocabulary.eos_id],
        [vocabulary.bos_id, *without[:wanted], vocabulary.eos_id],
        calls,
    )


def _encoded(document: AnnotatedDocument, vocabulary: Vocabulary, arm: Any) -> list[tuple[int, Kind]]:
    encoded = encode(document, vocabulary, arm)
    return list(zip(encoded.ids, encoded.kinds, strict=True))


def _joined(first: AnnotatedDocument, second: AnnotatedDocument) -> AnnotatedDocument:
    start = len(first.text) + 1
    later = (replace(call, at=call.at + start) for call in second.calls)
    return AnnotatedDocument(first.id, f"{first.text} {second.text}", (*first.calls, *later))


class Steering:
    """Steers an engine's model by the plan of each running prompt; measures the forward passes, and itself."""

    def __init__(self, engine: Engine) -> None:
        self.ids: Mapping[str, Sequence[int]] = {}  # by prompt
        self.forward_seconds = self.own_seconds = 0.0
        self._engine, self._run = engine, engine._batch._run
        engine._batch._run = self._steered

    def remove(self) -> None:
        self._engine._batch._run = self._run

    def _steered(self, **given: Any) -> Any:
        started = time.process_time()
        output = self._run(**given)
        ended = time.process_time()
        self.forward_seconds += ended - started
        if self.ids:
            wanted, layout = given["logits_to_keep"], self._engine._batch._cache.layout
            running = [sequence.prompt for sequence in self._engine._running]
            places = zip(layout.slot[wanted].tolist(), layout.column[wanted].tolist(), strict=True)
            tokens = [_next(self.ids[running[slot]], column) for slot, column in places]
            output.logits[0, range(len(tokens)), tokens] = _FAR_ABOVE
        self.own_seconds += time.process_time() - ended
        return output


class Planned(LogitsProcessor):
    """The same for one sequence of the library's `generate`."""

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids = ids

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        scores[:, _next(self._ids, input_ids.shape[1] - 1)] = _FAR_ABOVE
        return scores


def _next(ids: Sequence[int], place: int) -> int:
    return ids[min(place + 1, len(ids) - 1)]
