"""Training examples from annotated documents: a prompt without loss, an answer with."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lamlam.annotate.causal.coder import Coder
from lamlam.markup import AnnotatedDocument
from lamlam.text import windows
from lamlam.vocab import IGNORE_INDEX

__all__ = ["Examples", "examples_of", "pieces"]


@dataclass(slots=True)
class Examples:
    """Ids and labels of examples, and how many were left out because the model's context does not hold them."""

    rows: list[dict[str, list[int]]] = field(default_factory=list)
    left_out: int = 0


def examples_of(documents: Iterable[AnnotatedDocument], coder: Coder, *, window: int, context: int) -> Examples:
    """An example for each window of each document; only the answer carries loss."""
    examples = Examples()
    for document in documents:
        for piece in pieces(document, window):
            prompt, answer = coder.prompt(piece), coder.answer(piece)
            if len(prompt) + len(answer) > context:
                examples.left_out += 1
            else:
                labels = [IGNORE_INDEX] * len(prompt) + answer
                examples.rows.append({"input_ids": prompt + answer, "labels": labels})
    return examples


def pieces(document: AnnotatedDocument, window: int) -> Iterator[AnnotatedDocument]:
    """The windows of a document that are not blank, each with the calls that stand in it."""
    for start, end in windows(document.text, window):
        text = document.text[start:end]
        if text.strip():
            calls = (replace(call, at=call.at - start) for call in document.calls if start <= call.at < end)
            yield replace(document, text=text, calls=tuple(calls))


def collated(rows: list[dict[str, list[int]]], pad_id: int) -> dict[str, Tensor]:
    """Rows [B, T] of ids, labels and mask, padded behind."""
    width = max(len(row["input_ids"]) for row in rows)

    def padded(name: str, fill: int) -> Tensor:
        return torch.tensor([row[name] + [fill] * (width - len(row[name])) for row in rows])

    mask = torch.tensor([[1] * len(row["labels"]) + [0] * (width - len(row["labels"])) for row in rows])
    return {"input_ids": padded("input_ids", pad_id), "labels": padded("labels", IGNORE_INDEX), "attention_mask": mask}
