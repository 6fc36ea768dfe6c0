"""What a run writes while it trains: `metrics.jsonl`, one JSON object per line, with losses, perplexities and
throughput.

A token costs 6 N floating-point operations for a model with N multiplying weights (forward 2, backward 4; Kaplan et
al., arXiv 2001.08361), and 6 L T H for the attention of L layers of width H over a row of T tokens: half of PaLM's 12 L
T H (arXiv 2204.02311, appendix B), as a causal row has half the pairs. Document boundaries leave fewer still, and
recomputed activations don't count.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState

from lamlam.markup import AnnotatedDocument
from lamlam.model.losses import Loss, losses_by_class
from lamlam.vocab import Arm, Vocabulary

__all__ = ["Monitor", "ProgressBar", "Throughput"]

# Dense bfloat16 operations a second, from the vendor's data sheets; longer names first.
_PEAKS = (
    ("H100 PCIe", 756e12),
    ("H100 NVL", 835e12),
    ("H100", 989e12),
    ("H200", 989e12),
    ("A100", 312e12),
)


class Throughput:
    """Operations a token of a model, over the peak of the devices that train it. `peak` is None where unknown."""

    def __init__(self, model: PreTrainedModel, context: int, *, devices: int = 1, bf16: bool = True) -> None:
        config = model.config
        width = config.num_attention_heads * (getattr(config, "head_dim", None) or _head_size(config))
        self.flops_a_token = 6 * _multiplying(model) + 6 * config.num_hidden_layers * context * width
        name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
        one = next((peak for known, peak in _PEAKS if known in name), None) if bf16 else None
        self.device, self.peak = name or "cpu", one and one * devices

    def figures(self, tokens: int, seconds: float) -> dict[str, float | None]:
        """Return `tokens_per_second` and `utilisation`, the share of the peak (None if the peak is unknown)."""
        rate = tokens / seconds
        used = round(rate * self.flops_a_token / self.peak, 4) if self.peak else None
        return {"tokens_per_second": round(rate, 1), "utilisation": used}


def _head_size(config: object) -> int:
    return int(config.hidden_size // config.num_attention_heads)  # type: ignore[attr-defined]


def _multiplying(model: PreTrainedModel) -> int:
    """Return the number of weights without lookup tables: positions, and token embeddings that aren't also the head."""
    tables = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    head = cast(torch.nn.Linear, model.get_output_embeddings()).weight
    return sum(p.numel() for p in model.parameters() if id(p) not in tables or p is head)


def _figures(losses: Mapping[str, Loss]) -> dict[str, float]:
    """Return static and normalized perplexity (arXiv 2505.15962, section 4.1) and each token class's mean loss."""
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

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """Keep the lines up to the step that a run resumes from."""
        self.started, self._clock = time.monotonic(), _Clock()
        if self.path is None:
            return
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] <= state.global_step] if state.global_step else []
        self.path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        self.started -= json.loads(kept[-1])["seconds"] if kept else 0

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        if "loss" in (logs := more.get("logs") or {}):
            figures = {key: logs[key] for key in ("loss", "grad_norm", "learning_rate") if key in logs}
            steps, seconds = self._clock.lap(state.global_step)
            speed = self.throughput.figures(steps * self.tokens_a_step, seconds) if steps else {}
            self._write(state, figures | speed)

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        self._clock.start(state.global_step)
        last, model = state.global_step == state.max_steps, more.get("model")
        if model is None or not self.every or not (state.global_step % self.every == 0 or last):
            return
        # Documents of all lengths would be compiled one length after another.
        with self._clock.paused(), torch.compiler.set_stance("force_eager"):
            for group, documents in self.heldout.items():
                losses = losses_by_class(model, self.vocabulary, documents, self.arm)
                self._write(state, {"group": group, **_figures(losses)})

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """Leave the time for saving, which follows a line of the log, out of the next lap."""
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
    """Steps and seconds between lines of the log, without pauses and the first step, which warms up."""

    def __init__(self) -> None:
        self._step: int | None = None
        self._since = 0.0

    def start(self, step: int) -> None:
        """Start counting, if it has not been started."""
        if self._step is None:
            self.restart(step)

    def restart(self, step: int) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._step, self._since = step, time.perf_counter()

    def lap(self, step: int) -> tuple[int, float]:
        """Return steps and seconds since the last lap; no steps before the second one of a run."""
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

    def __init__(self, description: str) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]}"), TimeRemainingColumn())
        self._bar = Progress(TextColumn("{task.description}"), *columns, console=Console(stderr=True))
        self._task = self._bar.add_task(description, loss="-")

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        self._bar.update(self._task, total=state.max_steps, completed=state.global_step)
        self._bar.start()

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        self._bar.update(self._task, completed=state.global_step)

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        if "loss" in (logs := more.get("logs") or {}):
            self._bar.update(self._task, loss=f"{float(logs['loss']):.3f}")

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        self._bar.stop()
