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

Sums run over tokens, never over documents' averages. A document longer than the context is read in windows that
overlap by half; each token is counted once, in the window that shows most of what precedes it.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import track
from transformers import PreTrainedModel

from lamlam.errors import InputError
from lamlam.evaluate.dynamic import DynamicResult
from lamlam.evaluate.loss import Loss
from lamlam.markup import AnnotatedDocument
from lamlam.vocab import Arm, Encoded, Kind, Vocabulary, encode, labels
from lamlam.vocab.encoding import IGNORE_INDEX

__all__ = ["PerplexityResult", "perplexity", "token_log_probs"]

_TEXT = (Kind.TEXT, Kind.EOS)
_CLASSES = {
    "text": _TEXT,
    "entity": (Kind.ENTITY,),
    "relation": (Kind.RELATION,),
    "control": (Kind.CONTROL,),
    "value": (Kind.VALUE,),
}


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
    encoded = [encode(document, vocabulary, arm) for document in documents]
    log_probs = token_log_probs(model, [each.ids for each in encoded], vocabulary.pad_id, batch_tokens, progress)
    result = _sum(arm, documents, encoded, log_probs)
    stated = _loss(log_probs, [_stated(d, e, vocabulary) for d, e in zip(documents, encoded, strict=True)])
    result.classes["stated"] = stated
    return result


def _sum(
    arm: Arm, documents: Sequence[AnnotatedDocument], encoded: Sequence[Encoded], log_probs: Sequence[npt.NDArray]
) -> PerplexityResult:
    kinds = [np.array(each.kinds) for each in encoded]
    trained = [labels(np.array(each.ids), kind) != IGNORE_INDEX for each, kind in zip(encoded, kinds, strict=True)]
    return PerplexityResult(
        arm=arm,
        documents=len(documents),
        bytes=sum(len(document.text.encode()) for document in documents),
        text=_loss(log_probs, [np.isin(kind, _TEXT) for kind in kinds]),
        trained=_loss(log_probs, trained),
        classes={name: _loss(log_probs, [np.isin(kind, of) for kind in kinds]) for name, of in _CLASSES.items()},
    )


def _loss(log_probs: Sequence[npt.NDArray], masks: Sequence[npt.NDArray[np.bool_]]) -> Loss:
    total = sum(float(row[mask].sum()) for row, mask in zip(log_probs, masks, strict=True))
    return Loss(-total, sum(int(mask.sum()) for mask in masks))


def _stated(document: AnnotatedDocument, encoded: Encoded, vocabulary: Vocabulary) -> npt.NDArray[np.bool_]:
    """Which tokens of T_org state the value of a call that stands before them, as a mask of the length of the ids.

    Both arms have the same text tokens, so the calls' places among them are read from the LMLM's ids.
    """
    with_calls = np.array(encode(document, vocabulary, "lmlm").kinds)
    text_before_call = np.cumsum(with_calls == Kind.TEXT)[with_calls == Kind.END]
    text_at = np.flatnonzero(np.array(encoded.kinds) == Kind.TEXT)
    mask = np.zeros(len(encoded.kinds), dtype=bool)
    for call, first in zip(document.calls, text_before_call, strict=True):
        if document.text.startswith(call.value, call.at):
            following = [encoded.ids[index] for index in text_at[first : first + len(call.value.encode()) + 1]]
            mask[text_at[first : first + _tokens_spelling(call.value, following, vocabulary)]] = True
    return mask


def _tokens_spelling(value: str, ids: Sequence[int], vocabulary: Vocabulary) -> int:
    """How many of `ids`, from the first, it takes to spell `value`, a space before it aside."""
    for count in range(1, len(ids) + 1):
        if vocabulary.decode(ids[:count]).lstrip().startswith(value):
            return count
    return 0


def token_log_probs(
    model: PreTrainedModel,
    sequences: Sequence[Sequence[int]],
    pad_id: int,
    batch_tokens: int = 4096,
    progress: bool = False,
) -> list[npt.NDArray[np.float64]]:
    """log p of every token given those before it, in nats, a float64 array [T] for each sequence; 0 for its first.

    Computed in float32 without dropout; the model's mode is left as it was.
    """
    out = [np.zeros(len(ids)) for ids in sequences]
    windows = sorted(_windows([len(ids) for ids in sequences], _context(model)), key=lambda w: w.stop - w.start)
    batches = list(_batches(windows, batch_tokens))
    was_training = model.training
    model.eval()
    for batch in track(batches, "perplexity", console=Console(stderr=True), transient=True, disable=not progress):
        rows = [sequences[w.sequence][w.start : w.stop] for w in batch]
        for window, row in zip(batch, _forward(model, rows, pad_id), strict=True):
            out[window.sequence][window.counted : window.stop] = row[window.counted - window.start :]
    model.train(was_training)
    return out


@dataclass(frozen=True, slots=True)
class _Window:
    """Tokens [start, stop) of a sequence are read; those from `counted` on are counted."""

    sequence: int
    start: int
    counted: int
    stop: int


def _windows(lengths: Sequence[int], context: int) -> Iterator[_Window]:
    for sequence, length in enumerate(lengths):
        stop = min(length, context)
        yield _Window(sequence, 0, 0, stop)
        while stop < length:
            counted, stop = stop, min(length, stop + context // 2)
            yield _Window(sequence, stop - context, counted, stop)


def _batches(windows: Sequence[_Window], batch_tokens: int) -> Iterator[list[_Window]]:
    """Windows in order of length, as many a batch as fit into `batch_tokens` when padded; at least one."""
    batch: list[_Window] = []
    for window in windows:
        if batch and (len(batch) + 1) * (window.stop - window.start) > batch_tokens:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


@torch.inference_mode()
def _forward(model: PreTrainedModel, rows: Sequence[Sequence[int]], pad_id: int) -> list[npt.NDArray[np.float64]]:
    """log p [T] of each row, right-padded to one batch: ids [B, T] -> logits [B, T, V]."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad_id, dtype=torch.long, device=model.device)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        mask[index, : len(row)] = 1
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
    chosen = logits.gather(-1, ids[:, 1:, None]).squeeze(-1) - logits.logsumexp(-1)
    table = torch.nn.functional.pad(chosen, (1, 0)).double().cpu().numpy()
    return [table[index, : len(row)] for index, row in enumerate(rows)]


def _context(model: PreTrainedModel) -> int:
    """The longest sequence that the model reads."""
    return int(model.config.max_position_embeddings)
