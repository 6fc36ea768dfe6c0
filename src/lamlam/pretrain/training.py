"""Pretraining from scratch with the Hugging Face Trainer, either arm; a killed run resumes where it was saved.

The loss of a step is the sum over its supervised tokens divided by their number, over all accumulated batches and all
processes: the Trainer counts labels that are not -100 and hands the number to the model's loss.
"""

import json
import random
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainingArguments

from lamlam.corpus import Corpus
from lamlam.corpus.files import load_corpus, save_corpus
from lamlam.errors import LamLamError
from lamlam.files import atomic_write
from lamlam.kb.store import KnowledgeBase
from lamlam.markup import AnnotatedDocument
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.presets import build_model
from lamlam.pretrain.data import mixture, read_corpora, train_vocabulary
from lamlam.pretrain.monitor import Monitor, ProgressBar
from lamlam.pretrain.optimizer import build_optimizer
from lamlam.pretrain.packing import PackedFile, pack
from lamlam.pretrain.recipe import Recipe, TrainingSettings
from lamlam.vocab import Vocabulary

__all__ = ["Run", "prepare", "pretrain"]


@dataclass(frozen=True, slots=True)
class Run:
    """A run's folder: `packed/`, `corpus/` and `kb.sqlite` once prepared; a Hugging Face checkpoint once trained."""

    folder: Path

    @property
    def packed(self) -> Path:
        return self.folder / "packed"

    @property
    def corpus(self) -> Path:
        return self.folder / "corpus"

    @property
    def knowledge_base(self) -> Path:
        return self.folder / "kb.sqlite"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def state(self) -> Path:
        """What a run that is cut off resumes from; gone once the run has ended."""
        return self.folder / "state"

    @property
    def summary(self) -> Path:
        """Written last: a run with it has ended."""
        return self.folder / "training.json"


def prepare(recipe: Recipe, run: Run, corpora: list[Corpus] | None = None) -> None:
    """Read the corpora, train the tokenizer, build the knowledge base and pack the tokens; done once per recipe."""
    marker = run.folder / "recipe.yaml"
    settings = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    if marker.exists() and marker.read_text(encoding="utf-8") == settings and (run.packed / "packed.json").exists():
        return
    run.summary.unlink(missing_ok=True)
    shutil.rmtree(run.state, ignore_errors=True)
    corpora = corpora or read_corpora(recipe)
    if not all(any(document.text for document in corpus.train) for corpus in corpora):
        raise LamLamError("a corpus of the recipe holds no text to train on")
    vocabulary = train_vocabulary(recipe, corpora)
    vocabulary.save(run.folder)
    save_corpus(corpora[0], run.corpus)
    _build_knowledge_base(corpora, run.knowledge_base)
    training = recipe.training
    stream = mixture(recipe, corpora, vocabulary)
    pack(stream, run.packed, context=training.context, pad_id=vocabulary.pad_id, tokens=training.tokens)
    with atomic_write(marker) as out:
        out.write(settings)


def _build_knowledge_base(corpora: list[Corpus], path: Path) -> None:
    building = path.with_suffix(".building")
    building.unlink(missing_ok=True)
    with KnowledgeBase.open(building, create=True) as kb:
        for corpus in corpora:
            kb.add(corpus.facts, actor="pretrain", reason="facts of the training corpora")
    building.replace(path)


def pretrain(recipe: Recipe, folder: str | Path, corpora: list[Corpus] | None = None) -> PreTrainedModel:
    """Train the recipe's model in `folder` and leave a checkpoint there; continues a run that was cut off.

    `corpora` stands in for the recipe's when they have been read already. Raises `LamLamError` for empty corpora.
    """
    run = Run(Path(folder))
    run.folder.mkdir(parents=True, exist_ok=True)
    prepare(recipe, run, corpora)
    if run.summary.exists():
        return Checkpoint.load(run.folder).model
    vocabulary = Vocabulary.load(run.folder)
    packed = PackedFile(run.packed, mask_values=recipe.training.mask_values)
    model = build_model(recipe.model.preset, vocabulary, seed=recipe.seed, overrides=recipe.model.overrides)
    steps = _steps(recipe.training, len(packed))
    trainer = Trainer(
        model=model,
        args=_arguments(recipe, run, steps),
        train_dataset=packed,
        data_collator=_stack,
        optimizers=(build_optimizer(model, recipe.training), None),
        callbacks=[_monitor(recipe, run, vocabulary, steps), ProgressBar(recipe.name)],
    )
    trainer.remove_callback(PrinterCallback)
    started = time.monotonic()
    saved = any(run.state.glob("checkpoint-*"))
    trainer.train(resume_from_checkpoint=saved)
    Checkpoint(model.float().cpu(), vocabulary).save(run.folder)
    summary = {
        "seconds": round(time.monotonic() - started, 1),
        "steps": steps,
        "tokens": packed.meta["tokens"],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "resumed": saved,
    }
    with atomic_write(run.summary) as out:
        json.dump(summary, out, indent=1)
    shutil.rmtree(run.state)  # the optimizer's state is a pickle, and nobody resumes a run that has ended
    return model


def _steps(training: TrainingSettings, rows: int) -> int:
    return max(1, round(training.epochs * rows / (training.batch * training.accumulate)))


def _arguments(recipe: Recipe, run: Run, steps: int) -> TrainingArguments:
    training = recipe.training
    return TrainingArguments(
        output_dir=str(run.state),
        max_steps=steps,
        per_device_train_batch_size=training.batch,
        gradient_accumulation_steps=training.accumulate,
        learning_rate=training.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(training.warmup * steps),
        bf16=training.bf16,
        use_cpu=not torch.cuda.is_available(),
        logging_steps=max(1, steps // 100),
        save_strategy="steps",
        save_steps=max(1, steps // training.checkpoints),
        save_total_limit=1,
        seed=recipe.seed,
        data_seed=recipe.seed,
        report_to=[],
        remove_unused_columns=False,
        dataloader_num_workers=0,
        disable_tqdm=True,
    )


def _monitor(recipe: Recipe, run: Run, vocabulary: Vocabulary, steps: int) -> Monitor:
    training = recipe.training
    return Monitor(
        run.metrics,
        _sample_heldout(recipe, run),
        vocabulary,
        recipe.arm,
        every=steps // training.evaluations if training.evaluations else 0,
        tokens_a_step=training.batch * training.accumulate * training.context,
    )


def _sample_heldout(recipe: Recipe, run: Run) -> dict[str, list[AnnotatedDocument]]:
    rng, number = random.Random(recipe.seed), recipe.training.heldout
    groups = load_corpus(run.corpus).heldout
    return {group: rng.sample(documents, min(number, len(documents))) for group, documents in groups.items()}


def _stack(rows: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Examples of [T] to a batch of [B, T]."""
    return {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
