"""Run the benchmarks and write what they measured to `benchmarks/results/`, a JSON file each.

Times on a shared machine mean little by themselves: each benchmark compares two things in one run and states the ratio.
"""

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.resolution.run import resolution
from lamlam.engine import DecodingSettings, Engine
from lamlam.errors import InputError
from lamlam.evaluate.results import Provenance
from lamlam.files import atomic_write
from lamlam.kb import KnowledgeBase
from lamlam.model.presets import build_model
from lamlam.vocab import Vocabulary
from lamlam.world import World, WorldSettings

FACTS = 200_000
LOOKUPS = 5_000
PROMPTS = 32


def lookups(folder: Path) -> dict[str, Any]:
    """Exact lookups one by one and 64 at a time, in a knowledge base of 200,000 facts on disk."""
    rng = random.Random(0)
    facts = [(f"Entity {i // 5}", f"Relation {i % 5}", f"Value {rng.randrange(FACTS)}") for i in range(FACTS)]
    with KnowledgeBase.open(folder / "lookups.sqlite", create=True) as kb:
        started = time.perf_counter()
        kb.add(facts)
        adding = time.perf_counter() - started
        queries = [(entity, relation) for entity, relation, _ in rng.sample(facts, LOOKUPS)]
        single = [_seconds(lambda query=query: kb.lookup(*query)) for query in queries]
        batches = [queries[start : start + 64] for start in range(0, LOOKUPS, 64)]
        together = sum(_seconds(lambda batch=batch: kb.lookup_many(batch)) for batch in batches)
    return {
        "facts": FACTS,
        "facts_added_a_second": round(FACTS / adding),
        "lookup_median_us": round(statistics.median(single) * 1e6, 1),
        "lookup_p99_us": round(statistics.quantiles(single, n=100)[98] * 1e6, 1),
        "lookup_many_a_second": round(LOOKUPS / together),
        "ratio_many_to_single": round(sum(single) / together, 2),
    }


def decoding(folder: Path) -> dict[str, Any]:
    """Text tokens a second of an untrained `nano` model, with and without the work that lookups add to each step."""
    corpus = World(WorldSettings(people=300, size="demo")).corpus()
    vocabulary = Vocabulary.train((document.text for document in corpus.train), 2048)
    settings = DecodingSettings(max_tokens=48)
    prompts = [probe.prompt for probe in corpus.probes[:PROMPTS]]
    with KnowledgeBase.open(folder / "decoding.sqlite", create=True) as kb:
        kb.add(corpus.facts)
        engine = Engine(build_model("nano", vocabulary), vocabulary, kb)
        off = settings.model_copy(update={"lookups": False})
        forced = settings.model_copy(update={"force_call": True})
        engine.generate(prompts, off)
        seconds = {
            name: _seconds(lambda way=way: engine.generate(prompts, way))
            for name, way in (("off", off), ("on", forced))
        }
    tokens = PROMPTS * settings.max_tokens
    return {
        "prompts": PROMPTS,
        "text_tokens_a_second_without_lookups": round(tokens / seconds["off"]),
        "text_tokens_a_second_with_one_call_each": round(tokens / seconds["on"]),
        "ratio_with_to_without": round(seconds["off"] / seconds["on"], 2),
    }


BENCHMARKS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "lookups": lookups,
    "decoding": decoding,
    "resolution": resolution,
}


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """All benchmarks, or those that are named."""
    for name in sys.argv[1:] or BENCHMARKS:
        benchmark = BENCHMARKS[name]
        try:
            with tempfile.TemporaryDirectory() as folder:
                figures = benchmark(Path(folder))
        except (InputError, ImportError) as error:
            print(f"{name} is left out: {error}")
            continue
        with atomic_write(Path(__file__).parent / "results" / f"{name}.json") as out:
            json.dump({"figures": figures} | Provenance(seed=0).as_json(), out, indent=1)
            out.write("\n")
        print(name)
        for figure, value in figures.items():
            if isinstance(value, int | float):
                print(f"  {figure:42} {value:>12,}")


if __name__ == "__main__":
    main()
