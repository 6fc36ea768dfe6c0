"""Both arms pretrained at 30M and 124M parameters, on the world at scale and on real texts, in calls of minutes.

    python experiments/h200.py world-30m --out kept            # again and again until it says that the stage has ended
    python experiments/h200.py world-124m --out kept
    python experiments/h200.py real-30m --device cpu           # the same script, on a CPU in minutes

A call does what it can in `--seconds`, saves its state and exits with 3; the same call goes on. It ends with 0 once
both arms are trained and measured. `--as-found` measures the newest saved states instead of training on. Figures stand
in `<out>/<stage>.json`; a stage at 30M also leaves its LMLM there, in bfloat16, small enough to keep.

    stage                 texts                                                    30m         124m
    world-30m world-124m  the invented world, 100,000 entities                     llama-30m   gpt2-124m
    real-30m  real-124m   WebNLG, aligned; Wikipedia and SQuAD, annotated by the   llama-30m   gpt2-124m
                          paper's annotator and by GPT-4o
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import torch
import yaml

from lamlam.checked import checked
from lamlam.corpus.files import load_corpus
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.evaluation import Evaluation
from lamlam.evaluate.results import Provenance
from lamlam.evaluate.suite import Suite
from lamlam.files import atomic_write, whole_state
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.weights import load_model
from lamlam.pretrain.recipe import Recipe, data_folder, load_recipe
from lamlam.pretrain.training import Run, TimeIsUp, pretrain
from lamlam.vocab import Arm, Vocabulary

STAGES = ("world-30m", "world-124m", "real-30m", "real-124m")
TASKS = ("completion", "perplexity")
AIM = {"utilisation at 124M": ">= 0.4"}
RESERVE = 45.0  # seconds of a call that are left for saving a state

SHAPES: dict[str, dict[str, Any]] = {"30m": {"preset": "llama-30m"}, "124m": {"preset": "gpt2-124m"}}
GPU = """
vocabulary: {size: 8192}
training: {context: 1024, batch: 64, tokens: 60000000, epochs: 3, optimizer: muon, learning_rate: 0.001, compile: true,
           evaluations: 5, checkpoints: 4}
"""
CPU_SHAPES: dict[str, dict[str, Any]] = {
    "30m": {"preset": "nano", "overrides": {"hidden_size": 96, "num_attention_heads": 3, "num_key_value_heads": 3}},
    "124m": {"preset": "gpt2-124m", "overrides": {"n_embd": 96, "n_layer": 3, "n_head": 3}},
}
CPU = """
vocabulary: {size: 1024}
training: {context: 256, batch: 8, tokens: 200000, optimizer: muon, evaluations: 2, heldout: 20}
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("stage", choices=STAGES)
    options.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options.add_argument("--seconds", type=float, default=540, help="what a call may take")
    options.add_argument("--as-found", action="store_true", help="measure what is trained so far")
    options.add_argument("--runs", type=Path, default=Path("runs/h200"))
    options.add_argument("--out", type=Path, default=Path("runs/h200/kept"))
    chosen = options.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: there is no GPU; --device cpu runs the same at a size for a CPU")
    end = time.monotonic() + chosen.seconds
    runs = {arm: Run(chosen.runs / f"{chosen.stage}-{chosen.device}" / arm) for arm in get_args(Arm)}
    try:
        if not chosen.as_found:
            for arm, run in runs.items():
                pretrain(recipe_of(chosen.stage, arm, chosen.device), run.folder, seconds=left(end))
        for arm, run in runs.items():
            measure(run, arm, chosen.device, end)
    except TimeIsUp as stopped:
        print(f"{chosen.stage}: {stopped}")
        sys.exit(3)
    finally:
        report(chosen.stage, runs, chosen.out, chosen.device)
    keep(chosen.stage, runs["lmlm"], chosen.out)
    print(f"{chosen.stage}: ended; the figures stand in {chosen.out / chosen.stage}.json")


def left(end: float) -> float:
    return max(0.0, end - time.monotonic() - RESERVE)


def recipe_of(stage: str, arm: Arm, device: str) -> Recipe:
    """The recipe of a stage's arm. The standard arm reads the texts as they are, without invented values."""
    texts, size = stage.split("-")
    raw = yaml.safe_load(GPU if device == "cuda" else CPU)
    raw |= {"name": f"{stage}-{arm}", "arm": arm, "model": (SHAPES if device == "cuda" else CPU_SHAPES)[size]}
    raw["corpora"] = list(corpora_of(texts, arm, device))
    return checked(Recipe, raw)


def corpora_of(texts: str, arm: Arm, device: str) -> Iterator[dict[str, Any]]:
    if texts == "world":
        people = 65_000 if device == "cuda" else 600
        substitution = {"values": 0.2, "unknown": 0.05} if arm == "lmlm" else {}
        yield {"kind": "world", "people": people, "size": "full", "substitution": substitution}
        return
    renamed = {"subjects": 0.8, "values": 0.4} if arm == "lmlm" else {}
    # The recipes that are committed know the places: WebNLG first, as it has prompts with known answers.
    for name in ("webnlg", "wikipedia", "squad"):
        source = load_recipe(Path(__file__).parents[1] / "recipes" / f"{name}.yaml").corpora[0]
        yield source.model_dump() | {"weight": 1.0, "substitution": renamed if name == "webnlg" else {}}


def measure(run: Run, arm: Arm, device: str, end: float) -> None:
    """The project's own tasks, each kept as soon as it is there. Raises `TimeIsUp` between two of them."""
    folder = found(run)
    evaluation = Evaluation(
        Checkpoint.load(folder, device=device),
        arm,
        load_corpus(run.corpus),
        run.knowledge_base,
        DecodingSettings(max_tokens=16),
        sample=100 if device == "cuda" else 10,
        progress=True,
        quick=device == "cpu",
        folder=folder,
    )
    suite = Suite(evaluation, folder)
    for number, task in enumerate(TASKS):
        if not left(end):
            raise TimeIsUp(number, len(TASKS))
        list(suite.run([task]))


def found(run: Run) -> Path:
    """The run's folder once it has ended; else a checkpoint beside it, made of the newest state."""
    if run.summary.exists():
        return run.folder
    state = whole_state(run.state)
    if state is None:
        sys.exit(f"error: {run.folder} has no saved state to measure")
    folder = run.folder / "as-found" / state.name
    if not (folder / "model.safetensors").exists():
        Checkpoint(load_model(state), Vocabulary.load(run.folder)).save(folder)
    return folder


def report(stage: str, runs: dict[Arm, Run], out: Path, device: str) -> None:
    """What is there by now of both arms, into one file."""
    arms = {arm: figures(run) for arm, run in runs.items() if run.metrics.exists()}
    provenance = Provenance(0, {"stage": stage, "device": device, "aim": AIM}).as_json()
    with atomic_write(out / f"{stage}.json") as file:
        json.dump(arms | {"provenance": provenance}, file, indent=1)
        file.write("\n")


def figures(run: Run) -> dict[str, Any]:
    lines = [json.loads(line) for line in run.metrics.read_text(encoding="utf-8").splitlines()]
    trained = [line for line in lines if "loss" in line]
    ended = json.loads(run.summary.read_text()) if run.summary.exists() else None
    folder = run.folder if ended else max(run.folder.glob("as-found/*"), default=run.folder)
    results = folder / "results.json"
    return {
        "ended": ended,
        "recipe": yaml.safe_load(
            (run.folder / "recipe.yaml").read_text(encoding="utf-8").replace(data_folder(), "$LAMLAM_DATA")
        ),
        "last": trained[-1] if trained else None,
        "tokens_per_second": median(trained, "tokens_per_second"),
        "utilisation": median(trained, "utilisation"),
        "curve": [line for line in lines if "group" in line],
        "results": json.loads(results.read_text(encoding="utf-8")) if results.exists() else None,
    }


def median(lines: list[dict[str, Any]], name: str) -> float | None:
    values = sorted(line[name] for line in lines if line.get(name) is not None)
    return values[len(values) // 2] if values else None


def keep(stage: str, run: Run, out: Path) -> None:
    """The LMLM of a small stage: 60 MB in bfloat16."""
    if stage.endswith("-30m"):
        checkpoint = Checkpoint.load(run.folder)
        Checkpoint(checkpoint.model.to(torch.bfloat16), checkpoint.vocabulary).save(out / f"{stage}-lmlm")


if __name__ == "__main__":
    main()
