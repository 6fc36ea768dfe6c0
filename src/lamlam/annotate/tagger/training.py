"""Trains a tagger on gold documents; stops when it no longer gets better on the calibration split.

All collections are learnt from, the first one last. The score is the F1 of overlapping values in documents of the first
collection. What is kept is a running average of the weights. The state is saved after each pass, so that training that
was cut off goes on from there; it is deleted by who keeps the result.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import get_linear_schedule_with_warmup

from lamlam.annotate.tagger.calibration import Calibration, calibrate
from lamlam.annotate.tagger.decoding import Readiness
from lamlam.annotate.tagger.examples import Batch, Example, stack
from lamlam.annotate.tagger.losses import TaggerLosses, losses
from lamlam.annotate.tagger.model import Pairs, TaggerModel
from lamlam.annotate.tagger.parts import TaggerParts
from lamlam.annotate.tagger.tagger import Tagger
from lamlam.files import atomic_write
from lamlam.markup import AnnotatedDocument
from lamlam.model.precision import fast_dtype

__all__ = ["Pass", "Training"]

_CHUNK = 16  # batches among which windows are sorted by length
_CLIP = 1.0


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass over the examples came to: mean losses, and the calibration of the averaged weights."""

    number: int
    losses: dict[str, float]
    calibration: Calibration


class Training:
    """Trains the network of `parts` in place; `state` is where it saves what it goes on from, `key` what that must fit.

    `told` is called with the steps done, those there are at most, and the score so far.
    """

    def __init__(
        self,
        parts: TaggerParts,
        state: Path,
        key: str,
        told: Callable[[int, int, float | None], None] = lambda done, total, score: None,
    ) -> None:
        self._parts, self._settings, self._state, self._key, self._told = parts, parts.settings, state, key, told
        self.passes: list[Pass] = []
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = parts.model.to(self._device)
        self._average = AveragedModel(self._model, multi_avg_fn=get_ema_multi_avg_fn(self._settings.average))
        self._best: dict[str, Tensor] = {}

    def run(self, train: Sequence[Example], calibration: Sequence[AnnotatedDocument]) -> list[Pass]:
        """Pass over `train` until the score no longer rises; the network then has the weights that scored best."""
        plan = self._plan(train)
        steps = [-(-len(part) // self._settings.batch) for part in plan]
        optimizer, schedule = self._optimizer(sum(steps))
        self._resume(optimizer, schedule)
        while len(self.passes) < self._settings.epochs and not self._stale():
            number = len(self.passes)
            with torch.random.fork_rng():
                torch.manual_seed(self._settings.seed * 1009 + number)
                means = self._pass(number, plan[number], steps, optimizer, schedule)
            found = calibrate(Tagger(replace(self._parts, model=cast(TaggerModel, self._average.module))), calibration)
            self.passes.append(Pass(number, means, found))
            if self._best_pass() is self.passes[-1]:
                self._best = {name: value.cpu().clone() for name, value in self._average.module.state_dict().items()}
            self._save(optimizer, schedule)
        self._model.load_state_dict(self._best)
        self._model.cpu().eval()
        return self.passes

    def _plan(self, train: Sequence[Example]) -> list[Sequence[Example]]:
        """What each pass reads: all examples, in the last passes those of the first collection."""
        first = [example for example in train if example.source == 0]
        last = min(self._settings.finish, self._settings.epochs)
        return [train] * (self._settings.epochs - last) + [first] * last

    def _pass(
        self, number: int, train: Sequence[Example], steps: list[int], optimizer: Any, schedule: Any
    ) -> dict[str, float]:
        self._model.train()
        totals = [0.0] * len(TaggerLosses._fields)
        rng = random.Random(f"{self._settings.seed}:{number}")
        for step, chosen in enumerate(_batches(train, self._settings.batch, rng)):
            batch = _moved(stack(chosen, self._parts.tokenizer.pad_token_id), self._device)
            parts = self._step(batch, optimizer, schedule)
            totals = [total + part for total, part in zip(totals, parts, strict=True)]
            score = self._best_pass().calibration.f1 if self.passes else None
            self._told(sum(steps[:number]) + step + 1, sum(steps), score)
        return {name: round(total / steps[number], 4) for name, total in zip(TaggerLosses._fields, totals, strict=True)}

    def _step(self, batch: Batch, optimizer: Any, schedule: Any) -> list[float]:
        fast = fast_dtype(self._device) if self._settings.bf16 else torch.float32
        with torch.autocast(self._device.type, fast, enabled=fast != torch.float32):
            parts = losses(self._model, batch, self._settings.relation_softness)
        loss = (
            parts.tags
            + self._settings.entity_weight * parts.entities
            + self._settings.relation_weight * parts.relations
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), _CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        self._average.update_parameters(self._model)
        return [float(part.detach()) for part in parts]

    def _optimizer(self, total: int) -> tuple[Any, Any]:
        settings = self._settings
        self._model.encoder.get_input_embeddings().requires_grad_(False)  # most of the weights, and seldom seen
        encoder = [p for p in self._model.encoder.parameters() if p.requires_grad]
        known = {id(p) for p in self._model.encoder.parameters()}
        heads = [p for p in self._model.parameters() if id(p) not in known]
        groups = [
            {"params": encoder, "lr": settings.learning_rate},
            {"params": heads, "lr": settings.head_learning_rate},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
        return optimizer, get_linear_schedule_with_warmup(optimizer, round(settings.warmup * total), total)

    def _best_pass(self) -> Pass:
        return max(reversed(self.passes), key=lambda each: each.calibration.f1)

    def _stale(self) -> bool:
        return bool(self.passes) and len(self.passes) - 1 - self._best_pass().number >= self._settings.patience

    def _save(self, optimizer: Any, schedule: Any) -> None:
        parts = {
            "key": self._key,
            "passes": [
                (each.number, each.losses, *each.calibration.readiness, each.calibration.f1) for each in self.passes
            ],
            "model": self._model.state_dict(),
            "average": self._average.state_dict(),
            "best": self._best,
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
        }
        with atomic_write(self._state, "wb") as file:
            torch.save(parts, file)

    def _resume(self, optimizer: Any, schedule: Any) -> None:
        if not self._state.exists():
            return
        parts = torch.load(self._state, map_location=self._device, weights_only=True)
        if parts["key"] != self._key:
            return
        self.passes = [Pass(n, means, Calibration(Readiness(*ready), f1)) for n, means, *ready, f1 in parts["passes"]]
        self._model.load_state_dict(parts["model"])
        self._average.load_state_dict(parts["average"])
        self._best = parts["best"]
        optimizer.load_state_dict(parts["optimizer"])
        schedule.load_state_dict(parts["schedule"])


def _batches(train: Sequence[Example], size: int, rng: random.Random) -> Iterator[list[Example]]:
    """The examples in batches of windows of much the same length, shuffled."""
    shuffled = rng.sample(train, len(train))
    batches = []
    for first in range(0, len(shuffled), size * _CHUNK):
        part = sorted(shuffled[first : first + size * _CHUNK], key=lambda example: len(example.window.ids))
        batches += [part[at : at + size] for at in range(0, len(part), size)]
    rng.shuffle(batches)
    yield from batches


def _moved(batch: Batch, device: torch.device) -> Batch:
    names = ("ids", "mask", "shapes", "tags", "source", "spans", "relation", "right")
    pairs = Pairs(*(part.to(device) for part in batch.pairs))
    return replace(batch, pairs=pairs, **{name: getattr(batch, name).to(device) for name in names})
