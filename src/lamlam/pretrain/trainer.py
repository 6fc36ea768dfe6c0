"""The Hugging Face Trainer as a run uses it: on one process, on several, or sharded over them (FSDP).

Every cadence is a multiple of the logging cadence. A logged mean covers the steps since the last line; a resumed run
knows nothing of the steps before it was saved.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from lamlam.errors import InputError
from lamlam.model.precision import fast_dtype
from lamlam.model.rows import trained_output_rows
from lamlam.pretrain.kernels import DOCUMENTS, document_lengths, linear_cross_entropy, masked_cross_entropy
from lamlam.pretrain.optimizer import OnMasters, build_optimizer, can_be_rounded, round_weights
from lamlam.pretrain.packing import PackedFile
from lamlam.pretrain.recipe import Recipe, TrainingSettings
from lamlam.vocab import IGNORE_INDEX

__all__ = ["Deadline", "DistributedContext", "PackedTrainer", "check_sharding", "steps_of"]

_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class DistributedContext:
    """This process's rank, from 0, and the number of processes. The first one writes the run's files."""

    rank: int = 0
    world: int = 1

    @classmethod
    def from_environment(cls) -> "DistributedContext":
        """Read RANK and WORLD_SIZE as set by `torchrun`; without it, the process is alone."""
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            return cls()
        return cls(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))

    @property
    def first(self) -> bool:
        return self.rank == 0

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Wait until another process has made what `ready` looks for.

        This polls files, as a barrier's time-out would end a run that prepares for an hour. If the first process fails,
        torchrun ends the waiting ones.
        """
        while not ready():
            time.sleep(_POLL_SECONDS)

    def leave(self) -> None:
        """Leave the process group, if there is one, at the end of a command."""
        if self.world > 1 and dist.is_initialized():
            dist.barrier()
            dist.destroy_process_group()


class PackedTrainer(Trainer):
    """Trains `model` on packed rows as the recipe says, its state saved in `folder`.

    A single process on a CPU has its own step: attention per document, an output layer for positions with loss only,
    and if the processor multiplies bfloat16, weights in it, with float32 masters in the optimizer.

    Raises `InputError` for a kind of attention that the model does not have.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        recipe: Recipe,
        packed: PackedFile,
        folder: Path,
        callbacks: Sequence[TrainerCallback],
        *,
        entity_id: int,
    ) -> None:
        self._training = training = recipe.training
        self._entity_id = entity_id
        self._by_document = _is_alone_on_a_cpu(training)
        bf16 = training.bf16 and (not self._by_document or fast_dtype() is torch.bfloat16)
        self._masters = round_weights(model) if self._by_document and bf16 and can_be_rounded(model) else {}
        _set_attention(model, DOCUMENTS if self._by_document else training.attention)
        if training.compile:
            model.compile()  # in place: names of weights stay, and nothing is left in the environment
        super().__init__(
            model=model,
            args=_arguments(recipe, steps_of(recipe, len(packed)), folder, bf16=bf16 and not self._masters),
            train_dataset=_WholeSteps(packed, _rows_a_step(recipe)),
            data_collator=_stack,
            callbacks=list(callbacks),
        )
        self.remove_callback(PrinterCallback)

    def create_optimizer(self, model: Any = None) -> Optimizer:
        """Build the recipe's optimizer; not earlier, as FSDP replaces the parameters of a model."""
        if self.optimizer is None:
            named = cast(nn.Module, model or self.model).named_parameters()
            optimizer = build_optimizer([(name, self._masters.get(p, p)) for name, p in named], self._training)
            self.optimizer = OnMasters(self._masters, optimizer) if self._masters else optimizer
        return self.optimizer

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the cross-entropy of the supervised positions over their number in the whole step."""
        labels, banned = inputs["labels"][:, 1:], inputs.get("open_calls")
        read = {key: inputs[key] for key in ("input_ids", "position_ids") if key in inputs}
        where = labels != IGNORE_INDEX
        scale = self.accelerator.num_processes / (where.sum() if num_items_in_batch is None else num_items_in_batch)
        banned, targets = None if banned is None else banned[:, 1:][where], labels[where]
        if not self._by_document:
            logits = model(**read, use_cache=False).logits[:, :-1][where]
            return masked_cross_entropy(logits, targets, banned, token=self._entity_id) * scale
        batch, width = read["input_ids"].shape
        documents = document_lengths(read["position_ids"]) if "position_ids" in read else [width] * batch
        with self.accelerator.autocast():
            hidden = model.base_model(**read, use_cache=False, documents=documents).last_hidden_state[:, :-1][where]
            weight = model.get_output_embeddings().weight
            if torch.is_autocast_enabled("cpu"):
                hidden, weight = hidden.bfloat16(), weight.bfloat16()
        rows = trained_output_rows(model)
        return linear_cross_entropy(hidden, weight, targets, banned, token=self._entity_id, scale=scale, rows=rows)

    def whole_weights(self) -> dict[str, Tensor]:
        """Return the weights by name, gathered from all processes on the first one's CPU; all processes must call
        it.
        """
        weights = {name: weight.float().cpu() for name, weight in self.accelerator.get_state_dict(self.model).items()}
        named = cast(nn.Module, self.model).named_parameters(remove_duplicate=False)
        return weights | {name: self._masters[p].detach() for name, p in named if p in self._masters}


class _WholeSteps(Dataset[dict[str, torch.Tensor]]):
    """Rows, with the first ones repeated so that each epoch has whole steps, on any number of processes.

    The Trainer would end an epoch with a smaller step on one process, and fill it up on several.
    """

    def __init__(self, packed: PackedFile, rows_a_step: int) -> None:
        self._packed, self._rows_a_step = packed, rows_a_step

    def __len__(self) -> int:
        return -(-len(self._packed) // self._rows_a_step) * self._rows_a_step

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return self._packed[row % len(self._packed)]


class Deadline(TrainerCallback):
    """Saves the state and stops after some seconds, at the next logged step."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **more: Any) -> TrainerControl:
        if state.global_step % state.logging_steps == 0 and state.global_step < state.max_steps and self._over(args):
            control.should_save = control.should_training_stop = True
        return control

    def _over(self, args: TrainingArguments) -> bool:
        """Return whether time is up by the first process's clock: all must stop at the same step."""
        over = torch.tensor(int(time.monotonic() >= self._end), device=args.device)
        if dist.is_initialized():
            dist.broadcast(over, 0)
        return bool(over.item())


def steps_of(recipe: Recipe, rows: int) -> int:
    """Return the steps that the recipe's epochs take over `rows` packed rows, on all processes together."""
    return max(1, round(recipe.training.epochs * rows / _rows_a_step(recipe)))


def _rows_a_step(recipe: Recipe) -> int:
    return recipe.training.batch * recipe.training.accumulate * DistributedContext.from_environment().world


def check_sharding(recipe: Recipe) -> None:
    """Raise `InputError` for settings that don't go with FSDP."""
    training = recipe.training
    if training.fsdp and training.lora:
        raise InputError("an adapter is not sharded", field="training.fsdp")
    if training.fsdp and DistributedContext.from_environment().world == 1:
        raise InputError("needs several processes: start the run with torchrun", field="training.fsdp")
    if training.fsdp and training.optimizer == "muon":
        raise InputError("needs whole matrices, which FSDP shards: use adamw", field="training.optimizer")


def _is_alone_on_a_cpu(training: TrainingSettings) -> bool:
    alone = DistributedContext.from_environment().world == 1
    return alone and not (torch.cuda.is_available() or training.compile or training.attention == "flex")


def _set_attention(model: PreTrainedModel, attention: str) -> None:
    try:
        model.set_attn_implementation("flex_attention" if attention == "flex" else attention)
    except (ValueError, ImportError) as error:
        raise InputError(f"the model has no {attention} attention", field="training.attention") from error


def _arguments(recipe: Recipe, steps: int, folder: Path, *, bf16: bool) -> TrainingArguments:
    training = recipe.training
    log = max(1, steps // 100)
    saves = max(1, round(steps / training.checkpoints / log))
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=training.batch,
        gradient_accumulation_steps=training.accumulate,
        average_tokens_across_devices=True,
        learning_rate=training.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(training.warmup * steps),
        bf16=bf16,
        use_cpu=not torch.cuda.is_available(),
        activation_checkpointing=training.gradient_checkpointing and not training.fsdp,
        activation_checkpointing_kwargs={"use_reentrant": False},
        ddp_find_unused_parameters=False,
        logging_steps=log,
        save_strategy="steps",
        save_steps=log * saves,
        save_total_limit=1,
        seed=recipe.seed,
        data_seed=recipe.seed,
        report_to=[],
        remove_unused_columns=False,
        dataloader_num_workers=0,
        disable_tqdm=True,
        **_sharding(recipe),
    )


def _sharding(recipe: Recipe) -> dict[str, Any]:
    if not recipe.training.fsdp:
        return {}
    return {"fsdp": True, "fsdp_config": {"activation_checkpointing": recipe.training.gradient_checkpointing}}


def _stack(rows: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Stack examples [T] to a batch [B, T]."""
    return {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
