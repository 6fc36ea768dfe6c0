"""Fine-tunes a causal model with low-rank adapters to annotate as a gold annotation does.

The Hugging Face Trainer trains. The loss is of answers only. Training stops when the loss on the calibration split no
longer falls, and the best epoch is kept; the test split is not looked at. A run that was killed goes on with its last
whole epoch.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from lamlam.annotate.causal.coder import Coder
from lamlam.annotate.causal.examples import Examples, collated, examples_of
from lamlam.annotate.causal.settings import CausalTraining
from lamlam.annotate.causal.template import Template
from lamlam.annotate.gold import Split, gold_split
from lamlam.errors import LamLamError
from lamlam.files import atomic_write
from lamlam.markup import AnnotatedDocument, dblookup
from lamlam.model.lora import LoraSettings, adapted, save_adapted
from lamlam.model.weights import load_model
from lamlam.vocab.fast import fast_tokenizer

__all__ = ["train_causal"]

_SUMMARY, _STATE = "training.json", "state"


def train_causal(
    gold: Iterable[AnnotatedDocument], base: str | Path, out: str | Path, settings: CausalTraining
) -> dict[str, Any]:
    """Train an adapter of the model in folder `base` and leave it in `out`, with tokenizer and template; the summary.

    A run that has ended is not repeated. Raises `InputError` when the model cannot be read, `LamLamError` when no
    example is left to train on.
    """
    folder, documents = Path(out), list(gold)
    asked = {"settings": settings.model_dump(), "base": str(Path(base).resolve()), "gold": _digest(documents)}
    begun = _begun(folder, asked)
    if begun is not None and "loss" in begun:
        return begun
    tokenizer, template = fast_tokenizer(base), Template(window=settings.window)
    coder = Coder(tokenizer, template)
    model = load_model(base)
    train, calibration = (_examples(documents, split, coder, model, settings) for split in Split if split != Split.TEST)
    if not train.rows:
        raise LamLamError("no document of the train split is left to learn from")
    set_seed(settings.seed)
    if settings.checkpointing:
        model.enable_input_require_grads()
    lora = LoraSettings(rank=settings.rank, alpha=settings.alpha, dropout=settings.dropout)
    trainer = _trainer(adapted(model, str(asked["base"]), lora), train, calibration, coder.pad_id, folder, settings)
    started, resumed = time.monotonic(), any((folder / _STATE).glob("checkpoint-*"))
    trained = trainer.train(resume_from_checkpoint=resumed)
    save_adapted(trainer.model, folder, folder / _STATE / "saving")
    tokenizer.save_pretrained(str(folder))
    template.save(folder)
    summary = asked | {
        "seconds": round(time.monotonic() - started, 1),
        "resumed": resumed,
        "steps": trainer.state.global_step,
        "epochs": round(trainer.state.epoch or 0.0, 2),
        "examples": {"train": len(train.rows), "calibration": len(calibration.rows)},
        "left_out": train.left_out + calibration.left_out,
        "loss": trained.training_loss,
        "calibration_loss": trainer.state.best_metric,
    }
    _write(folder, summary)
    shutil.rmtree(folder / _STATE)  # the optimizer's state is a pickle, and nobody resumes a run that has ended
    return summary


def _begun(folder: Path, asked: dict[str, Any]) -> dict[str, Any] | None:
    """What an earlier run for the same left; another's state is removed, and its model can no longer be opened."""
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
    coder: Coder,
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
