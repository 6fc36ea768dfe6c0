"""Weights in bfloat16, so that no step casts them, with a residual stream in float32: what autocast computes, for less.

Only for models whose norms are RMSNorms as Llama has them: others stay in float32, under autocast.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

__all__ = ["can_be_halved", "halve"]

# N tokens, H wide.


def can_be_halved(model: PreTrainedModel) -> bool:
    """Whether all weights that are no matrices belong to RMSNorms."""
    others = [m for m in model.modules() if not _is_norm(m) and any(p.ndim < 2 for p in m.parameters(recurse=False))]
    return any(_is_norm(module) for module in model.modules()) and not others


def halve(model: PreTrainedModel) -> dict[nn.Parameter, nn.Parameter]:
    """Round the matrices to bfloat16, and return the float32 masters of those that are trained.

    Gradients stay float32. Norms do as well: they are small, and all that passes them would have their rounding.
    """
    masters = {}
    for parameter in model.parameters():
        if parameter.ndim > 1:
            exact, parameter.data = parameter.data, parameter.data.bfloat16()
            if parameter.requires_grad:
                parameter.grad_dtype = torch.float32
                masters[parameter] = nn.Parameter(exact)
    for module in model.modules():
        if _is_norm(module):
            module.forward = _Norm(module)
    embedding = cast(nn.Embedding, model.get_input_embeddings())
    if embedding.weight.requires_grad:
        embedding.forward = _Lookup(embedding, masters.get(embedding.weight))  # type: ignore[method-assign]
    else:
        embedding.register_forward_hook(lambda module, inputs, output: output.float())
    return masters


def _is_norm(module: nn.Module) -> bool:
    """Llama's and those that are made like it: `weight * x / rms(x)`."""
    return type(module).__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon")


class _Norm:
    """In the place of a module's `forward`."""

    def __init__(self, module: nn.Module) -> None:
        self._weight = cast(nn.Parameter, module.weight)
        self._epsilon = cast(float, module.variance_epsilon)

    def __call__(self, hidden: Tensor) -> Tensor:
        return cast(Tensor, _RMSNorm.apply(hidden, self._weight, self._epsilon))  # type: ignore[no-untyped-call]


class _RMSNorm(torch.autograd.Function):
    """Float32 in, the weights' type out."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        squares = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True).square_()
        inverse = squares.div_(hidden.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(hidden, weight, inverse)
        return (hidden * inverse).mul_(weight).bfloat16()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, inverse = ctx.saved_tensors
        normal = hidden * inverse
        grad = grad.float()
        grad_weight = (grad * normal).flatten(0, -2).sum(0) if ctx.needs_input_grad[1] else None
        grad = grad * weight
        share = torch.linalg.vecdot(grad, normal).unsqueeze(-1).div_(hidden.shape[-1])
        return grad.addcmul_(normal, share, value=-1).mul_(inverse), grad_weight, None


class _Lookup:
    """In the place of an embedding's `forward`: its rows in float32, from the master where there is one."""

    def __init__(self, embedding: nn.Embedding, master: Tensor | None) -> None:
        self._weight, self._exact = embedding.weight, embedding.weight if master is None else master

    def __call__(self, ids: Tensor) -> Tensor:
        return cast(Tensor, _Embedding.apply(ids, self._weight, self._exact))  # type: ignore[no-untyped-call]


class _Embedding(torch.autograd.Function):
    """Float32 rows of a table, whose gradient goes to another that is its rounding."""

    @staticmethod
    def forward(ctx: Any, ids: Tensor, weight: Tensor, exact: Tensor) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.shape = weight.shape
        return nn.functional.embedding(ids, exact).float()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (ids,) = ctx.saved_tensors
        if not ctx.needs_input_grad[1]:
            return None, None, None
        total = torch.zeros(ctx.shape, dtype=torch.float32)
        return None, total.index_add_(0, ids.reshape(-1), grad.reshape(-1, grad.shape[-1])), None
