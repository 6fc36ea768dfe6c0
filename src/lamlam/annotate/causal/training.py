"""Fine-tunes a causal model with low-rank adapters to annotate as a gold annotation does.

The Hugging Face Trainer trains; only answers carry loss. Training stops when the loss on the calibration split stops
falling, and the best epoch is kept; the test split isn't used. A killed run continues from its last whole epoch.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from lamlam.annotate.causal.model import PromptCoder, Template
from lamlam.annotate.score import Split, gold_split
from lamlam.errors import LamLamError
from lamlam.files import atomic_write, whole_state
from lamlam.markup import AnnotatedDocument, dblookup
from lamlam.model.lora import LoraSettings, adapted, save_adapted
from lamlam.model.weights import load_model
from lamlam.text import windows
from lamlam.vocab import IGNORE_INDEX
from lamlam.vocab.fast import fast_tokenizer

__all__ = ["CausalTraining", "Examples", "examples_of", "pieces", "train_causal"]

_SUMMARY, _STATE = "training.json", "state"


class CausalTraining(BaseModel):
    """The defaults are for a model of some billion parameters and the thousand documents of the paper's seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=10, ge=1)
    batch: int = Field(default=4, ge=1)
    accumulate: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=2e-4, gt=0)
    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    context: int = Field(default=2048, ge=64)  # tokens of prompt and answer
    window: int = Field(default=1600, ge=200)  # characters of a document in one example
    patience: int = Field(default=2, ge=1)  # epochs without a better calibration loss before it stops
    checkpointing: bool = False  # compute activations twice instead of keeping them
    seed: int = 0


@dataclass(slots=True)
class Examples:
    """Ids and labels of examples, and how many were left out because they exceed the model's context."""

    rows: list[dict[str, list[int]]] = field(default_factory=list)
    left_out: int = 0


def train_causal(
    gold: Iterable[AnnotatedDocument], base: str | Path, out: str | Path, settings: CausalTraining
) -> dict[str, Any]:
    """Train an adapter of the model in folder `base`, save it in `out` with tokenizer and template; return the summary.

    A finished run is not repeated. Raises `InputError` if the model cannot be read, `LamLamError` if there is no
    example to train on.
    """
    folder, documents = Path(out), list(gold)
    asked = {"settings": settings.model_dump(), "base": str(Path(base).resolve()), "gold": _digest(documents)}
    begun = _begun(folder, asked)
    if begun is not None and "loss" in begun:
        return begun
    tokenizer, template = fast_tokenizer(base), Template(window=settings.window)
    coder = PromptCoder(tokenizer, template)
    model = load_model(base)
    train, calibration = (_examples(documents, split, coder, model, settings) for split in Split if split != Split.TEST)
    if not train.rows:
        raise LamLamError("no document of the train split is left to learn from")
    set_seed(settings.seed)
    if settings.checkpointing:
        model.enable_input_require_grads()
    lora = LoraSettings(rank=settings.rank, alpha=settings.alpha, dropout=settings.dropout)
    trainer = _trainer(adapted(model, str(asked["base"]), lora), train, calibration, coder.pad_id, folder, settings)
    started, saved = time.monotonic(), whole_state(folder / _STATE)
    trained = trainer.train(resume_from_checkpoint=str(saved) if saved else None)
    save_adapted(trainer.model, folder, folder / _STATE / "saving")
    tokenizer.save_pretrained(str(folder))
    template.save(folder)
    summary = asked | {
        "seconds": round(time.monotonic() - started, 1),
        "resumed": saved is not None,
        "steps": trainer.state.global_step,
        "epochs": round(trainer.state.epoch or 0.0, 2),
        "examples": {"train": len(train.rows), "calibration": len(calibration.rows)},
        "left_out": train.left_out + calibration.left_out,
        "loss": trained.training_loss,
        "calibration_loss": trainer.state.best_metric,
    }
    _write(folder, summary)
    shutil.rmtree(folder / _STATE)  # the optimizer's state is a pickle, and a finished run isn't resumed
    return summary


def _begun(folder: Path, asked: dict[str, Any]) -> dict[str, Any] | None:
    """Return the summary of an earlier run of the same; remove another run's state, so its model can't be opened."""
    path = folder / _SUMMARY
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if asked.items() <= found.items():
            return found
    Template.remove(folder)
    shutil.rmtree(folder / _STATE, ignore_errors=True)
    _write(folder, asked)
    return None


def _write(folder: Path, summary: dict[str, Any]) -> None:
    with atomic_write(folder / _SUMMARY) as file:
        json.dump(summary, file, indent=1)


def _examples(
    documents: Sequence[AnnotatedDocument],
    split: Split,
    coder: PromptCoder,
    model: PreTrainedModel,
    settings: CausalTraining,
) -> Examples:
    most = getattr(model.config.get_text_config(), "max_position_embeddings", settings.context)
    chosen = (document for document in documents if gold_split(document) == split)
    return examples_of(chosen, coder, window=settings.window, context=min(settings.context, most))


def _trainer(
    model: PreTrainedModel,
    train: Examples,
    calibration: Examples,
    pad_id: int,
    folder: Path,
    settings: CausalTraining,
) -> Trainer:
    measured = bool(calibration.rows)
    arguments = TrainingArguments(
        output_dir=str(folder / _STATE),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch,
        per_device_eval_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulate,
        activation_checkpointing=settings.checkpointing,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.03,
        bf16=torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
        use_cpu=not torch.cuda.is_available(),
        eval_strategy="epoch" if measured else "no",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=measured,
        metric_for_best_model="eval_loss" if measured else None,
        greater_is_better=False if measured else None,
        restore_callback_states_from_checkpoint=True,
        prediction_loss_only=True,
        logging_strategy="epoch",
        remove_unused_columns=False,
        disable_tqdm=False,
        report_to="none",
        seed=settings.seed,
        data_seed=settings.seed,
    )
    stopping: list[TrainerCallback] = [EarlyStoppingCallback(settings.patience)] if measured else []
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=train.rows,
        eval_dataset=calibration.rows if measured else None,
        data_collator=partial(collated, pad_id=pad_id),
        callbacks=stopping,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _digest(documents: Iterable[AnnotatedDocument]) -> str:
    digest = hashlib.sha256()
    for document in documents:
        digest.update(json.dumps([document.id, document.title, dblookup.render(document)]).encode())
    return digest.hexdigest()[:16]


def examples_of(documents: Iterable[AnnotatedDocument], coder: PromptCoder, *, window: int, context: int) -> Examples:
    """Make an example for each window of each document; only the answer carries loss."""
    examples = Examples()
    for document in documents:
        for piece in pieces(document, window):
            prompt, answer = coder.prompt(piece), coder.answer(piece)
            if len(prompt) + len(answer) > context:
                examples.left_out += 1
            else:
                labels = [IGNORE_INDEX] * len(prompt) + answer
                examples.rows.append({"input_ids": prompt + answer, "labels": labels})
    return examples


def pieces(document: AnnotatedDocument, window: int) -> Iterator[AnnotatedDocument]:
    """Yield the non-blank windows of a document, each with its calls."""
    for start, end in windows(document.text, window):
        text = document.text[start:end]
        if text.strip():
            calls = (replace(call, at=call.at - start) for call in document.calls if start <= call.at < end)
            yield replace(document, text=text, calls=tuple(calls))


def collated(rows: list[dict[str, list[int]]], pad_id: int) -> dict[str, Tensor]:
    """Return rows [B, T] of ids, labels and mask, padded at the end."""
    width = max(len(row["input_ids"]) for row in rows)

    def padded(name: str, fill: int) -> Tensor:
        return torch.tensor([row[name] + [fill] * (width - len(row[name])) for row in rows])

    mask = torch.tensor([[1] * len(row["labels"]) + [0] * (width - len(row["labels"])) for row in rows])
    return {"input_ids": padded("input_ids", pad_id), "labels": padded("labels", IGNORE_INDEX), "attention_mask": mask}
