"""Losses of a model on annotated documents: sums of log-probabilities that are never parted from their counts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedModel

from lamlam.markup import AnnotatedDocument
from lamlam.model.likelihood import token_log_probs
from lamlam.vocab import IGNORE_INDEX, Arm, Encoded, Kind, Vocabulary, encode, labels

__all__ = ["Loss", "call_losses", "losses_by_class"]

_TEXT = (Kind.TEXT, Kind.OPEN)
_CLASSES = {
    "text": (*_TEXT, Kind.EOS),
    "entity": (Kind.ENTITY,),
    "relation": (Kind.RELATION,),
    "control": (Kind.CONTROL,),
    "value": (Kind.VALUE,),
}


@dataclass(frozen=True, slots=True)
class Loss:
    """Minus the sum of log p, in nats, over a number of tokens."""

    total: float = 0.0
    tokens: int = 0

    def __add__(self, other: "Loss") -> "Loss":
        return Loss(self.total + other.total, self.tokens + other.tokens)

    @property
    def mean(self) -> float:
        """Nats a token; NaN for no tokens."""
        return self.total / self.tokens if self.tokens else math.nan


def losses_by_class(
    model: PreTrainedModel,
    vocabulary: Vocabulary,
    documents: Sequence[AnnotatedDocument],
    arm: Arm,
    *,
    batch_tokens: int = 4096,
    progress: bool = False,
) -> dict[str, Loss]:
    """Loss over the tokens of each class: text (EOS included), entity, relation, control, value, and two more.

    "trained" are all tokens that carry loss in training; "stated" the words of the text that state the value of a call
    before them: what knowing a fact, or having looked it up, is worth.
    """
    encoded, log_probs = _read(model, vocabulary, documents, arm, batch_tokens, progress)
    kinds = [np.array(each.kinds) for each in encoded]
    trained = [labels(np.array(each.ids), kind) != IGNORE_INDEX for each, kind in zip(encoded, kinds, strict=True)]
    stated = [_stated(document, each, vocabulary) for document, each in zip(documents, encoded, strict=True)]
    classes = {name: _loss(log_probs, [np.isin(kind, of) for kind in kinds]) for name, of in _CLASSES.items()}
    return classes | {"trained": _loss(log_probs, trained), "stated": _loss(log_probs, stated)}


def _read(
    model: PreTrainedModel,
    vocabulary: Vocabulary,
    documents: Sequence[AnnotatedDocument],
    arm: Arm,
    batch_tokens: int,
    progress: bool,
) -> tuple[list[Encoded], list[npt.NDArray[np.float64]]]:
    """The documents as the arm has them, and the log p of each token, [T]."""
    encoded = [encode(document, vocabulary, arm) for document in documents]
    return encoded, token_log_probs(model, [e.ids for e in encoded], vocabulary.pad_id, batch_tokens, progress)


def _loss(log_probs: Sequence[npt.NDArray], masks: Sequence[npt.NDArray[np.bool_]]) -> Loss:
    total = sum(float(row[mask].sum()) for row, mask in zip(log_probs, masks, strict=True))
    return Loss(-total, sum(int(mask.sum()) for mask in masks))


def call_losses(
    model: PreTrainedModel,
    vocabulary: Vocabulary,
    documents: Sequence[AnnotatedDocument],
    arm: Arm,
    *,
    batch_tokens: int = 4096,
    progress: bool = False,
) -> list[list[Loss]]:
    """For each document and each of its calls: the loss on the words of the text that state its value.

    A call whose value the text does not state as it is has a loss over no tokens.
    """
    encoded, log_probs = _read(model, vocabulary, documents, arm, batch_tokens, progress)
    return [
        [Loss(-float(row[places].sum()), len(places)) for places in _stated_places(document, each, vocabulary)]
        for document, each, row in zip(documents, encoded, log_probs, strict=True)
    ]


def _stated(document: AnnotatedDocument, encoded: Encoded, vocabulary: Vocabulary) -> npt.NDArray[np.bool_]:
    """Which tokens of T_org state the value of a call that stands before them, as a mask of the length of the ids."""
    mask = np.zeros(len(encoded.kinds), dtype=bool)
    for places in _stated_places(document, encoded, vocabulary):
        mask[places] = True
    return mask


def _stated_places(document: AnnotatedDocument, encoded: Encoded, vocabulary: Vocabulary) -> list[npt.NDArray[np.intp]]:
    """For each call the places, in the ids, of the tokens of T_org that state its value; none where it is not stated.

    Both arms have the same text tokens, so the calls' places among them are read from the LMLM's ids.
    """
    with_calls = np.array(encode(document, vocabulary, "lmlm").kinds)
    text_before_call = np.cumsum(np.isin(with_calls, _TEXT))[with_calls == Kind.END]
    text_at = np.flatnonzero(np.isin(encoded.kinds, _TEXT))
    stated: list[npt.NDArray[np.intp]] = []
    for call, first in zip(document.calls, text_before_call, strict=True):
        count = 0
        if document.text.startswith(call.value, call.at):
            following = [encoded.ids[index] for index in text_at[first : first + len(call.value.encode()) + 1]]
            count = _tokens_spelling(call.value, following, vocabulary)
        stated.append(text_at[first : first + count])
    return stated


def _tokens_spelling(value: str, ids: Sequence[int], vocabulary: Vocabulary) -> int:
    """How many of `ids`, from the first, it takes to spell `value`, a space before it aside."""
    for count in range(1, len(ids) + 1):
        if vocabulary.decode(ids[:count]).lstrip().startswith(value):
            return count
    return 0
