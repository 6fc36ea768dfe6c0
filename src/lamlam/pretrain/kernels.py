"""Autograd functions for training on a CPU: attention within documents, and the loss of supervised positions.

torch's attention kernel computes every pair of a row, those between documents too, and is slow in its backward pass.
Its `linear_cross_entropy` multiplies float32 on a CPU, at half the speed or less. Here logits are in the weights' type,
and a few rows at a time in float32; loss and gradient are made at once, without a table of all logits.
"""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

__all__ = ["DOCUMENTS", "document_lengths", "linear_cross_entropy", "masked_cross_entropy"]

DOCUMENTS = "lamlam_documents"
"""The name of this attention in transformers."""

_LONGEST = 512  # tokens; for longer documents the tables of all pairs, kept for the backward pass, would be too large

# B rows of T tokens; A heads of width D, in G groups that share keys and values; L tokens of a document.
# N positions with loss, H wide, V tokens, R of them trained apart.
_BLOCK = 2048  # positions that share a product with the weights' gradient
_SLICE = 32  # rows in float32, few enough to stay in the cache


def document_lengths(positions: Tensor) -> list[int]:
    """Return the lengths of the documents of rows [B, T], row after row; positions start at 0 in each document."""
    rows, width = positions.shape
    starts = positions == 0
    starts[:, 0] = True
    places = torch.cat((starts.reshape(-1).nonzero().squeeze(1), torch.tensor([rows * width])))
    return cast(list[int], places.diff().tolist())


def _attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    documents: Sequence[int] | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Map queries [B, A, T, D], keys and values [B, G, T, D] to [B, T, A, D].

    Without `documents`, or if one is long, torch's kernel and the mask are used.
    """
    if documents is None or dropout or max(documents) > _LONGEST:
        query, key = query.to(value.dtype), key.to(value.dtype)
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **more)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return cast(Tensor, _DocumentAttention.apply(query, key, value, documents, scale)), None


AttentionInterface.register(DOCUMENTS, _attend)
AttentionMaskInterface.register(DOCUMENTS, sdpa_mask)


class _DocumentAttention(torch.autograd.Function):
    """In float32: oneDNN would compile a bfloat16 product for each length, which costs what it gains."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, documents: Sequence[int], scale: float) -> Tensor:
        batch, heads, width, _ = query.shape
        groups = key.shape[1]
        out = value.new_empty((batch, width, heads, value.shape[-1]))
        longest = max(documents)
        future = torch.full((longest, longest), -torch.inf).triu_(1)
        shares = []
        for q, k, v, o in _document_views(documents, query, key, value, out.transpose(1, 2)):
            length = k.shape[1]
            bias = future[:length, :length].repeat(heads // groups, 1)
            scores = torch.baddbmm(bias, _grouped(q, groups), k.float().transpose(1, 2), alpha=scale)
            share = scores.softmax(-1)  # [G, A / G * L, L]
            o.copy_((share @ v.float()).view(heads, length, -1))
            shares.append(share)
        ctx.save_for_backward(query, key, value, *shares)
        ctx.documents, ctx.scale = documents, scale
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, *shares = ctx.saved_tensors
        heads, groups = query.shape[1], key.shape[1]
        # In memory as [B, T, A, D], so that a document's part is a view.
        grads = [given.new_empty(given.transpose(1, 2).shape).transpose(1, 2) for given in (query, key, value)]
        pieces = _document_views(ctx.documents, query, key, value, grad.transpose(1, 2), *grads)
        for (q, k, v, go, gq, gk, gv), share in zip(pieces, shares, strict=True):
            go = _grouped(go, groups)
            gv.copy_(share.transpose(1, 2) @ go)
            through = torch._softmax_backward_data(go @ v.float().transpose(1, 2), share, -1, torch.float32)
            through.mul_(ctx.scale)
            gq.copy_((through @ k.float()).view(heads, k.shape[1], -1))
            gk.copy_(through.transpose(1, 2) @ _grouped(q, groups))
        return (*grads, None, None)


def _document_views(documents: Sequence[int], *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield for each document its views [A, L, D] of tensors [B, A, T, D]."""
    rows = (tensor.transpose(1, 2) for tensor in tensors)
    flat = (tensor.reshape(-1, *tensor.shape[2:]).split(list(documents)) for tensor in rows)
    for pieces in zip(*flat, strict=True):
        yield tuple(piece.transpose(0, 1) for piece in pieces)


def _grouped(heads: Tensor, groups: int) -> Tensor:
    """Map [A, L, D] to [G, A / G * L, D], float32: the heads that share keys, one below the other."""
    whole = torch.empty(heads.shape, dtype=torch.float32).copy_(heads)
    return whole.view(groups, -1, heads.shape[-1])


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    banned: Tensor | None = None,
    *,
    token: int = -1,
    scale: float | Tensor = 1.0,
    rows: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Return the summed cross-entropy of `hidden` [N, H] @ `weight` [V, H].T with `targets` [N], times `scale`,
    float32.

    Where `banned` [N] is true, `token` has no logit, and its weights no gradient. `rows` are ids [R] and weights [R, H]
    that replace those of `weight`, to train a few rows of a frozen table.
    """
    ids, own = rows if rows is not None else (None, None)
    loss = _LinearCrossEntropy.apply(hidden, weight, own, ids, targets, banned, token, float(scale))
    return cast(Tensor, loss)


def masked_cross_entropy(logits: Tensor, targets: Tensor, banned: Tensor | None = None, *, token: int = -1) -> Tensor:
    """Return the same sum from logits [N, V]."""
    logits = logits.float()
    if banned is not None:
        column = torch.arange(logits.shape[-1], device=logits.device) == token
        logits = logits.masked_fill(banned[:, None] & column, -torch.inf)
    return F.cross_entropy(logits, targets, reduction="sum")


class _LinearCrossEntropy(torch.autograd.Function):
    """Gradients are computed in the forward pass, while there are logits, and scaled in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        own: Tensor | None,
        ids: Tensor | None,
        targets: Tensor,
        banned: Tensor | None,
        token: int,
        scale: float,
    ) -> Tensor:
        wants_hidden, wants_weight, wants_own = ctx.needs_input_grad[:3]
        grad_hidden = torch.empty_like(hidden) if wants_hidden else None
        grad_weight: Tensor | None = None
        grad_own = torch.zeros_like(own, dtype=torch.float32) if own is not None and wants_own else None
        loss = torch.zeros((), dtype=torch.float32)
        for start in range(0, len(hidden), _BLOCK):
            part = slice(start, start + _BLOCK)
            logits = hidden[part] @ weight.T
            if own is not None and ids is not None:
                logits[:, ids] = (hidden[part] @ own.T).to(logits.dtype)
            if banned is not None:
                logits[banned[part], token] = -torch.inf
            loss += _to_gradient(logits, targets[part], scale)
            if grad_hidden is not None:
                torch.mm(logits, weight, out=grad_hidden[part])
            if own is not None and ids is not None:
                columns = logits[:, ids]
                if grad_hidden is not None:
                    grad_hidden[part] += columns @ (own - weight[ids])
                if grad_own is not None:
                    grad_own += columns.T @ hidden[part]
            if wants_weight:
                product = (logits.T @ hidden[part]).float()
                grad_weight = product if grad_weight is None else grad_weight.add_(product)
        ctx.gradients = (grad_hidden, grad_weight, grad_own)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        gradients = ctx.gradients
        ctx.gradients = None
        if grad != 1:
            gradients = tuple(None if gradient is None else gradient.mul_(grad) for gradient in gradients)
        return (*gradients, None, None, None, None, None)


def _to_gradient(logits: Tensor, targets: Tensor, scale: float) -> Tensor:
    """Return the scaled loss of logits [N, V]; the logits become its gradient."""
    total = torch.zeros((), dtype=torch.float32)
    scores = torch.empty((_SLICE, logits.shape[1]), dtype=torch.float32)
    shares = torch.empty_like(scores)
    for start in range(0, len(logits), _SLICE):
        slice_ = logits[start : start + _SLICE]
        target = targets[start : start + _SLICE, None]
        score, share = scores[: len(slice_)].copy_(slice_), shares[: len(slice_)]
        torch._softmax(score, -1, False, out=share)
        # The largest share is at least 1 / V: its logarithm is safe, unlike that of the target's.
        normalizer = score.amax(-1, keepdim=True) - share.amax(-1, keepdim=True).log_()
        total += (normalizer - score.gather(1, target)).sum() * scale
        share.scatter_add_(1, target, share.new_full((len(slice_), 1), -1.0))
        slice_.copy_(share.mul_(scale))
    return total
