"""Keep what `lamlam evaluate` measured of both arms: docs/results/evidence.json, from the arms' own results.

    lamlam evaluate runs/demo --quick
    python experiments/evidence.py --run runs/demo

Lists (examples, outcomes by pair) are left out; what remains are figures with counts and intervals, and for each the
seed, settings, digest of the knowledge base, revision of the code and versions.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from lamlam.evaluate.results import RESULTS_FILE, read_results
from lamlam.files import atomic_write

ARMS = ("lmlm", "standard")
KEPT_LISTS = ("interval", "points", "steps")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--run", type=Path, default=Path("runs/demo"))
    options.add_argument("--out", type=Path, default=Path("docs/results/evidence.json"))
    chosen = options.parse_args()
    folders = {arm: chosen.run / arm for arm in ARMS if (chosen.run / arm / RESULTS_FILE).exists()}
    with atomic_write(chosen.out) as out:
        json.dump({arm: _without_lists(read_results(folder)) for arm, folder in folders.items()}, out, indent=1)
        out.write("\n")


def _without_lists(figures: Any) -> Any:
    if isinstance(figures, list):
        return [_without_lists(each) for each in figures]
    if not isinstance(figures, dict):
        return figures
    return {
        name: _without_lists(value)
        for name, value in figures.items()
        if name not in ("examples", "key") and (not isinstance(value, list) or name in KEPT_LISTS)
    }


if __name__ == "__main__":
    main()
