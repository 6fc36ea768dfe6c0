"""The optimizer of a run, and weights in bfloat16 with float32 masters.

AdamW, or Muon for the matrices of the layers with AdamW for everything else. Muon (Jordan et al., 2024;
torch.optim.Muon) orthogonalises the update of a matrix. In short runs small models learnt to copy names, which lookups
depend on, in fewer tokens than with AdamW alone (docs/decisions.md). It needs whole matrices: not for FSDP.

With weights in bfloat16 no step casts them; the residual stream stays in float32. That is what autocast computes, for
less. It works for models whose norms are Llama's RMSNorm; others stay in float32, under autocast.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW, Muon, Optimizer
from transformers import PreTrainedModel

from lamlam.pretrain.recipe import TrainingSettings

__all__ = ["OnMasters", "build_optimizer", "can_be_rounded", "round_weights"]

_BETAS = (0.9, 0.95)
# N tokens, I wide before a layer and O after it; adapters of rank R.


def build_optimizer(parameters: Iterable[tuple[str, nn.Parameter]], training: TrainingSettings) -> Optimizer:
    """Build the optimizer of named parameters. Embeddings, norms and biases have no weight decay."""
    named = [(name, p) for name, p in parameters if p.requires_grad]
    matrices = [p for name, p in named if p.ndim == 2 and not _is_embedding(name)]
    others = [p for name, p in named if p.ndim != 2 or _is_embedding(name)]
    lr, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "adamw":
        groups = [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
        return AdamW(groups, lr, betas=_BETAS, fused=True)
    return _OptimizerPair(
        Muon(matrices, training.muon_learning_rate, weight_decay=decay),
        AdamW(others, lr, betas=_BETAS, weight_decay=0.0, fused=True),
    )


def _is_embedding(name: str) -> bool:
    return any(part in name for part in ("embed", "wte", "wpe", "lm_head"))


class _OptimizerPair(Optimizer):
    """Two optimizers as one: with their groups side by side, one schedule and one checkpoint serve both."""

    def __init__(self, *optimizers: Optimizer) -> None:
        self._optimizers = optimizers
        super().__init__([group for optimizer in optimizers for group in optimizer.param_groups], {})
        self._share_groups()

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = closure() if closure is not None else None
        for optimizer in self._optimizers:
            optimizer.step()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return {"optimizers": [optimizer.state_dict() for optimizer in self._optimizers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for optimizer, state in zip(self._optimizers, state_dict["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self._share_groups()

    def _share_groups(self) -> None:
        """Let the pair's groups, in which a scheduler sets the learning rate, be those of its parts."""
        self.param_groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]


class OnMasters(Optimizer):
    """Steps float32 masters by the gradients of their weights, and rounds them to the weights."""

    def __init__(self, masters: Mapping[nn.Parameter, nn.Parameter], optimizer: Optimizer) -> None:
        self._masters, self._optimizer = masters, optimizer
        super().__init__(optimizer.param_groups, {})
        self.param_groups = optimizer.param_groups

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        for weight, master in self._masters.items():
            master.grad = weight.grad
        loss = self._optimizer.step(closure)
        torch._foreach_copy_(list(self._masters), list(self._masters.values()))
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        for weight in self._masters:
            weight.grad = None
        self._optimizer.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self._optimizer.state_dict(), "masters": [m.detach() for m in self._masters.values()]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._optimizer.load_state_dict(state_dict["optimizer"])
        self.param_groups = self._optimizer.param_groups
        with torch.no_grad():
            torch._foreach_copy_(list(self._masters.values()), state_dict["masters"])
            torch._foreach_copy_(list(self._masters), state_dict["masters"])


def can_be_rounded(model: PreTrainedModel) -> bool:
    """Return whether all norms are of a known kind."""
    norms = [module for module in model.modules() if getattr(getattr(module, "weight", None), "ndim", 0) == 1]
    return bool(norms) and all(_is_norm(module) for module in norms)


def round_weights(model: PreTrainedModel) -> dict[nn.Parameter, nn.Parameter]:
    """Round weights to bfloat16, and return the float32 masters of the trained ones.

    Gradients stay float32, and so do norms: they are small, and everything that passes them would be rounded.
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
            module.forward = _NormForward(module)
        elif _is_adapted(module):
            module.forward = _AdaptedForward(module)
    embedding = model.get_input_embeddings()
    if type(embedding) is nn.Embedding:
        master = masters.get(cast(nn.Parameter, embedding.weight))
        embedding.forward = _EmbeddingForward(embedding, master)  # type: ignore[method-assign, assignment]
    else:
        embedding.register_forward_hook(lambda module, given, rows: rows.float())
    return masters


def _is_norm(module: nn.Module) -> bool:
    """Return whether a module computes `weight * x / rms(x)`, as Llama's norms do."""
    return type(module).__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon")


def _is_adapted(module: nn.Module) -> bool:
    """Return whether a module is a linear layer with frozen weights and one plain low-rank adapter of peft's."""
    base = getattr(module, "base_layer", None)
    if type(base) is not nn.Linear or not hasattr(module, "lora_A") or base.weight.requires_grad:
        return False
    adapter = cast(Any, module)
    single = len(adapter.lora_A) == 1 and list(adapter.lora_A) == list(adapter.active_adapters)
    plain = not (adapter.merged or adapter.lora_variant)
    return single and plain and all(isinstance(layer, nn.Identity) for layer in adapter.lora_dropout.values())


class _NormForward:
    """Replaces a norm's `forward`: float32 in, bfloat16 out."""

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


class _EmbeddingForward:
    """Replaces an embedding's `forward`: rows in float32, from the master if there is one."""

    def __init__(self, embedding: nn.Embedding, master: Tensor | None) -> None:
        self._weight, self._exact = embedding.weight, embedding.weight if master is None else master

    def __call__(self, ids: Tensor) -> Tensor:
        return cast(Tensor, _MasterEmbedding.apply(ids, self._weight, self._exact))


class _MasterEmbedding(torch.autograd.Function):
    """Looks up float32 rows of a table; the gradient goes to its rounded copy."""

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


class _AdaptedForward:
    """Replaces an adapted layer's `forward`: computes what peft does, with fused sums."""

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
    """Maps [N, I] to [N, O] by frozen weights [O, I], plus `scale` times the product with `down` [R, I] and `up` [O,
    R].
    """

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
