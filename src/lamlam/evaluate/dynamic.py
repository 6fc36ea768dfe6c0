"""Dynamic perplexity: the model reads a given text, but makes its own calls and gets what its own lookups return.

    dynamic = exp(-1/|T_org| * sum over T_org of log p)           (arXiv 2505.15962, section 4.1)

with T_org as in `perplexity`: the same text tokens, and EOS. How a text is read with calls is told in `reading`. Calls
cost nothing here; `normalized` is the figure that charges for them.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import Progress

from lamlam.engine.engine import Engine
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError
from lamlam.evaluate.reading import Reader, Reading
from lamlam.markup import AnnotatedDocument
from lamlam.model.losses import Loss
from lamlam.vocab import Kind, Vocabulary, encode

__all__ = ["DynamicResult", "dynamic_perplexity"]


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
    reader = Reader(engine)
    ordered = sorted(documents, key=lambda document: len(document.text))
    readings: list[Reading] = []
    with Progress(console=Console(stderr=True), transient=True, disable=not progress) as bar:
        task = bar.add_task("dynamic perplexity", total=len(ordered))
        for start in range(0, len(ordered), batch_size):
            texts = [("", _text_of(document, engine.vocabulary)) for document in ordered[start : start + batch_size]]
            readings += reader.read(texts, settings)
            bar.update(task, completed=len(readings))
    lookups = [lookup for reading in readings for lookup in reading.generation().lookups]
    return DynamicResult(
        documents=len(documents),
        text=Loss(-sum(sum(r.log_probs) for r in readings), sum(len(r.log_probs) for r in readings)),
        calls=len(lookups),
        found=sum(lookup.resolution.found for lookup in lookups),
        unread=sum(reading.unread for reading in readings),
    )


def _text_of(document: AnnotatedDocument, vocabulary: Vocabulary) -> list[int]:
    """T_org of a document: its text tokens and EOS."""
    encoded = encode(document, vocabulary, "standard")
    return [token for token, kind in zip(encoded.ids, encoded.kinds, strict=True) if kind is not Kind.BOS]
