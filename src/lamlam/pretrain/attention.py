"""Causal attention within documents that lie side by side, one product for each document: for training on a CPU.

torch's kernel computes every pair of a row, those between documents included, and its backward pass is slow there.
"""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

__all__ = ["DOCUMENTS", "document_lengths"]

DOCUMENTS = "lamlam_documents"
"""The name by which transformers knows this attention."""

_LONGEST = 512  # of longer documents the tables of all pairs, which are kept for the backward pass, would be too large

# B rows of T tokens; A heads of width D, in G groups that share keys and values; L tokens of a document.


def document_lengths(positions: Tensor) -> list[int]:
    """Lengths of the documents of rows [B, T] whose positions begin with 0 at each document, row after row."""
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
    """Queries [B, A, T, D], keys and values [B, G, T, D] -> [B, T, A, D].

    Without `documents`, and where one is long, by torch's kernel and the mask.
    """
    if documents is None or dropout or max(documents) > _LONGEST:
        query, key = query.to(value.dtype), key.to(value.dtype)
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **more)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return cast(Tensor, _DocumentAttention.apply(query, key, value, documents, scale)), None


AttentionInterface.register(DOCUMENTS, _attend)
AttentionMaskInterface.register(DOCUMENTS, sdpa_mask)


class _DocumentAttention(torch.autograd.Function):
    """In float32: oneDNN would make a bfloat16 product anew for each length, which costs what it gains."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, documents: Sequence[int], scale: float) -> Tensor:
        batch, heads, width, _ = query.shape
        groups = key.shape[1]
        out = value.new_empty((batch, width, heads, value.shape[-1]))
        longest = max(documents)
        future = torch.full((longest, longest), -torch.inf).triu_(1)
        shares = []
        for q, k, v, o in _pieces(documents, query, key, value, out.transpose(1, 2)):
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
        # In memory as [B, T, A, D], of which a document's part is a view.
        grads = [each.new_empty(each.transpose(1, 2).shape).transpose(1, 2) for each in (query, key, value)]
        pieces = _pieces(ctx.documents, query, key, value, grad.transpose(1, 2), *grads)
        for (q, k, v, go, gq, gk, gv), share in zip(pieces, shares, strict=True):
            go = _grouped(go, groups)
            gv.copy_(share.transpose(1, 2) @ go)
            through = torch._softmax_backward_data(go @ v.float().transpose(1, 2), share, -1, torch.float32)
            through.mul_(ctx.scale)
            gq.copy_((through @ k.float()).view(heads, k.shape[1], -1))
            gk.copy_(through.transpose(1, 2) @ _grouped(q, groups))
        return (*grads, None, None)


def _pieces(documents: Sequence[int], *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """For each document its views [A, L, D] of tensors [B, A, T, D]."""
    rows = (each.transpose(1, 2) for each in tensors)
    flat = (each.reshape(-1, *each.shape[2:]).split(list(documents)) for each in rows)
    for pieces in zip(*flat, strict=True):
        yield tuple(piece.transpose(0, 1) for piece in pieces)


def _grouped(heads: Tensor, groups: int) -> Tensor:
    """[A, L, D] -> [G, A / G * L, D], float32: the heads that share keys, one under the other."""
    whole = torch.empty(heads.shape, dtype=torch.float32).copy_(heads)
    return whole.view(groups, -1, heads.shape[-1])
