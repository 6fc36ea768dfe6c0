"""What it is worth that documents of a packed row do not attend to each other: the same runs with and without.

    python experiments/boundaries.py          # minutes; runs that have ended are only read

Runs of the demo's recipe, far shorter than it is: compare them with each other alone. Both arms; the packed file is the
same with and without.
"""

import argparse
import json
from itertools import product
from pathlib import Path
from typing import Any

from lamlam.corpus.files import load_corpus
from lamlam.evaluate.results import Provenance
from lamlam.evaluate.tasks.perplexity import perplexity
from lamlam.files import atomic_write
from lamlam.model.checkpoint import Checkpoint
from lamlam.pretrain.recipe import Recipe, load_recipe
from lamlam.pretrain.training import Run, pretrain

TOKENS = 400_000
SEEDS = (0,)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=Path, default=Path("runs/boundaries"))
    options.add_argument("--out", type=Path, default=Path("docs/results/boundaries.json"))
    chosen = options.parse_args()
    results: dict[str, Any] = {}
    for name, recipe in variants().items():
        pretrain(recipe, chosen.runs / name)
        results[name] = measure(Run(chosen.runs / name), recipe)
        print(name, results[name])
    with atomic_write(chosen.out) as out:
        json.dump(results | {"provenance": Provenance(0, {"tokens": TOKENS, "seeds": SEEDS}).as_json()}, out, indent=1)
        out.write("\n")


def variants() -> dict[str, Recipe]:
    """The demo's recipe, shortened, for each arm and seed, with boundaries and without."""
    recipes = {}
    for seed, arm, boundaries in product(SEEDS, ("lmlm", "standard"), (True, False)):
        changes = [f"arm={arm}", f"seed={seed}", f"training.boundaries={boundaries}", f"training.tokens={TOKENS}"]
        changes += ["training.evaluations=0", *(["corpora.0.substitution={}"] if arm == "standard" else [])]
        name = f"{arm}-{seed}-{'with' if boundaries else 'without'}"
        recipes[name] = load_recipe("src/lamlam/demo/recipe.yaml", changes)
    return recipes


def measure(run: Run, recipe: Recipe) -> dict[str, Any]:
    """Perplexity on the held-out documents of each group, each read alone. For the speed, see `benchmarks.training`."""
    checkpoint = Checkpoint.load(run.folder)
    return {
        group: perplexity(checkpoint.model, checkpoint.vocabulary, documents, recipe.arm).figures()
        for group, documents in load_corpus(run.corpus).heldout.items()
    }


if __name__ == "__main__":
    main()
