"""Dynamic perplexity: the model reads a given text, but makes its own calls and gets what its own lookups return.

    dynamic = exp(-1/|T_org| * sum over T_org of log p)           (arXiv 2505.15962, section 4.1)

with T_org as in `perplexity`: the same text tokens, and EOS. The text is forced, token by token. Before each of its
tokens the model is asked, greedily, what it would write: where `<|db_entity|>` is likelier than every text token and
EOS, it writes its call as in decoding, under the same constraints; value and `<|db_end|>` are forced in, and the text
token's log p is read after the call. At one place a model may call up to four times in a row.

log p is the raw softmax over the whole vocabulary: what a model puts on `<|db_entity|>` without calling is lost to the
text token. Calls cost nothing here; `normalized` is the figure that charges for them.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from lamlam.engine.constraint import CallConstraint
from lamlam.engine.engine import Engine
from lamlam.engine.lexicon import Lexicon
from lamlam.engine.sampling import Sampler
from lamlam.engine.sequence import Sequence as TokenSequence
from lamlam.engine.sequence import State
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError
from lamlam.markup import AnnotatedDocument
from lamlam.model.losses import Loss
from lamlam.vocab import Kind, encode

__all__ = ["DynamicResult", "dynamic_perplexity"]

_CALLS_AT_ONE_PLACE = 4


@dataclass(frozen=True, slots=True)
class DynamicResult:
    """Loss over T_org with the model's own calls; `found` of the `calls` were resolved to facts.

    `unread` text tokens did not fit into the context with the calls before them; they are no part of `text`.
    """

    documents: int
    text: Loss
    calls: int
    found: int
    unread: int
    task: str = "dynamic"

    def __add__(self, other: "DynamicResult") -> "DynamicResult":
        return DynamicResult(
            self.documents + other.documents,
            self.text + other.text,
            self.calls + other.calls,
            self.found + other.found,
            self.unread + other.unread,
        )

    @property
    def dynamic(self) -> float:
        return math.exp(self.text.mean)

    def figures(self) -> dict[str, Any]:
        return {
            "dynamic": self.dynamic,
            "documents": self.documents,
            "text_tokens": self.text.tokens,
            "calls": self.calls,
            "found": self.found,
            "unread_tokens": self.unread,
        }


def dynamic_perplexity(
    engine: Engine,
    documents: Sequence[AnnotatedDocument],
    settings: DecodingSettings,
    *,
    sample: int | None = None,
    seed: int = 0,
    batch_size: int = 32,
    progress: bool = False,
) -> DynamicResult:
    """Let the engine's model read `documents`, or `sample` of them chosen by `seed`, with calls of its own.

    Of `settings` those that govern calls apply. Raises `InputError` without documents.
    """
    if not documents:
        raise InputError("there are no documents to measure perplexity on")
    if sample is not None and sample < len(documents):
        documents = random.Random(seed).sample(list(documents), sample)
    reader = _Reader(engine)
    ordered = sorted(documents, key=lambda document: len(document.text))
    readings: list[_Reading] = []
    with Progress(console=Console(stderr=True), transient=True, disable=not progress) as bar:
        task = bar.add_task("dynamic perplexity", total=len(ordered))
        for start in range(0, len(ordered), batch_size):
            readings += reader.read(ordered[start : start + batch_size], settings)
            bar.update(task, completed=len(readings))
    lookups = [lookup for reading in readings for lookup in reading.generation().lookups]
    return DynamicResult(
        documents=len(documents),
        text=Loss(-sum(sum(r.log_probs) for r in readings), sum(len(r.log_probs) for r in readings)),
        calls=len(lookups),
        found=sum(lookup.resolution.found for lookup in lookups),
        unread=sum(reading.unread for reading in readings),
    )


class _Reading(TokenSequence):
    """A sequence whose text is given; only its calls are the model's."""

    def __init__(
        self,
        gold: Sequence[int],
        settings: DecodingSettings,
        lexicon: Lexicon,
        constraint: CallConstraint,
        context: int,
    ) -> None:
        super().__init__("", settings, lexicon, constraint, context, Sampler(settings))
        self._gold = gold
        self._calls_here = 0
        self.log_probs: list[float] = []

    @property
    def unread(self) -> int:
        return len(self._gold) - len(self.log_probs)

    def allowed(self, logits: Tensor) -> Tensor:
        """In text: the call where the model prefers it to any text, else the given token alone."""
        allowed = super().allowed(logits)
        if self.state is not State.TEXT:
            return allowed
        entity = self._vocabulary.entity_id
        preferred = int(logits.float().masked_fill(~allowed, -torch.inf).argmax())
        calls = preferred == entity and self._calls_here < _CALLS_AT_ONE_PLACE
        return self._lexicon.mask([entity if calls else self._gold[len(self.log_probs)]])

    def surely_allows(self, token: int) -> bool:
        return self.state is not State.TEXT and super().surely_allows(token)

    def take(self, token: int, logits: Tensor) -> None:
        if self.state is State.TEXT:
            if token == self._vocabulary.entity_id:
                self._calls_here += 1
            else:
                self._calls_here = 0
                self.log_probs.append(float(logits.float().log_softmax(-1)[token]))
        super().take(token, logits)


class _Reader(Engine):
    """An engine that reads texts instead of writing them."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.model, engine.vocabulary, engine.kb, device=engine.model.device, speculate=False)

    def read(self, documents: Sequence[AnnotatedDocument], settings: DecodingSettings) -> list[_Reading]:
        """One reading a document; all are decoded as one batch."""
        endless = DecodingSettings(
            max_tokens=self._context,
            max_calls=self._context,
            max_calls_in_a_row=self._context,
            max_query_tokens=settings.max_query_tokens,
            max_value_tokens=settings.max_value_tokens,
            entities=settings.entities,
            relations=settings.relations,
            on_miss=settings.on_miss,
            lookups=settings.lookups,
        )
        readings = [
            _Reading(
                self._text_of(document),
                endless,
                self._lexicon,
                CallConstraint(self._lexicon, self.kb, endless),
                self._context,
            )
            for document in documents
        ]
        self.run(readings)
        return readings

    def _text_of(self, document: AnnotatedDocument) -> list[int]:
        """T_org of a document: its text tokens and EOS."""
        encoded = encode(document, self.vocabulary, "standard")
        return [token for token, kind in zip(encoded.ids, encoded.kinds, strict=True) if kind is not Kind.BOS]
