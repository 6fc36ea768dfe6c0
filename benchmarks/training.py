"""What two masks cost: the LMLM's in the loss, and that between documents of a row in the attention.

A training step on rows with calls stands beside one on plain rows of the same number of tokens, and one without
document boundaries beside both. Steps alternate, and are timed by the process's own time, which other programs on the
machine lengthen little.
"""

import gc
import statistics
import time
from pathlib import Path
from typing import Any, get_args

import torch
from transformers import PreTrainedModel

from lamlam.model.presets import build_model
from lamlam.pretrain.data import mixture, read_corpora, train_vocabulary
from lamlam.pretrain.optimizer import build_optimizer
from lamlam.pretrain.packing import PackedFile, pack
from lamlam.pretrain.recipe import Recipe
from lamlam.vocab import Arm, Vocabulary

AIMS = {"loss_mask.ratio": "<= 1.02"}
PAIRS, WARM_UP, BATCH, CONTEXT = 40, 6, 8, 256


def mask_cost(scratch: Path) -> dict[str, Any]:
    """Processor seconds a step of each kind, reading the rows included; a ratio is the median of the pairs'."""
    recipe = Recipe.model_validate({"name": "mask", "corpora": [{"kind": "world", "people": 300}]})
    corpora = read_corpora(recipe)
    vocabulary = train_vocabulary(recipe, corpora)
    arms: tuple[Arm, ...] = get_args(Arm)
    for arm in arms:
        stream = mixture(recipe.model_copy(update={"arm": arm}), corpora, vocabulary)
        pack(stream, scratch / arm, context=CONTEXT, pad_id=vocabulary.pad_id, tokens=40 * BATCH * CONTEXT)
    kinds: dict[str, _Steps] = {arm: _Steps(recipe, vocabulary, PackedFile(scratch / arm)) for arm in arms}
    kinds["unbounded"] = _Steps(recipe, vocabulary, PackedFile(scratch / "lmlm", boundaries=False))
    seconds = _alternate(kinds)
    return {
        "loss_mask": _ratio(seconds["lmlm"], seconds["standard"]),
        "boundaries": _ratio(seconds["lmlm"], seconds["unbounded"]),
        "step_seconds": {kind: round(statistics.median(taken), 4) for kind, taken in seconds.items()},
        "supervised_share": {arm: kinds[arm].supervised() for arm in arms},
    }


def _ratio(these: list[float], those: list[float]) -> dict[str, Any]:
    ratios = [one / other for one, other in zip(these, those, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {"ratio": round(middle, 4), "quartiles": [round(low, 4), round(high, 4)], "pairs": len(ratios)}


def _alternate(kinds: "dict[str, _Steps]") -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    gc.disable()
    for number in range(WARM_UP + PAIRS):
        for kind in list(kinds)[:: 1 if number % 2 else -1]:
            began = time.process_time()
            kinds[kind].step(number)
            if number >= WARM_UP:
                seconds[kind].append(time.process_time() - began)
    gc.enable()
    return seconds


class _Steps:
    """A model and its rows, from which it takes one step after another as the Trainer does."""

    def __init__(self, recipe: Recipe, vocabulary: Vocabulary, packed: PackedFile) -> None:
        self.packed, self.model = packed, self._model(vocabulary)
        self.optimizer = build_optimizer(self.model, recipe.training)

    @staticmethod
    def _model(vocabulary: Vocabulary) -> PreTrainedModel:
        model = build_model("nano", vocabulary)
        model.config.use_cache = False
        return model.train()

    def step(self, number: int) -> None:
        rows = [self.packed[(number * BATCH + row) % len(self.packed)] for row in range(BATCH)]
        batch = {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
        counted = (batch["labels"][:, 1:] != -100).sum()
        self.model(**batch, num_items_in_batch=counted).loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def supervised(self) -> float:
        """The share of positions that carry loss."""
        labels = torch.stack([self.packed[row]["labels"] for row in range(len(self.packed))])
        return round((labels != -100).float().mean().item(), 4)
