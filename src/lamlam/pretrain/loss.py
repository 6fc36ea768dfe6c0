"""The loss of the positions that carry one: output layer and cross-entropy in one, without a table of all logits.

The logits of a block of positions are in the weights' type, and a few rows of them at a time in float32, from which
loss and gradient are made at once. torch's own `linear_cross_entropy` multiplies float32 on a CPU, at half the speed or
less.
"""

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["linear_cross_entropy", "masked_cross_entropy"]

# N positions with loss, H wide, V tokens, R of them trained apart.
_BLOCK = 2048  # positions that share a product with the weights' gradient
_SLICE = 32  # rows in float32, few enough to stay in the cache


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
    """The sum of the cross-entropies of `hidden` [N, H] @ `weight` [V, H].T with `targets` [N], times `scale`, float32.

    Where `banned` [N] is true, `token` has no logit, and none of its weights a gradient. `rows` are ids [R] and weights
    [R, H] that stand in for those of `weight`: to train a few rows of a table that is frozen.
    """
    ids, own = rows if rows is not None else (None, None)
    loss = _LinearCrossEntropy.apply(hidden, weight, own, ids, targets, banned, token, float(scale))
    return cast(Tensor, loss)


def masked_cross_entropy(logits: Tensor, targets: Tensor, banned: Tensor | None = None, *, token: int = -1) -> Tensor:
    """The same sum, of logits [N, V] that are there."""
    logits = logits.float()
    if banned is not None:
        column = torch.arange(logits.shape[-1], device=logits.device) == token
        logits = logits.masked_fill(banned[:, None] & column, -torch.inf)
    return F.cross_entropy(logits, targets, reduction="sum")


class _LinearCrossEntropy(torch.autograd.Function):
    """Gradients are made in the forward pass, while the logits are there, and scaled in the backward pass."""

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
            gradients = tuple(each.mul_(grad) if each is not None else None for each in gradients)
        return (*gradients, None, None, None, None, None)


def _to_gradient(logits: Tensor, targets: Tensor, scale: float) -> Tensor:
    """The loss of logits [N, V], scaled; the logits become its gradient."""
    total = torch.zeros((), dtype=torch.float32)
    scores = torch.empty((_SLICE, logits.shape[1]), dtype=torch.float32)
    shares = torch.empty_like(scores)
    for start in range(0, len(logits), _SLICE):
        slice_ = logits[start : start + _SLICE]
        target = targets[start : start + _SLICE, None]
        score, share = scores[: len(slice_)].copy_(slice_), shares[: len(slice_)]
        torch._softmax(score, -1, False, out=share)
        # The largest share is at least 1 / V: its logarithm is safe, as that of the target's is not.
        normalizer = score.amax(-1, keepdim=True) - share.amax(-1, keepdim=True).log_()
        total += (normalizer - score.gather(1, target)).sum() * scale
        share.scatter_add_(1, target, share.new_full((len(slice_), 1), -1.0))
        slice_.copy_(share.mul_(scale))
    return total
