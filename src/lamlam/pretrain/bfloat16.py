"""Weights in bfloat16, so that no step casts them, and a residual stream in float32: what autocast computes, for less.

Only for models whose norms are Llama's RMSNorm; others stay in float32, under autocast.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

__all__ = ["can_be_rounded", "round_weights"]

# N tokens, I wide before a layer and O after it; adapters of rank R.


def can_be_rounded(model: PreTrainedModel) -> bool:
    """Whether all norms are of the kind that is known here."""
    norms = [module for module in model.modules() if getattr(getattr(module, "weight", None), "ndim", 0) == 1]
    return bool(norms) and all(_is_norm(module) for module in norms)


def round_weights(model: PreTrainedModel) -> dict[nn.Parameter, nn.Parameter]:
    """Round weights to bfloat16, and return the float32 masters of those that are trained.

    Gradients stay float32. Norms do as well: they are small, and all that passes them would have their rounding.
    """
    norms = [module for module in model.modules() if _is_norm(module)]
    kept = {parameter for norm in norms for parameter in norm.parameters()}
    masters = {}
    for parameter in model.parameters():
        if parameter in kept:
            continue
        exact, parameter.data = parameter.data, parameter.data.bfloat16()
        if parameter.requires_grad:
            parameter.grad_dtype = torch.float32
            masters[parameter] = nn.Parameter(exact.float())
    for module in model.modules():
        if _is_norm(module):
            module.forward = _Norm(module)
        elif _is_adapted(module):
            module.forward = _Adapted(module)
    embedding = model.get_input_embeddings()
    if type(embedding) is nn.Embedding:
        master = masters.get(cast(nn.Parameter, embedding.weight))
        embedding.forward = _Lookup(embedding, master)  # type: ignore[method-assign, assignment]
    else:
        embedding.register_forward_hook(lambda module, given, rows: rows.float())
    return masters


def _is_norm(module: nn.Module) -> bool:
    """`weight * x / rms(x)`: Llama's, and those made like it."""
    return type(module).__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon")


def _is_adapted(module: nn.Module) -> bool:
    """A linear layer with one of peft's low-rank adapters, of the plain kind, and frozen weights."""
    base = getattr(module, "base_layer", None)
    if type(base) is not nn.Linear or not hasattr(module, "lora_A") or base.weight.requires_grad:
        return False
    adapter = cast(Any, module)
    single = len(adapter.lora_A) == 1 and list(adapter.lora_A) == list(adapter.active_adapters)
    plain = not (adapter.merged or adapter.lora_variant)
    return single and plain and all(isinstance(each, nn.Identity) for each in adapter.lora_dropout.values())


class _Norm:
    """In the place of a norm's `forward`: float32 in, bfloat16 out."""

    def __init__(self, module: nn.Module) -> None:
        self._weight = cast(nn.Parameter, module.weight)
        self._epsilon = cast(float, module.variance_epsilon)

    def __call__(self, hidden: Tensor) -> Tensor:
        return cast(Tensor, _RMSNorm.apply(hidden.float(), self._weight, self._epsilon))


class _RMSNorm(torch.autograd.Function):
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
        return cast(Tensor, _Embedding.apply(ids, self._weight, self._exact))


class _Embedding(torch.autograd.Function):
    """Float32 rows of a table, whose gradient goes to another that is its rounding."""

    @staticmethod
    def forward(ctx: Any, ids: Tensor, weight: Tensor, exact: Tensor) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.shape = weight.shape
        return F.embedding(ids, exact).float()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (ids,) = ctx.saved_tensors
        total = torch.zeros(ctx.shape, dtype=torch.float32)
        return None, total.index_add_(0, ids.reshape(-1), grad.reshape(-1, grad.shape[-1])), None


class _Adapted:
    """In the place of an adapted layer's `forward`: what peft computes, its sums made by the products themselves."""

    def __init__(self, module: nn.Module) -> None:
        (name,) = cast(Any, module).active_adapters
        layers: Any = module
        self._base: nn.Linear = layers.base_layer
        self._down, self._up = layers.lora_A[name].weight, layers.lora_B[name].weight
        self._scale: float = layers.scaling[name]

    def __call__(self, hidden: Tensor) -> Tensor:
        weights = (self._base.weight, self._base.bias, self._down, self._up)
        return cast(Tensor, _AdaptedLinear.apply(hidden, *weights, self._scale))


class _AdaptedLinear(torch.autograd.Function):
    """[N, I] -> [N, O] by frozen weights [O, I], plus `scale` times what goes down [R, I] and up [O, R] again."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, scale: float
    ) -> Tensor:
        flat = hidden.reshape(-1, hidden.shape[-1])
        low = flat @ down.T
        ctx.save_for_backward(flat, low, weight, down, up)
        ctx.shape, ctx.scale = hidden.shape, scale
        return F.linear(flat, weight, bias).addmm_(low, up.T, alpha=scale).view(*hidden.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        flat, low, weight, down, up = ctx.saved_tensors
        grad = grad.reshape(-1, grad.shape[-1])
        grad_low = (grad @ up).mul_(ctx.scale)
        grad_hidden = (grad @ weight).addmm_(grad_low, down).view(ctx.shape) if ctx.needs_input_grad[0] else None
        return grad_hidden, None, None, grad_low.T @ flat, (grad.T @ low).mul_(ctx.scale), None
