"""Write the model that the package brings along, from a run of the demo.

    python experiments/ship.py --run runs/demo/lmlm

What is written into `--out` (default `src/lamlam/shipped`) is small and whole: the weights as float16, which are read
as float32; the facts as JSON Lines, of which each user makes a knowledge base with a key of its own; the texts in which
they were read; prompts to begin with. `manifest.json` says what it was made of, and how often the smaller weights
answer the run's probes as the run's own do. Nothing is chosen by these figures.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from lamlam.corpus import Corpus, Probe
from lamlam.corpus.files import load_corpus, write_facts
from lamlam.corpus.lines import read_object, write_objects
from lamlam.engine import DecodingSettings, Engine
from lamlam.errors import LamLamError
from lamlam.evaluate.completion import Completions, complete
from lamlam.evaluate.results import Proportion, Provenance, read_results
from lamlam.files import atomic_write, file_digest
from lamlam.kb import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.weights import weight_digests
from lamlam.pretrain.recipe import load_recipe
from lamlam.pretrain.training import Run
from lamlam.world.wordings import INTRODUCTIONS

MOST_BYTES = 16_000_000
WEIGHTS = "model.safetensors"
_AS_THEY_ARE = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "recipe.yaml")
_SETTINGS = DecodingSettings(max_tokens=16)  # the demo's


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--run", type=Path, required=True, help="the demo's LMLM, as `lamlam demo` leaves it")
    options.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "src/lamlam/shipped")
    chosen = options.parse_args()
    manifest = ship(chosen.run, chosen.out)
    print(json.dumps({name: manifest[name] for name in ("bytes", "figures")}, indent=1))


def ship(run: Path, out: Path) -> dict[str, Any]:
    """Write the folder in place of what was there; returns its manifest. Raises `LamLamError` where it is too large."""
    corpus = load_corpus(Run(run).corpus)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".shipping-") as temporary:
        folder = Path(temporary) / out.name
        folder.mkdir()
        write_model(run, folder)
        write_knowledge(corpus, folder)
        manifest = manifest_of(run, corpus, folder)
        with atomic_write(folder / "manifest.json") as file:
            json.dump(manifest, file, indent=1, ensure_ascii=False)
            file.write("\n")
        if manifest["bytes"] > MOST_BYTES:
            raise LamLamError(f"the folder has {manifest['bytes']:,} bytes, and may have {MOST_BYTES:,}")
        shutil.rmtree(out, ignore_errors=True)
        folder.rename(out)
    return manifest


def write_model(run: Path, folder: Path) -> None:
    """The run's checkpoint with its weights as float16. Raises `LamLamError` where one is too large for that."""
    for name in _AS_THEY_ARE:
        shutil.copyfile(run / name, folder / name)
    halves = {name: weight.half() for name, weight in load_file(run / WEIGHTS).items()}
    if not all(torch.isfinite(weight).all() for weight in halves.values()):
        raise LamLamError("a weight is beyond the range of float16")
    save_file(halves, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / WEIGHTS).chmod(0o644)  # it was written for its owner alone


def write_knowledge(corpus: Corpus, folder: Path) -> None:
    """The facts, the texts that they name as sources, and prompts."""
    write_facts(corpus.facts, folder / "facts.jsonl")
    sources = {fact.document for fact in corpus.facts}
    read = ({"id": each.id, "text": each.text} for each in corpus.train if each.id in sources)
    write_objects(read, folder / "documents.jsonl")
    with atomic_write(folder / "examples.json") as file:
        json.dump({"examples": examples(corpus.probes)}, file, indent=1, ensure_ascii=False)
        file.write("\n")


def examples(probes: Sequence[Probe]) -> list[str]:
    """Prompts to begin with: an entity introduced and a fact asked for, in turn.

    There is one for each introduction and each relation. Entities and questions are the first ones among the probes;
    half of the questions are about seen entities, which come first, since only their facts were read in a text.
    """
    entities = list(dict.fromkeys(probe.entity for probe in probes))
    introduced = [words.format(subject=entity) + "." for words, entity in zip(INTRODUCTIONS, entities, strict=False)]
    asked: list[Probe] = []
    for number, relation in enumerate(dict.fromkeys(probe.relation for probe in probes)):
        about = [probe for probe in probes if probe.relation == relation]
        group = ("seen", "unseen")[number % 2]
        asked.append(next((probe for probe in about if probe.group == group), about[0]))
    asked.sort(key=lambda probe: probe.group != "seen")
    pairs = zip_longest(introduced, [probe.prompt for probe in asked])
    return [prompt for pair in pairs for prompt in pair if prompt is not None]


def manifest_of(run: Path, corpus: Corpus, folder: Path) -> dict[str, Any]:
    """What the folder was made of and what is in it."""
    demo = read_results(run.parent)
    with tempfile.TemporaryDirectory() as temporary, KnowledgeBase.open(f"{temporary}/kb.sqlite", create=True) as kb:
        kb.load(corpus.facts)
        figures = compare(kb, corpus.probes, run, folder)
        digest = kb.digest()
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": file_digest(path)} for path in sorted(folder.iterdir())
    }
    return {
        "bytes": sum(file["bytes"] for file in files.values()),
        "figures": figures,
        "files": files,
        "run": {
            "training": dict(read_object(run / "training.json").value),
            "weights": weight_digests(run),
            "provenance": demo.get("provenance"),
        },
        "shipped": Provenance(
            load_recipe(run / "recipe.yaml").seed, {"decoding": _SETTINGS.model_dump()}, digest
        ).as_json(),
    }


def compare(kb: KnowledgeBase, probes: Sequence[Probe], run: Path, folder: Path) -> dict[str, Any]:
    """Right completions with the run's weights and with the shipped ones, and how many continuations are the same."""
    own, shipped = (answers(kb, probes, place) for place in (run, folder))
    same = [a.continuation == b.continuation for a, b in zip(own.records, shipped.records, strict=True)]
    return {
        "float32": {group: scores["accuracy"].as_json("accuracy") for group, scores in own.groups().items()},
        "float16": {group: scores["accuracy"].as_json("accuracy") for group, scores in shipped.groups().items()},
        "same_continuations": Proportion.of(same).as_json("share"),
    }


def answers(kb: KnowledgeBase, probes: Sequence[Probe], checkpoint: Path) -> Completions:
    loaded = Checkpoint.load(checkpoint)
    return complete(Engine(loaded.model, loaded.vocabulary, kb, batch_size=64), probes, _SETTINGS)


if __name__ == "__main__":
    main()
