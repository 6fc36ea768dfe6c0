"""Causal attention within documents that lie side by side, one product for each document: for training on a CPU.

torch's kernel computes every pair of a row, those between documents included, and its backward pass is slow there.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

__all__ = ["DOCUMENTS", "document_lengths"]

DOCUMENTS = "lamlam_documents"
"""The name by which transformers knows this attention."""

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
    """Queries [B, A, T, D], keys and values [B, G, T, D] -> [B, T, A, D]. Without `documents` it is torch's kernel."""
    if documents is None or dropout:
        query, key = query.to(value.dtype), key.to(value.dtype)
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **more)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return cast(Tensor, _DocumentAttention.apply(query, key, value, documents, scale)), None  # type: ignore[no-untyped-call]


AttentionInterface.register(DOCUMENTS, _attend)
AttentionMaskInterface.register(DOCUMENTS, sdpa_mask)


class _DocumentAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, documents: Sequence[int], scale: float) -> Tensor:
        batch, heads, width, _ = query.shape
        out = value.new_empty((batch, width, heads, value.shape[-1]))
        future = torch.ones(max(documents), max(documents), dtype=torch.bool).triu_(1)
        shares = []
        pieces = zip(*(_pieces(each, documents) for each in (query, key, value, out.transpose(1, 2))), strict=True)
        for q, k, v, o in pieces:
            groups, length, _ = k.shape
            repeats = heads // groups
            # Scores in float32, as torch's kernel has them.
            scores = _grouped(q, groups).float() @ k.float().transpose(1, 2)
            scores = scores.view(groups, repeats, length, length).mul_(scale)
            scores.masked_fill_(future[:length, :length], -torch.inf)
            share = scores.softmax(-1).to(v.dtype).view(groups, repeats * length, length)
            o.copy_((share @ v).view(heads, length, -1))
            shares.append(share)
        ctx.save_for_backward(query, key, value, out, *shares)
        ctx.documents, ctx.scale = documents, scale
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, out, *shares = ctx.saved_tensors
        heads = query.shape[1]
        # In memory as [B, T, A, D], of which a document's part is a view.
        grads = [each.new_empty(each.transpose(1, 2).shape).transpose(1, 2) for each in (query, key, value)]
        tensors = (query, key, value, out.transpose(1, 2), grad.transpose(1, 2), *grads)
        pieces = zip(*(_pieces(each, ctx.documents) for each in tensors), strict=True)
        for (q, k, v, o, go, gq, gk, gv), share in zip(pieces, shares, strict=True):
            groups, length, _ = k.shape
            q, go, o = (_grouped(each, groups) for each in (q, go, o))
            gv.copy_(share.transpose(1, 2) @ go)
            # Softmax's gradient: shares times what each score's differs by from the mean, which is `out * grad`.
            scores = (go @ v.transpose(1, 2)).float().sub_((go.float() * o.float()).sum(-1, keepdim=True))
            scores = scores.mul_(share).mul_(ctx.scale).to(v.dtype)
            gq.copy_((scores @ k.to(v.dtype)).view(heads, length, -1))
            gk.copy_(scores.transpose(1, 2) @ q.to(v.dtype))
        return (*grads, None, None)


def _pieces(heads: Tensor, documents: Sequence[int]) -> list[Tensor]:
    """[B, A, T, D] -> a view [A, L, D] of each document."""
    rows = heads.transpose(1, 2)
    return [piece.transpose(0, 1) for piece in rows.reshape(-1, *rows.shape[2:]).split(list(documents))]


def _grouped(heads: Tensor, groups: int) -> Tensor:
    """[A, L, D] -> [G, A / G * L, D]: the heads that share keys, one under the other."""
    return heads.reshape(groups, -1, heads.shape[-1])
