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

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lamlam.markup import AnnotatedDocument
from lamlam.model.losses import Loss, losses_by_class
from lamlam.vocab import Arm, Vocabulary

__all__ = ["Monitor", "ProgressBar"]


def _figures(losses: Mapping[str, Loss]) -> dict[str, float]:
    """Static and normalized perplexity (arXiv 2505.15962, section 4.1) and the mean loss of each class of token."""
    text = losses["text"]
    figures = {"static": math.exp(text.mean), "normalized": math.exp(losses["trained"].total / text.tokens)}
    return figures | {f"{name}_loss": loss.mean for name, loss in losses.items() if loss.tokens}


class Monitor(TrainerCallback):
    """Writes the training loss at each logging step, and held-out figures by group at each evaluation."""

    def __init__(
        self,
        path: Path,
        heldout: Mapping[str, Sequence[AnnotatedDocument]],
        vocabulary: Vocabulary,
        arm: Arm,
        *,
        every: int,
        tokens_a_step: int,
    ) -> None:
        self.path, self.heldout, self.vocabulary, self.arm = path, heldout, vocabulary, arm
        self.every, self.tokens_a_step = every, tokens_a_step
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
                losses = losses_by_class(model, self.vocabulary, documents, self.arm)
                self._write(state, {"group": group, **_figures(losses)})

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
