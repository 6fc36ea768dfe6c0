"""The optimizer of a run: AdamW, or Muon for the matrices of the layers with AdamW for everything else.

Muon (Jordan et al., 2024; torch.optim.Muon) orthogonalises the update of a matrix. In short runs small models learnt
to copy names, which lookups stand on, in fewer tokens than with AdamW alone (docs/decisions.md). It needs whole
matrices: not for FSDP.

Weights in bfloat16 have masters in float32, of which they are roundings: only the masters are stepped.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from lamlam.pretrain.recipe import TrainingSettings

__all__ = ["OnMasters", "build_optimizer"]

_BETAS = (0.9, 0.95)


def build_optimizer(parameters: Iterable[tuple[str, nn.Parameter]], training: TrainingSettings) -> Optimizer:
    """The optimizer that the settings name, of named parameters. Embeddings, norms and biases take no weight decay."""
    named = [(name, p) for name, p in parameters if p.requires_grad]
    matrices = [p for name, p in named if p.ndim == 2 and not _is_embedding(name)]
    others = [p for name, p in named if p.ndim != 2 or _is_embedding(name)]
    lr, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "adamw":
        groups = [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
        return AdamW(groups, lr, betas=_BETAS, fused=True)
    return _Pair(
        Muon(matrices, training.muon_learning_rate, weight_decay=decay),
        AdamW(others, lr, betas=_BETAS, weight_decay=0.0, fused=True),
    )


def _is_embedding(name: str) -> bool:
    return any(part in name for part in ("embed", "wte", "wpe", "lm_head"))


class _Pair(Optimizer):
    """Two optimizers as one: their groups side by side, so that one schedule and one checkpoint serve both."""

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
        """A scheduler sets the learning rate in the groups of the pair: they are those of its parts."""
        self.param_groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]


class OnMasters(Optimizer):
    """Steps float32 masters by the gradients of their weights, and rounds them to these."""

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
