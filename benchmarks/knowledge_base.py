"""Importing, opening, looking up and forgetting in a knowledge base of 5M facts, and of the paper's 54.6M.

The facts are those of `benchmarks.scale`, read from a JSON Lines file. Each step is measured in a process of its own
(`benchmarks.steps`), whose memory is counted whole; an import has two processes, and the sum of their peaks is given.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.scale import FULL, Scale

__all__ = ["AIMS", "five_million", "full_size"]

AIMS = {
    "import_seconds_at_54.6M": "<= 1200",
    "facts_imported_a_second": ">= 45500",
    "import_peak_MB": "<= 500",
    "GB_on_disk_at_54.6M": "<= 6",
    "opening_ms": "<= 50",
    "lookup_median_us": "<= 60",
    "lookup_p99_ms": "<= 2",
    "lookups_a_second_64_at_once": ">= 15000",
    "fuzzy_median_ms": "<= 15",
    "reader_peak_MB": "<= 500",
    "forget_visible_ms": "<= 10",
    "forget_erased_seconds_at_5M": "<= 10",
}


def five_million(folder: Path) -> dict[str, Any]:
    return measure(folder, 5_000_000, "5M")


def full_size(folder: Path) -> dict[str, Any]:
    """With the GB on disk and the seconds that the aims speak of."""
    return measure(folder, FULL, "54.6M")


def measure(folder: Path, facts: int, size: str) -> dict[str, Any]:
    scale = Scale(facts)
    if not (folder / "facts.jsonl").exists():
        scale.write(folder / "facts.jsonl")
    imported, read, forgot = (_step(name, folder, facts) for name in ("import", "read", "forget"))
    return summed_up(scale, size, imported, read, forgot)


def summed_up(
    scale: Scale, size: str, imported: dict[str, Any], read: dict[str, Any], forgot: dict[str, Any]
) -> dict[str, Any]:
    """The figures of the three steps."""
    facts = scale.facts
    return {
        "facts": facts,
        "entities": scale.entities,
        "relations": scale.relations,
        "values": scale.values,
        f"import_seconds_at_{size}": round(imported["seconds"], 1),
        "facts_imported_a_second": round(facts / imported["seconds"]),
        "import_cpu_seconds": imported["cpu_seconds"],
        "import_peak_MB": imported["peak_MB"],
        "bytes_a_fact": round(imported["bytes"] / facts, 1),
        f"GB_on_disk_at_{size}": round(imported["bytes"] / 1e9, 3),
        **read,
        "forget_visible_ms": forgot["visible_ms"],
        f"forget_erased_seconds_at_{size}": forgot["erased_seconds"],
        "forget_clean": forgot["clean"],
    }


def _step(name: str, folder: Path, facts: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.steps", name, str(folder), str(facts)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, Any] = json.loads(output)
    return figures
