"""The whole loop on the invented world: make it, pretrain both arms, compare them, write the report.

Each stage leaves its files under the demo's folder; a demo that was cut off goes on with the arm that was training.
"""

import json
import time
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, get_args

from lamlam.corpus import Corpus
from lamlam.engine import DecodingSettings, Engine
from lamlam.evaluate.evaluation import Evaluation
from lamlam.evaluate.results import Provenance
from lamlam.evaluate.suite import Comparison
from lamlam.files import atomic_write
from lamlam.kb import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.pretrain.data import read_corpora
from lamlam.pretrain.recipe import Recipe, load_recipe
from lamlam.pretrain.training import Run, pretrain
from lamlam.report.report import write_report
from lamlam.report.trace import Trace, trace, write_traces
from lamlam.vocab import Arm

__all__ = ["run_demo"]

_SETTINGS = DecodingSettings(max_tokens=16)
_TRACES = 3


def run_demo(out: str | Path, *, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Run the loop in the folder `out`; returns what it writes to `results.json`, with the report beside it.

    `changes` are fields of both arms' recipes, as `key=value`. Raises `InputError` for one that is not a recipe's.
    """
    out = Path(out)
    recipes: dict[Arm, Recipe] = {arm: _recipe(arm, changes) for arm in get_args(Arm)}
    seconds: dict[str, float] = {}
    corpora = read_corpora(recipes["lmlm"])
    for arm, recipe in recipes.items():
        started = time.monotonic()
        pretrain(recipe, out / arm, corpora)
        seconds[arm] = round(time.monotonic() - started, 1)
    kb_path, seed = Run(out / "lmlm").knowledge_base, recipes["lmlm"].seed
    lmlm, standard = (
        Evaluation(Checkpoint.load(out / arm), arm, corpora[0], kb_path, _SETTINGS, seed=seed, progress=True)
        for arm in recipes
    )
    results = Comparison(lmlm, standard).run(out / "completions.jsonl")
    with KnowledgeBase.open(kb_path) as kb:
        write_traces(out, _traces(lmlm.engine_on(kb), corpora[0]))
        provenance = Provenance(seed, recipes["lmlm"].model_dump(mode="json"), kb.digest())
    results["seconds"] = seconds | results["seconds"]
    with atomic_write(out / "results.json") as file:
        json.dump(results | {"provenance": provenance.as_json()}, file, indent=1, ensure_ascii=False)
    write_report(out, out / "report.html")
    return results


def _recipe(arm: Arm, changes: Sequence[str]) -> Recipe:
    """The demo's recipe for an arm. The standard one reads the world as it is, without false facts."""
    own = [f"arm={arm}", f"name=demo-{arm}", *(["corpora.0.substitution={}"] if arm == "standard" else [])]
    with as_file(files("lamlam.demo") / "recipe.yaml") as path:
        return load_recipe(path, [*changes, *own])


def _traces(engine: Engine, corpus: Corpus) -> list[Trace]:
    """Texts that the model writes about a few entities, with the facts behind them."""
    entities = dict.fromkeys(probe.entity for probe in corpus.probes if probe.group == "seen")
    documents = {document.id: document.text for document in corpus.train}
    settings = _SETTINGS.model_copy(update={"max_tokens": 80})
    return [trace(generation, documents) for generation in engine.generate(list(entities)[:_TRACES], settings)]
