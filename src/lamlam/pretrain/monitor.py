"""What a run writes down while it trains: `metrics.jsonl`, one JSON object a line.

Evaluation of a finished model is the business of `evaluate`; here a few held-out documents are scored, so that the
curves of the paper's figures can be drawn.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lamlam.vocab import Encoded, Kind

__all__ = ["Monitor", "ProgressBar", "losses_by_kind"]


@torch.no_grad()
def losses_by_kind(
    model: PreTrainedModel, documents: Sequence[Encoded], pad_id: int, *, batch: int = 32
) -> dict[Kind, tuple[float, int]]:
    """Summed negative log-probability in nats, and the number, of each kind of token; every token is scored."""
    was_training, device = model.training, model.device
    model.eval()
    sums, counts = torch.zeros(len(Kind), dtype=torch.float64), torch.zeros(len(Kind), dtype=torch.int64)
    ordered = sorted(documents, key=lambda document: len(document.ids))
    for start in range(0, len(ordered), batch):
        rows = ordered[start : start + batch]
        width = min(max(len(row.ids) for row in rows), model.config.max_position_embeddings)
        ids = torch.full((len(rows), width), pad_id)  # [B, T]
        kinds = torch.full((len(rows), width), int(Kind.PAD))
        for i, row in enumerate(rows):
            ids[i, : len(row.ids)] = torch.tensor(row.ids[:width])
            kinds[i, : len(row.kinds)] = torch.tensor([int(kind) for kind in row.kinds[:width]])
        logits = model(input_ids=ids.to(device)).logits[:, :-1].float()  # [B, T-1, V]
        losses = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), ids[:, 1:].flatten().to(device), reduction="none"
        )
        sums.index_add_(0, kinds[:, 1:].flatten(), losses.double().cpu())
        counts += torch.bincount(kinds[:, 1:].flatten(), minlength=len(Kind))
    model.train(was_training)
    return {kind: (sums[kind].item(), int(counts[kind])) for kind in Kind if kind is not Kind.PAD}


def _figures(losses: Mapping[Kind, tuple[float, int]]) -> dict[str, float]:
    """Static and normalized perplexity (arXiv 2505.15962, section 4.1) and the mean loss of each kind of token."""
    original = sum(losses[kind][1] for kind in (Kind.TEXT, Kind.EOS))
    static = sum(losses[kind][0] for kind in (Kind.TEXT, Kind.EOS))
    calls = sum(losses[kind][0] for kind in (Kind.ENTITY, Kind.RELATION, Kind.CONTROL))
    figures = {"static": math.exp(static / original), "normalized": math.exp((static + calls) / original)}
    figures |= {f"{kind.name.lower()}_loss": total / count for kind, (total, count) in losses.items() if count}
    return figures


class Monitor(TrainerCallback):
    """Writes the training loss at each logging step, and held-out figures by group at each evaluation."""

    def __init__(
        self, path: Path, heldout: Mapping[str, Sequence[Encoded]], pad_id: int, *, every: int, tokens_a_step: int
    ) -> None:
        self.path, self.heldout, self.pad_id, self.every = path, heldout, pad_id, every
        self.tokens_a_step = tokens_a_step
        self.started = time.monotonic()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """A resumed run keeps the lines up to the step that it resumes from, and writes the others again."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] <= state.global_step] if state.global_step else []
        self.path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **more: Any,
    ) -> None:
        if logs and "loss" in logs:
            self._write(state, {key: logs[key] for key in ("loss", "grad_norm", "learning_rate") if key in logs})

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: PreTrainedModel | None = None,
        **more: Any,
    ) -> None:
        last = state.global_step == state.max_steps
        if model is not None and self.every and (state.global_step % self.every == 0 or last):
            for group, documents in self.heldout.items():
                self._write(state, {"group": group, **_figures(losses_by_kind(model, documents, self.pad_id))})

    def _write(self, state: TrainerState, figures: Mapping[str, Any]) -> None:
        line = {
            "step": state.global_step,
            "tokens": state.global_step * self.tokens_a_step,
            "seconds": round(time.monotonic() - self.started, 1),
        }
        with self.path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line | dict(figures)) + "\n")


class ProgressBar(TrainerCallback):
    """Steps done, the loss and the time left, on standard error."""

    def __init__(self, name: str) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]}"), TimeRemainingColumn())
        self._bar = Progress(TextColumn("{task.description}"), *columns, console=Console(stderr=True))
        self._task = self._bar.add_task(f"pretraining {name}", loss="-")

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        self._bar.update(self._task, total=state.max_steps, completed=state.global_step)
        self._bar.start()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        self._bar.update(self._task, completed=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **more: Any,
    ) -> None:
        if logs and "loss" in logs:
            self._bar.update(self._task, loss=f"{float(logs['loss']):.3f}")

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        self._bar.stop()
