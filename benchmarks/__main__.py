"""Run benchmarks, those named or the usual ones, and write what each measured to `benchmarks/results/<name>.json`.

A benchmark is a function of a scratch folder that returns figures by name, or groups of them; its module's `AIMS`,
where it has them, say what a figure (`name`, or `group.name`) should be at least or at most. Times on a shared machine
mean little by themselves: compare within a run.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from lamlam.errors import LamLamError
from lamlam.evaluate.results import Provenance
from lamlam.files import atomic_write

USUAL = {
    "knowledge-base": "benchmarks.knowledge_base:five_million",
    "resolution": "benchmarks.resolution.run:resolution",
    "several": "benchmarks.several:several",
    "training-mask": "benchmarks.training:mask_cost",
    "training-speed": "benchmarks.training_speed:speed",
    "engine": "benchmarks.engine:engine",
    "engine-sparse": "benchmarks.engine:sparse",
    "serving": "benchmarks.serving:serving",
}
ON_REQUEST = {"full-size": "benchmarks.knowledge_base:full_size"}  # an hour, and 20 GB of scratch
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(USUAL | ON_REQUEST)}")
    parser.add_argument("--folder", type=Path, help="where scratch files are made")
    options = parser.parse_args()
    try:
        for name in options.names or USUAL:
            run(name, options.folder)
    except LamLamError as error:
        sys.exit(f"error: {error}")


def run(name: str, folder: Path | None) -> None:
    module, function = (USUAL | ON_REQUEST)[name].split(":")
    try:
        benchmark = import_module(module)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            figures = getattr(benchmark, function)(Path(scratch))
    except (LamLamError, ImportError) as error:  # data or a package that is not there
        print(f"{name} is left out: {error}")
        return
    save(name, figures, getattr(benchmark, "AIMS", {}))


def save(name: str, figures: Mapping[str, Any], aims: Mapping[str, str]) -> None:
    aims = {figure: aim for figure, aim in aims.items() if figure in dict(flat(figures))}
    with atomic_write(RESULTS / f"{name}.json") as out:
        json.dump({"figures": figures, "aims": aims} | Provenance(seed=0).as_json(), out, indent=1)
        out.write("\n")
    show(name, figures, aims)


def show(name: str, figures: Mapping[str, Any], aims: Mapping[str, str]) -> None:
    print(name)
    for figure, value in flat(figures):
        print(f"  {figure:42} {_shown(value):>16}{_judged(value, aims[figure]) if figure in aims else ''}")


def flat(figures: Mapping[str, Any], group: str = "") -> Iterator[tuple[str, Any]]:
    """Figures by name, those of groups as `group.name`."""
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{group}{name}.")
        else:
            yield group + name, value


def met(value: float, aim: str) -> bool:
    """Whether a figure is what an aim such as "<= 50" or ">= 15000" asks."""
    relation, bound = aim.split()
    return value <= float(bound) if relation == "<=" else value >= float(bound)


def _judged(value: float, aim: str) -> str:
    return f"  aim {aim}: {'met' if met(value, aim) else 'MISSED'}"


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


if __name__ == "__main__":
    main()
