"""Perplexity of a model on documents, with gold calls in the context, and its loss by kind of token.

With T_org the tokens of the original text (`Kind.TEXT` and `Kind.EOS`) and T_train all tokens that carry loss (T_org
and the calls' entities, relations and control tokens), both log p given everything before, gold calls and their values
included (arXiv 2505.15962, section 4.1):

    static      exp(-1/|T_org| * sum over T_org   of log p)     what the text costs once its facts are at hand
    normalized  exp(-1/|T_org| * sum over T_train of log p)     the same, and paying for writing the calls

The standard arm reads the same text, cut into the same tokens, so that |T_org| is the same number; without calls its
static and normalized perplexities are one. `dynamic` (in the module of that name) lets the model make its own calls.

log p is the raw softmax over the whole vocabulary at every position. The probability that a model puts on
`<|db_entity|>` where the text goes on is thus lost to the text token and counts against static perplexity.

Sums run over tokens, never over documents' averages.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel

from lamlam.errors import InputError
from lamlam.evaluate.dynamic import DynamicResult
from lamlam.markup import AnnotatedDocument
from lamlam.model.losses import Loss, losses_by_class
from lamlam.vocab import Arm, Vocabulary

__all__ = ["PerplexityResult", "perplexity"]


@dataclass(frozen=True, slots=True)
class PerplexityResult:
    """Loss over T_org, over T_train and by class of token; `bytes` counts the documents' UTF-8.

    `classes["stated"]` is the loss on the words of T_org that state a call's value: what knowing a fact, or having
    looked it up, is worth. `classes["value"]` is the loss on the values inside calls, which training leaves out.
    `dynamic` is measured apart, by `dynamic_perplexity`, and set by `dataclasses.replace`.
    """

    arm: Arm
    documents: int
    bytes: int
    text: Loss
    trained: Loss
    classes: dict[str, Loss]
    dynamic: DynamicResult | None = None
    task: str = "perplexity"

    def __add__(self, other: "PerplexityResult") -> "PerplexityResult":
        """Of the documents of both; dynamic perplexity where both have it. Raises `ValueError` for unlike arms."""
        if self.arm != other.arm:
            raise ValueError(f"the {self.arm} and the {other.arm} arm have no common perplexity")
        return PerplexityResult(
            arm=self.arm,
            documents=self.documents + other.documents,
            bytes=self.bytes + other.bytes,
            text=self.text + other.text,
            trained=self.trained + other.trained,
            classes={name: loss + other.classes[name] for name, loss in self.classes.items()},
            dynamic=self.dynamic + other.dynamic if self.dynamic and other.dynamic else None,
        )

    @property
    def static(self) -> float:
        return math.exp(self.text.mean)

    @property
    def normalized(self) -> float:
        return math.exp(self.trained.total / self.text.tokens)

    @property
    def static_bits_per_byte(self) -> float:
        return self.text.total / (math.log(2) * self.bytes)

    @property
    def normalized_bits_per_byte(self) -> float:
        return self.trained.total / (math.log(2) * self.bytes)

    def figures(self) -> dict[str, Any]:
        counts = {"documents": self.documents, "text_tokens": self.text.tokens, "bytes": self.bytes}
        losses = {
            name: {"loss": loss.mean, "tokens": loss.tokens} for name, loss in self.classes.items() if loss.tokens
        }
        own: dict[str, Any]
        if self.arm == "standard":
            own = {"perplexity": self.static, "bits_per_byte": self.static_bits_per_byte}
        else:
            own = {
                "static": self.static,
                "normalized": self.normalized,
                "static_bits_per_byte": self.static_bits_per_byte,
                "normalized_bits_per_byte": self.normalized_bits_per_byte,
            }
        if self.dynamic is not None:
            own |= {"dynamic": self.dynamic.dynamic, "dynamic_detail": self.dynamic.figures()}
        return own | counts | {"loss_by_class": losses}


def perplexity(
    model: PreTrainedModel,
    vocabulary: Vocabulary,
    documents: Iterable[AnnotatedDocument],
    arm: Arm,
    *,
    batch_tokens: int = 4096,
    progress: bool = False,
) -> PerplexityResult:
    """Static and normalized perplexity of `model`, which was trained as `arm`. Raises `InputError` without any."""
    documents = list(documents)
    if not documents:
        raise InputError("there are no documents to measure perplexity on")
    classes = losses_by_class(model, vocabulary, documents, arm, batch_tokens=batch_tokens, progress=progress)
    return PerplexityResult(
        arm=arm,
        documents=len(documents),
        bytes=sum(len(document.text.encode()) for document in documents),
        text=classes["text"],
        trained=classes.pop("trained"),
        classes=classes,
    )
