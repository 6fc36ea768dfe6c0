"""How fast a training step is at 135M parameters on a CPU: as it was before it had one of its own, and as it is.

Before, weights were float32 and cast in each step (autocast), the attention computed all pairs of a row under a mask,
and the model made a float32 table of logits for every position. Steps alternate, and are timed by the process's own
time on one thread, which other programs on the machine lengthen less than the clock's. A step's share is that of the
operations that it needs, at the rate of a plain product of matrices, in the time that it takes.
"""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from transformers import PreTrainedModel

from lamlam.model.lora import LoraSettings, inject
from lamlam.model.presets import build_model
from lamlam.pretrain.data import mixture, read_corpora, train_vocabulary
from lamlam.pretrain.optimizer import build_optimizer
from lamlam.pretrain.packing import PackedFile, pack
from lamlam.pretrain.recipe import Recipe
from lamlam.pretrain.trainer import PackedTrainer
from lamlam.vocab import IGNORE_INDEX, Vocabulary

AIMS = {"all_weights.ratio": ">= 2.5", "adapter.ratio": ">= 2.5"}
STEPS, BATCH, CONTEXT, WORDS, RANK = 3, 8, 256, 49_152, 32
SIDE = 2048  # of the plain product

_Batch = dict[str, torch.Tensor]
_Step = Callable[[_Batch], float]


def speed(scratch: Path) -> dict[str, Any]:
    """Supervised tokens a second of each kind of step, their ratios to the step before, and shares of the product."""
    training = {"batch": BATCH, "context": CONTEXT, "learning_rate": 1e-4}
    corpora = [{"kind": "world", "people": 300}]
    recipe = Recipe.model_validate({"name": "speed", "corpora": corpora, "training": training})
    read = read_corpora(recipe)
    vocabulary = train_vocabulary(recipe, read)
    tokens = (STEPS + 1) * BATCH * CONTEXT
    stream = mixture(recipe, read, vocabulary)
    packed = pack(stream, scratch / "packed", context=CONTEXT, pad_id=vocabulary.pad_id, tokens=tokens)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        steps = {
            "before": _before(_model(vocabulary), recipe),
            "all_weights": _now(_model(vocabulary), recipe, packed, vocabulary),
            "adapter": _now(_adapted(vocabulary), recipe, packed, vocabulary),
        }
        with torch.device("meta"):
            shape = _model(vocabulary)
        return _figures(shape, *_alternate(steps, packed))
    finally:
        torch.set_num_threads(threads)


def _model(vocabulary: Vocabulary) -> PreTrainedModel:
    model = build_model("smollm2-135m", vocabulary, overrides={"vocab_size": WORDS})
    model.config.use_cache = False
    return model.train()


def _adapted(vocabulary: Vocabulary) -> PreTrainedModel:
    model = _model(vocabulary)
    inject(model, "base", LoraSettings(rank=RANK), sorted(vocabulary.control_ids))
    return model


def _before(model: PreTrainedModel, recipe: Recipe) -> _Step:
    optimizer = build_optimizer(model.named_parameters(), recipe.training)

    def step(batch: _Batch) -> float:
        counted = (batch["labels"][:, 1:] != IGNORE_INDEX).sum()
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(**batch, num_items_in_batch=counted).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    return step


def _now(model: PreTrainedModel, recipe: Recipe, packed: PackedFile, vocabulary: Vocabulary) -> _Step:
    trainer = PackedTrainer(model, recipe, packed, Path(), [], entity_id=vocabulary.entity_id)
    optimizer = trainer.create_optimizer()

    def step(batch: _Batch) -> float:
        loss = trainer.compute_loss(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    return step


def _alternate(
    steps: Mapping[str, _Step], packed: PackedFile
) -> tuple[dict[str, list[float]], dict[str, list[float]], list[int], list[float]]:
    """Seconds and losses of each kind, positions with loss, and seconds of the product; without the first step."""
    seconds: dict[str, list[float]] = {kind: [] for kind in steps}
    losses: dict[str, list[float]] = {kind: [] for kind in steps}
    supervised, product = [], []
    gc.disable()
    for number in range(STEPS + 1):
        rows = [packed[(number * BATCH + row) % len(packed)] for row in range(BATCH)]
        batch = {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
        supervised.append(int((batch["labels"][:, 1:] != IGNORE_INDEX).sum()))
        product.append(_product())
        for kind, step in steps.items():
            began = time.process_time()
            losses[kind].append(step(batch))
            seconds[kind].append(time.process_time() - began)
    gc.enable()
    return {kind: taken[1:] for kind, taken in seconds.items()}, losses, supervised[1:], product[1:]


def _product() -> float:
    one, other = (torch.ones(SIDE, SIDE, dtype=torch.bfloat16) for _ in range(2))
    one @ other
    began = time.process_time()
    for _ in range(5):
        one @ other
    return (time.process_time() - began) / 5


def _figures(
    shape: PreTrainedModel,
    seconds: Mapping[str, list[float]],
    losses: Mapping[str, list[float]],
    supervised: list[int],
    product: list[float],
) -> dict[str, Any]:
    rate = 2 * SIDE**3 / statistics.median(product)
    tokens = statistics.mean(supervised)
    figures: dict[str, Any] = {"product_gflops": round(rate / 1e9), "supervised_tokens_a_step": round(tokens)}
    for kind, taken in seconds.items():
        took = statistics.median(taken)
        figures[kind] = {
            "step_seconds": round(took, 2),
            "tokens_per_second": round(tokens / took, 1),
            "share_of_product": round(_operations(shape, tokens, kind == "adapter") / took / rate, 3),
        }
        if kind != "before":
            ratios = [one / other for one, other in zip(seconds["before"], taken, strict=True)]
            figures[kind]["ratio"] = round(statistics.median(ratios), 3)
    differences = [abs(a - b) for a, b in zip(losses["before"], losses["all_weights"], strict=True)]
    return figures | {"largest_difference_of_losses": round(max(differences), 5)}


def _operations(model: PreTrainedModel, supervised: float, adapter: bool) -> float:
    """6 a weight and position, 4 where it is frozen; of the output layer, for the positions that carry loss alone."""
    head = cast(torch.nn.Linear, model.get_output_embeddings()).weight.numel()
    layers = sum(parameter.numel() for parameter in model.parameters() if parameter.ndim > 1) - head
    return (4 if adapter else 6) * (layers * BATCH * CONTEXT + head * supervised)
