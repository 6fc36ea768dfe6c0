"""Twins: models trained as the run under evaluation was, but for one thing.

A twin stands in a folder of its own, under the run's `evaluation` folder, and is a run like any other: one that was
cut off goes on, one that has ended is not trained again.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamlam.evaluate.evaluation import Evaluation, Unfit
from lamlam.pretrain.recipe import load_recipe
from lamlam.pretrain.training import pretrain

__all__ = ["Twins"]

_QUICK_TOKENS = 250_000
_QUICK = {"evaluations": 4, "heldout": 60}


class Twins:
    """Trains twins of a run. With `quick` they see few tokens: then each is compared with other twins alone.

    Raises `Unfit` for a checkpoint without a recipe.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._path = evaluation.run_folder / "recipe.yaml"
        if not self._path.exists():
            raise Unfit("models must be trained for this: the run's folder holds no recipe.yaml")
        self._recipe = load_recipe(self._path)

    @property
    def tokens(self) -> int:
        """How many tokens each twin sees."""
        whole = self._recipe.training.tokens
        return self._evaluation.size(whole, min(whole, _QUICK_TOKENS))

    def train(self, name: str, changes: Mapping[str, Any]) -> Path:
        """The folder of the twin that differs by `changes`, fields of the recipe by dotted names; trained if need be.

        It has the run's own tokenizer, so that losses are over the same tokens.
        """
        folder = self._evaluation.workspace("twins") / f"{name}-{self.tokens}"
        quick = {f"training.{key}": value for key, value in _QUICK.items()} if self._evaluation.quick else {}
        common: dict[str, Any] = {"name": name, "training.tokens": self.tokens}
        if self._recipe.model.path is None:
            common["vocabulary.path"] = str(self._evaluation.run_folder)
        fields = common | quick | dict(changes)
        pretrain(load_recipe(self._path, [f"{name}={json.dumps(value)}" for name, value in fields.items()]), folder)
        return folder
