"""Perplexity on held-out documents: static, normalized and dynamic, and the loss by class of token.

With T_org the tokens of the original text (`Kind.TEXT` and `Kind.EOS`) and T_train all tokens that carry loss (T_org
and the calls' entities, relations and control tokens), both log p given everything before, gold calls and their values
included (arXiv 2505.15962, section 4.1):

    static      exp(-1/|T_org| * sum over T_org   of log p)     what the text costs, given its facts
    normalized  exp(-1/|T_org| * sum over T_train of log p)     the same, plus the cost of writing the calls
    dynamic     static, but the model makes its own calls and gets what they return (see `reading`); calls cost nothing

The standard arm reads the same text, cut into the same tokens, so that |T_org| is the same number; without calls its
static and normalized perplexities are equal. log p is the raw softmax over the whole vocabulary: the probability that a
model puts on `<|db_entity|>` where the text continues is lost to the text token. Sums run over tokens, never over the
averages of documents.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

from transformers import PreTrainedModel

from lamlam.errors import InputError
from lamlam.evaluate.evaluation import Evaluation, NotApplicable, task
from lamlam.evaluate.reading import DynamicPerplexity, dynamic_perplexity
from lamlam.evaluate.results import Result
from lamlam.kb.store import KnowledgeBase
from lamlam.markup import AnnotatedDocument
from lamlam.model.losses import Loss, losses_by_class
from lamlam.vocab import Arm, Vocabulary

__all__ = ["Perplexity", "perplexities", "perplexity"]


@dataclass(frozen=True, slots=True)
class Perplexity:
    """Loss over T_org, over T_train and by class of token; `bytes` counts the documents' UTF-8.

    `classes["stated"]` is the loss on the words of T_org that state a call's value: what knowing a fact, or having
    looked it up, is worth. `classes["value"]` is the loss on the values inside calls, which training leaves out.
    """

    arm: Arm
    documents: int
    bytes: int
    text: Loss
    trained: Loss
    classes: dict[str, Loss]
    dynamic: DynamicPerplexity | None = None

    def __add__(self, other: "Perplexity") -> "Perplexity":
        """Of the documents of both. Raises `ValueError` for different arms."""
        if self.arm != other.arm:
            raise ValueError(f"the {self.arm} and the {other.arm} arm have no common perplexity")
        return Perplexity(
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
        figures: dict[str, Any]
        if self.arm == "standard":
            figures = {"perplexity": self.static, "bits_per_byte": self.static_bits_per_byte}
        else:
            names = ("static", "normalized", "static_bits_per_byte", "normalized_bits_per_byte")
            figures = {name: getattr(self, name) for name in names}
        if self.dynamic is not None:
            figures |= {"dynamic": self.dynamic.dynamic, "dynamic_detail": self.dynamic.figures()}
        figures |= {"documents": self.documents, "text_tokens": self.text.tokens, "bytes": self.bytes}
        losses = {name: {"loss": loss.mean, "tokens": loss.tokens} for name, loss in self.classes.items()}
        return figures | {"loss_by_class": {name: loss for name, loss in losses.items() if loss["tokens"]}}


@task("perplexity", "static, normalized and dynamic, by class of token")
def perplexity_task(evaluation: Evaluation) -> dict[str, Result]:
    return {name: Result("perplexity", more=measured.figures()) for name, measured in perplexities(evaluation).items()}


def perplexities(evaluation: Evaluation) -> dict[str, Perplexity]:
    """`perplexity` on all held-out documents, and `perplexity_<group>`; for an LMLM with the dynamic one.

    Raises `NotApplicable` if there are none.
    """
    groups = {group: documents for group, documents in evaluation.corpus.heldout.items() if documents}
    if not groups:
        raise NotApplicable("the corpus has no held-out documents to measure perplexity on")
    model, vocabulary, progress = evaluation.checkpoint.model, evaluation.checkpoint.vocabulary, evaluation.progress
    results = {
        f"perplexity_{group}": perplexity(model, vocabulary, documents, evaluation.arm, progress=progress)
        for group, documents in groups.items()
    }
    if evaluation.arm == "lmlm":
        sampled: dict[str, Any] = {"sample": evaluation.sample, "seed": evaluation.seed, "progress": progress}
        with KnowledgeBase.open(evaluation.kb_path) as kb:
            engine = evaluation.engine_on(kb)
            for group, documents in groups.items():
                dynamic = dynamic_perplexity(engine, documents, evaluation.settings, **sampled)
                results[f"perplexity_{group}"] = replace(results[f"perplexity_{group}"], dynamic=dynamic)
    return {"perplexity": reduce(add, results.values())} | results


def perplexity(
    model: PreTrainedModel,
    vocabulary: Vocabulary,
    documents: Iterable[AnnotatedDocument],
    arm: Arm,
    *,
    batch_tokens: int = 4096,
    progress: bool = False,
) -> Perplexity:
    """Static and normalized perplexity of `model`, trained as `arm`. Raises `InputError` without documents."""
    if not (documents := list(documents)):
        raise InputError("there are no documents to measure perplexity on")
    classes = losses_by_class(model, vocabulary, documents, arm, batch_tokens=batch_tokens, progress=progress)
    size = sum(len(document.text.encode()) for document in documents)
    return Perplexity(arm, len(documents), size, classes["text"], classes.pop("trained"), classes)
