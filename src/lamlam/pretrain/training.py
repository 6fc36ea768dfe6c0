"""Pretraining with the Hugging Face Trainer, for either arm, from scratch or from a checkpoint.

A killed run resumes from its last saved state.

The loss of a step is the sum over its supervised tokens divided by their number, over all accumulated batches and all
processes: the Trainer counts labels that are not -100 and hands the number to the model's loss.
"""

import json
import random
import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml
from transformers import PreTrainedModel, TrainerCallback

from lamlam.corpus import Corpus
from lamlam.corpus.files import load_corpus, save_corpus
from lamlam.errors import InputError, LamLamError
from lamlam.files import atomic_write, whole_state
from lamlam.kb.builder import discard
from lamlam.kb.sqlite import SQLiteDatabase
from lamlam.kb.store import KnowledgeBase
from lamlam.markup import AnnotatedDocument
from lamlam.model.adapter import Base, load_whole, save_adapter
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.continuation import load_adaptable, load_grown
from lamlam.model.presets import build_model
from lamlam.pretrain.data import mixture, read_corpora, train_vocabulary
from lamlam.pretrain.monitor import Monitor, ProgressBar, Throughput
from lamlam.pretrain.packing import PackedFile, pack
from lamlam.pretrain.recipe import Recipe
from lamlam.pretrain.trainer import Deadline, DistributedContext, PackedTrainer, check_sharding, steps_of
from lamlam.vocab import Vocabulary

__all__ = ["Run", "TimeIsUp", "prepare", "pretrain"]

_ACTOR = "pretrain"  # in the log of a knowledge base


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
    def results(self) -> Path:
        """What `lamlam evaluate` measured."""
        return self.folder / "results.json"

    @property
    def state(self) -> Path:
        """What an interrupted run resumes from; removed at the end."""
        return self.folder / "state"

    @property
    def summary(self) -> Path:
        """Written last: a run with it is finished."""
        return self.folder / "training.json"


class TimeIsUp(LamLamError):
    """The time given to a run is up; its state is saved, and the same call continues it."""

    def __init__(self, step: int, steps: int) -> None:
        super().__init__(f"time is up at step {step} of {steps}; run the same command again to continue")
        self.step, self.steps = step, steps


def prepare(recipe: Recipe, run: Run, corpora: list[Corpus] | None = None) -> None:
    """Read the corpora, train the tokenizer, build the knowledge base and pack the tokens; once per recipe.

    Figures that another recipe left in the folder are removed, and its weights cannot be read until this recipe's are
    there (`check_ended`).
    """
    if _is_prepared(recipe, run):
        return
    corpora = corpora or read_corpora(recipe)
    if not all(any(document.text for document in corpus.train) for corpus in corpora):
        raise LamLamError("a corpus of the recipe holds no text to train on")
    vocabulary = train_vocabulary(recipe, corpora)
    run.packed.mkdir(exist_ok=True)
    run.summary.unlink(missing_ok=True)
    run.results.unlink(missing_ok=True)
    shutil.rmtree(run.state, ignore_errors=True)
    vocabulary.save(run.folder)
    save_corpus(corpora[0], run.corpus)
    _build_knowledge_base(corpora, run.knowledge_base)
    training = recipe.training
    stream = mixture(recipe, corpora, vocabulary)
    pack(stream, run.packed, context=training.context, pad_id=vocabulary.pad_id, tokens=training.tokens)
    with atomic_write(run.folder / "recipe.yaml") as out:
        out.write(_as_yaml(recipe))


def _is_prepared(recipe: Recipe, run: Run) -> bool:
    marker = run.folder / "recipe.yaml"
    same = marker.exists() and marker.read_text(encoding="utf-8") == _as_yaml(recipe)
    return same and (run.packed / "packed.json").exists()


def _as_yaml(recipe: Recipe) -> str:
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _build_knowledge_base(corpora: list[Corpus], path: Path) -> None:
    """Replace an earlier preparation's knowledge base; if others wrote to it, add the facts that it hasn't
    forgotten.
    """
    if not path.exists():
        _add_facts(corpora, path)
        return
    with closing(SQLiteDatabase(path)) as database:
        if alone := _is_own(database):
            if not database.take_alone(written=True) or not _is_own(database):
                raise InputError("is in use by another program: close it, or train in another folder", path=path)
            with database.replacement() as new:
                discard(new)
                _add_facts(corpora, new)
    if not alone:
        _add_facts(corpora, path)


def _is_own(database: SQLiteDatabase) -> bool:
    return database.rows("SELECT DISTINCT actor FROM revision") == [(_ACTOR,)]


def _add_facts(corpora: list[Corpus], path: Path) -> None:
    with KnowledgeBase.open_to_fill(path) as kb:
        for corpus in corpora:
            kb.add(corpus.facts, actor=_ACTOR, reason="facts of the training corpora")


def pretrain(
    recipe: Recipe, folder: str | Path, corpora: list[Corpus] | None = None, *, seconds: float | None = None
) -> PreTrainedModel:
    """Train the recipe's model in `folder` and save a checkpoint there; an interrupted run is continued.

    `corpora` are the recipe's, if they have been read already. Under torchrun the first process prepares and writes,
    and has the whole model at the end. Raises `LamLamError` for empty corpora, and `TimeIsUp` if training takes longer
    than `seconds`.
    """
    check_sharding(recipe)
    run, ranks = Run(Path(folder)), DistributedContext.from_environment()
    run.folder.mkdir(parents=True, exist_ok=True)
    if recipe.model.path and Path(recipe.model.path).resolve() == run.folder.resolve():
        raise InputError("a run cannot train the model of its own folder", path=folder, field="model.path")
    if ranks.first:
        prepare(recipe, run, corpora)
    else:
        ranks.wait_for(lambda: _is_prepared(recipe, run))
    if run.summary.exists():
        return Checkpoint.load(run.folder).model
    trainer, saved = _trainer(recipe, run, ranks, seconds), whole_state(run.state)
    started = time.monotonic()
    trainer.train(resume_from_checkpoint=str(saved) if saved else None)
    if trainer.state.global_step < trainer.state.max_steps:
        raise TimeIsUp(trainer.state.global_step, trainer.state.max_steps)
    model = _saved_model(recipe, run, trainer, ranks)
    if ranks.first:
        _finish(run, model, trainer, resumed=saved is not None, seconds=time.monotonic() - started)
    return model


def _trainer(recipe: Recipe, run: Run, ranks: DistributedContext, seconds: float | None) -> PackedTrainer:
    vocabulary = Vocabulary.load(run.folder)
    packed = PackedFile(run.packed, boundaries=recipe.training.boundaries, mask_values=recipe.training.mask_values)
    model = _first_model(recipe, run, vocabulary)
    callbacks: list[TrainerCallback] = [_monitor(recipe, run, vocabulary, model, steps_of(recipe, len(packed)), ranks)]
    callbacks += [ProgressBar(f"pretraining {recipe.name}")] if ranks.first else []
    callbacks += [Deadline(seconds)] if seconds is not None else []
    return PackedTrainer(model, recipe, packed, run.state, callbacks, entity_id=vocabulary.entity_id)


def _saved_model(recipe: Recipe, run: Run, trainer: PackedTrainer, ranks: DistributedContext) -> PreTrainedModel:
    """Return the trained model, saved and in float32 on the CPU, on the first process; the process's own elsewhere."""
    weights, vocabulary, lora = trainer.whole_weights(), Vocabulary.load(run.folder), recipe.training.lora
    if not ranks.first:
        return cast(PreTrainedModel, trainer.model)
    if lora:
        save_adapter(cast(PreTrainedModel, trainer.model), weights, Base.load(run.folder), run.folder)
        model = load_whole(run.folder, ended=False)
    else:
        model = _first_model(recipe, run, vocabulary)
        model.load_state_dict(weights)
    if not lora or lora.save == "merged":
        Checkpoint(model, vocabulary).save(run.folder)
    return model


def _finish(run: Run, model: PreTrainedModel, trainer: PackedTrainer, *, resumed: bool, seconds: float) -> None:
    packed = PackedFile(run.packed)
    summary = {
        "seconds": round(seconds, 1),
        "steps": trainer.state.max_steps,
        "tokens": packed.meta["tokens"],
        "padding": round(1 - packed.meta["tokens"] / (len(packed) * packed.meta["context"]), 4),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "processes": trainer.args.world_size,
        "resumed": resumed,
    }
    with atomic_write(run.summary) as out:
        json.dump(summary, out, indent=1)
    shutil.rmtree(run.state)  # the optimizer's state is a pickle, and a finished run isn't resumed


def _first_model(recipe: Recipe, run: Run, vocabulary: Vocabulary) -> PreTrainedModel:
    """Return the model before the first step. Raises `InputError` if its context is shorter than a row."""
    settings, lora = recipe.model, recipe.training.lora
    if settings.path and lora:
        model, base = load_adaptable(settings.path, vocabulary, lora, recipe.seed)
        if whole_state(run.state):
            Base.load(run.folder).check(base.digests[0], settings.path)
        elif DistributedContext.from_environment().first:
            base.save(run.folder)
    elif settings.path:
        model = load_grown(settings.path, vocabulary)
    else:
        model = build_model(settings.preset, vocabulary, seed=recipe.seed, overrides=settings.overrides)
    context = int(model.config.max_position_embeddings)
    if recipe.training.context > context:
        raise InputError(f"the model reads at most {context} tokens", field="training.context")
    return model


def _monitor(
    recipe: Recipe, run: Run, vocabulary: Vocabulary, model: PreTrainedModel, steps: int, ranks: DistributedContext
) -> Monitor:
    training = recipe.training
    return Monitor(
        run.metrics if ranks.first else None,
        _sample_heldout(recipe, run),
        vocabulary,
        recipe.arm,
        Throughput(model, training.context, devices=ranks.world, bf16=training.bf16),
        every=max(1, steps // training.evaluations) if training.evaluations else 0,
        tokens_a_step=training.batch * training.accumulate * training.context * ranks.world,
    )


def _sample_heldout(recipe: Recipe, run: Run) -> dict[str, list[AnnotatedDocument]]:
    rng, number = random.Random(recipe.seed), recipe.training.heldout
    groups = load_corpus(run.corpus).heldout
    return {group: rng.sample(documents, min(number, len(documents))) for group, documents in groups.items()}
