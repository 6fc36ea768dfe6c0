"""What a run writes down while it trains: `metrics.jsonl`, one JSON object a line.

Evaluation of a finished model is the business of `evaluate`; here a few held-out documents are scored, so that the
curves of the paper's figures can be drawn.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lamlam.markup import AnnotatedDocument
from lamlam.model.losses import Loss, losses_by_class
from lamlam.pretrain.throughput import Throughput
from lamlam.vocab import Arm, Vocabulary

__all__ = ["Monitor", "ProgressBar"]


def _figures(losses: Mapping[str, Loss]) -> dict[str, float]:
    """Static and normalized perplexity (arXiv 2505.15962, section 4.1) and the mean loss of each class of token."""
    text = losses["text"]
    figures = {"static": math.exp(text.mean), "normalized": math.exp(losses["trained"].total / text.tokens)}
    return figures | {f"{name}_loss": loss.mean for name, loss in losses.items() if loss.tokens}


class Monitor(TrainerCallback):
    """Writes the training loss and the speed at each logging step, and held-out figures by group at each evaluation.

    Without a `path` it evaluates and writes nothing: where weights are sharded, all processes must take part.
    """

    def __init__(
        self,
        path: Path | None,
        heldout: Mapping[str, Sequence[AnnotatedDocument]],
        vocabulary: Vocabulary,
        arm: Arm,
        throughput: Throughput,
        *,
        every: int,
        tokens_a_step: int,
    ) -> None:
        self.path, self.heldout, self.vocabulary, self.arm = path, heldout, vocabulary, arm
        self.throughput, self.every, self.tokens_a_step = throughput, every, tokens_a_step
        self.started, self._clock = time.monotonic(), _Clock()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """A resumed run keeps the lines up to the step that it resumes from, and writes the others again."""
        self.started, self._clock = time.monotonic(), _Clock()
        if self.path is None:
            return
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] <= state.global_step] if state.global_step else []
        self.path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        self.started -= json.loads(kept[-1])["seconds"] if kept else 0

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **more: Any,
    ) -> None:
        if logs and "loss" in logs:
            figures = {key: logs[key] for key in ("loss", "grad_norm", "learning_rate") if key in logs}
            steps, seconds = self._clock.lap(state.global_step)
            speed = self.throughput.figures(steps * self.tokens_a_step, seconds) if steps else {}
            self._write(state, figures | speed)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: PreTrainedModel | None = None,
        **more: Any,
    ) -> None:
        self._clock.start(state.global_step)
        last = state.global_step == state.max_steps
        if model is None or not self.every or not (state.global_step % self.every == 0 or last):
            return
        # Documents of all lengths would be compiled one length after another.
        with self._clock.paused(), torch.compiler.set_stance("force_eager"):
            for group, documents in self.heldout.items():
                losses = losses_by_class(model, self.vocabulary, documents, self.arm)
                self._write(state, {"group": group, **_figures(losses)})

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """Saving follows a line of the log: what it took is no part of the next lap."""
        self._clock.restart(state.global_step)

    def _write(self, state: TrainerState, figures: Mapping[str, Any]) -> None:
        if self.path is None:
            return
        line = {
            "step": state.global_step,
            "tokens": state.global_step * self.tokens_a_step,
            "seconds": round(time.monotonic() - self.started, 1),
        }
        with self.path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line | dict(figures)) + "\n")


class _Clock:
    """Steps and seconds between lines of the log, without pauses, and without the warming up of the first step."""

    def __init__(self) -> None:
        self._step: int | None = None
        self._since = 0.0

    def start(self, step: int) -> None:
        """Begin to count, unless that has been done."""
        if self._step is None:
            self.restart(step)

    def restart(self, step: int) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._step, self._since = step, time.perf_counter()

    def lap(self, step: int) -> tuple[int, float]:
        """Steps and seconds since the last lap; no steps before the second one of a run."""
        begun = step if self._step is None else self._step
        steps, seconds = step - begun, time.perf_counter() - self._since
        self.restart(step)
        return steps, seconds

    @contextmanager
    def paused(self) -> Iterator[None]:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        began = time.perf_counter()
        yield
        self._since += time.perf_counter() - began


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
