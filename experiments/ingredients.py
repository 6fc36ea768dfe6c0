"""What each ingredient of the WebNLG recipe contributes: short runs, each without one of them.

    python experiments/ingredients.py --only base no-substitution     # some of the runs; others in another process
    python experiments/ingredients.py                                  # all; runs that have ended are only read

Figures are those on unseen subjects, after far fewer tokens than the recipe has: compare them with each other alone.
"""

import argparse
import json
import random
from pathlib import Path
from typing import Any

from lamlam.corpus.files import load_corpus
from lamlam.engine import DecodingSettings, Engine
from lamlam.evaluate.completion import complete
from lamlam.evaluate.results import Provenance
from lamlam.files import atomic_write
from lamlam.kb import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.pretrain.recipe import Recipe, load_recipe
from lamlam.pretrain.training import Run, pretrain

TOKENS = 1_500_000
PROBES = 200
WAYS = {
    "constrained": DecodingSettings(max_tokens=16, relations="known"),
    "free": DecodingSettings(max_tokens=16, entities="free"),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=Path, default=Path("runs/ingredients"))
    options.add_argument("--out", type=Path, default=Path("docs/results/webnlg-ingredients.json"))
    options.add_argument("--only", nargs="*")
    chosen = options.parse_args()
    recipes = variants()
    for name in chosen.only or recipes:
        pretrain(recipes[name], chosen.runs / name)
    if chosen.only:
        return
    results: dict[str, Any] = {name: measure(Run(chosen.runs / name)) for name in recipes}
    settings = {"tokens": TOKENS, "probes": PROBES}
    with atomic_write(chosen.out) as out:
        json.dump(results | {"provenance": Provenance(seed=0, settings=settings).as_json()}, out, indent=1)
        out.write("\n")
    for name, figures in results.items():
        print(name, figures)


def variants() -> dict[str, Recipe]:
    """The recipe, shortened, and the same without one ingredient each."""
    short = ["training.tokens=" + str(TOKENS), "training.evaluations=4"]
    base = load_recipe("recipes/webnlg.yaml", short)
    plain = load_recipe("recipes/webnlg.yaml", [*short, "corpora.0.substitution={}"])
    return {
        "base": base,
        "no-substitution": plain,
        "no-world": base.model_copy(update={"corpora": base.corpora[:1]}),
    }


def measure(run: Run) -> dict[str, Any]:
    """Perplexities that the run wrote down at its end, and completions of a sample of the unseen probes."""
    lines = [json.loads(line) for line in run.metrics.read_text(encoding="utf-8").splitlines()]
    last = [line for line in lines if line.get("group") == "unseen"][-1]
    figures: dict[str, Any] = {
        name: round(last[name], 3) for name in ("static", "normalized", "entity_loss") if name in last
    }
    probes = [probe for probe in load_corpus(run.corpus).probes if probe.group == "unseen"]
    probes = random.Random(0).sample(probes, min(PROBES, len(probes)))
    checkpoint = Checkpoint.load(run.folder)
    with KnowledgeBase.open(run.knowledge_base) as kb:
        engine = Engine(checkpoint.model, checkpoint.vocabulary, kb, batch_size=64)
        for way, settings in WAYS.items():
            scores = complete(engine, probes, settings).scores
            figures[way] = {"completion": scores["accuracy"].value, "right_query": scores["right_query"].value}
    return figures


if __name__ == "__main__":
    main()
