"""The whole loop on the invented world: make it, pretrain both arms, compare them, write the report.

Each stage leaves its files under the demo's folder; a demo that was cut off goes on with the arm that was training.
"""

import json
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from lamlam.corpus import Corpus
from lamlam.engine.engine import Engine
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.comparison import Comparison
from lamlam.files import atomic_write
from lamlam.kb.store import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.pretrain.data import read_corpora
from lamlam.pretrain.recipe import Recipe, load_recipe
from lamlam.pretrain.training import Run, pretrain
from lamlam.report.report import write_report
from lamlam.report.trace import trace, write_traces

__all__ = ["run_demo"]

_SETTINGS = DecodingSettings(max_tokens=24)
_TRACES = 3


def run_demo(out: str | Path, *, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Run the loop in the folder `out`; returns what it writes to `results.json`, with the report beside it.

    `changes` are fields of both arms' recipes, as `key=value`.
    """
    out = Path(out)
    recipes = {arm: _recipe(arm, changes) for arm in ("lmlm", "standard")}
    seconds: dict[str, float] = {}
    corpora = read_corpora(recipes["lmlm"])
    for arm, recipe in recipes.items():
        started = time.monotonic()
        pretrain(recipe, out / arm, corpora)
        seconds[arm] = round(time.monotonic() - started, 1)
    kb_path = Run(out / "lmlm").knowledge_base
    checkpoints = {arm: Checkpoint.load(out / arm) for arm in recipes}
    comparison = Comparison(
        checkpoints["lmlm"],
        checkpoints["standard"],
        corpora[0],
        kb_path,
        _SETTINGS,
        seed=recipes["lmlm"].seed,
        progress=True,
    )
    results = comparison.run(out / "completions.jsonl")
    results["seconds"] = seconds | results["seconds"]
    write_traces(out, _traces(checkpoints["lmlm"], kb_path, corpora[0]))
    with atomic_write(out / "results.json") as file:
        json.dump(results, file, indent=1, ensure_ascii=False)
    write_report(out, out / "report.html")
    return results


def _recipe(arm: str, changes: Sequence[str]) -> Recipe:
    recipe = Path(str(files("lamlam.demo"))) / "recipe.yaml"
    return load_recipe(recipe, [*changes, f"arm={arm}", f"name=demo-{arm}"])


def _traces(checkpoint: Checkpoint, kb_path: Path, corpus: Corpus) -> list[Any]:
    """Texts that the model writes about a few entities, with the facts behind them."""
    entities = dict.fromkeys(probe.entity for probe in corpus.probes if probe.group == "seen")
    documents = {document.id: document.text for document in corpus.train}
    with KnowledgeBase.open(kb_path) as kb:
        engine = Engine(checkpoint.model, checkpoint.vocabulary, kb)
        prompts = list(entities)[:_TRACES]
        generations = engine.generate(prompts, _SETTINGS.model_copy(update={"max_tokens": 80}))
    return [trace(generation, documents) for generation in generations]
