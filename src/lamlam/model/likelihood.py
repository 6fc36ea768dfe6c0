"""How likely a model finds given tokens: log-probabilities of whole sequences, in padded batches.

A sequence longer than the context is read in windows that overlap by half; each token is scored once, in the window
that shows most of what precedes it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import track
from transformers import PreTrainedModel

__all__ = ["token_choices", "token_log_probs"]


def token_log_probs(
    model: PreTrainedModel,
    sequences: Sequence[Sequence[int]],
    pad_id: int,
    batch_tokens: int = 4096,
    progress: bool = False,
    without: Iterable[int] = (),
) -> list[npt.NDArray[np.float64]]:
    """log p of every token given those before it, in nats, a float64 array [T] for each sequence; 0 for its first.

    Computed in float32 without dropout; the model's mode is left as it was. The softmax runs over all tokens but those
    of `without`, whose own log p is minus infinity.
    """
    tables = token_choices(model, sequences, pad_id, batch_tokens, progress, without)
    return [np.ascontiguousarray(table[:, 0]) for table in tables]


def token_choices(
    model: PreTrainedModel,
    sequences: Sequence[Sequence[int]],
    pad_id: int,
    batch_tokens: int = 4096,
    progress: bool = False,
    without: Iterable[int] = (),
) -> list[npt.NDArray[np.float64]]:
    """The same, and whether the token is the likeliest one: float64 [T, 2] for each sequence, the second 1 or 0."""
    banned = sorted(without)
    out = [np.zeros((len(ids), 2)) for ids in sequences]
    windows = sorted(_windows([len(ids) for ids in sequences], _context(model)), key=lambda w: w.stop - w.start)
    batches = list(_batches(windows, batch_tokens))
    was_training = model.training
    model.eval()
    for batch in track(batches, "perplexity", console=Console(stderr=True), transient=True, disable=not progress):
        rows = [sequences[w.sequence][w.start : w.stop] for w in batch]
        for window, row in zip(batch, _forward(model, rows, pad_id, banned), strict=True):
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
def _forward(
    model: PreTrainedModel, rows: Sequence[Sequence[int]], pad_id: int, banned: Sequence[int]
) -> list[npt.NDArray[np.float64]]:
    """log p and choice [T, 2] of each row, right-padded to one batch: ids [B, T] -> logits [B, T, V]."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad_id, dtype=torch.long, device=model.device)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        mask[index, : len(row)] = 1
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
    if banned:
        logits[..., banned] = -torch.inf
    chosen = logits.gather(-1, ids[:, 1:, None]).squeeze(-1) - logits.logsumexp(-1)
    pairs = torch.stack((chosen, (logits.argmax(-1) == ids[:, 1:]).to(chosen.dtype)), -1)
    table = torch.nn.functional.pad(pairs, (0, 0, 1, 0)).double().cpu().numpy()
    return [table[index, : len(row)] for index, row in enumerate(rows)]


def _context(model: PreTrainedModel) -> int:
    """The longest sequence that the model reads."""
    return int(model.config.max_position_embeddings)
