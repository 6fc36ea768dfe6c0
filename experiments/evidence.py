"""Keep what `lamlam evaluate` measured of both arms: docs/results/evidence.json, from the arms' own results.

    lamlam evaluate runs/demo --quick
    python experiments/evidence.py --run runs/demo

Lists (examples, outcomes by pair) are left out, but not curves over training; what remains are figures with counts and
intervals, and for each the seed, settings, digest of the knowledge base, revision of the code and versions.

Several runs that differ in their seed alone yield docs/results/seeds.json and seeds.md instead: for each claim every
run's figure, their mean and its 95% interval over seeds. Figures that no run has are left out.

    python experiments/evidence.py --run runs/seed-0 --run runs/seed-1 --run runs/seed-2
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamlam.errors import InputError
from lamlam.evaluate.results import Mean, read_results
from lamlam.files import atomic_write
from lamlam.pretrain.recipe import load_recipe

ARMS = ("lmlm", "standard")
KEPT_LISTS = ("interval", "points", "steps")
_ABOUT = """\
The seed is that of the recipe: it draws the invented world, the
first weights and the order of the data. The interval is the 95% interval of Student's t over seeds, kept within 0 and
100% for shares. It tells how a figure varies from run to run, not how well each is measured: the counts behind a run's
figure stand in its own results. Where all runs agree it has no width, which does not make them certain."""
_OTHERS = ("reference", "judge")  # settings on which no claim rests


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure of a task, and how it is shown: as a share, as points of difference, or as it is."""

    label: str
    arm: str
    task: str
    path: str
    form: str = "share"

    def shown(self, value: float | None) -> str:
        if value is None:
            return "—"
        if self.form == "plain":
            return f"{value:.3f}"
        return f"{100 * value:+.1f} points" if self.form == "points" else f"{100 * value:.1f}%"


CLAIMS = (
    Claim("Facts seen in training, right", "lmlm", "completion", "seen.accuracy"),
    Claim("Facts seen in training, right: standard", "standard", "completion", "seen.accuracy"),
    Claim("Facts in the knowledge base alone, right", "lmlm", "completion", "unseen.accuracy"),
    Claim("Facts in the knowledge base alone, right: standard", "standard", "completion", "unseen.accuracy"),
    Claim("Lookups forbidden, seen, right", "lmlm", "completion_db_off", "seen.accuracy"),
    Claim("Lookups forbidden, unseen, right", "lmlm", "completion_db_off", "unseen.accuracy"),
    Claim("Perplexity, static", "lmlm", "perplexity", "static", "plain"),
    Claim("Perplexity, normalized", "lmlm", "perplexity", "normalized", "plain"),
    Claim("Perplexity, dynamic", "lmlm", "perplexity", "dynamic", "plain"),
    Claim("Perplexity: standard", "standard", "perplexity", "perplexity", "plain"),
    Claim("Edits taken", "lmlm", "editing", "success"),
    Claim("Edits, other facts unchanged", "lmlm", "editing", "locality"),
    Claim("10,000 edits, efficacy", "lmlm", "counterfact", "edits_10000.efficacy"),
    Claim("10,000 edits, specificity", "lmlm", "counterfact", "edits_10000.specificity"),
    Claim("Forgotten facts that survive", "lmlm", "forgetting", "survival"),
    Claim("Forgotten facts, a wrong answer instead", "lmlm", "forgetting", "wrong_answer"),
    Claim("Forgetting, other facts lost", "lmlm", "forgetting", "collateral"),
    Claim("Audit, own world: recovery", "lmlm", "audit", "world.model.recovery"),
    Claim("Audit, own world: leakage", "lmlm", "audit", "world.model.leakage"),
    Claim("Audit, own world: leakage, standard", "standard", "audit", "world.leakage"),
    Claim("Audit, own world: collateral", "lmlm", "audit", "world.model.collateral"),
    Claim("BLiMP", "lmlm", "blimp", "text"),
    Claim("BLiMP: standard", "standard", "blimp", "text"),
    Claim("BLiMP, LMLM less standard", "lmlm", "parity", "text.difference", "points"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--run", type=Path, action="append", help="can be repeated  [default: runs/demo]")
    options.add_argument("--out", type=Path, help="[default: docs/results/evidence.json; of several runs, seeds.json]")
    chosen = options.parse_args(arguments)
    runs = chosen.run or [Path("runs/demo")]
    several = len(runs) > 1
    out = chosen.out or Path("docs/results", "seeds.json" if several else "evidence.json")
    found = over_seeds(runs) if several else _without_lists(results_of(runs[0]))
    with atomic_write(out) as file:
        json.dump(found, file, indent=1, ensure_ascii=False)
        file.write("\n")
    if several:
        with atomic_write(out.with_suffix(".md")) as file:
            file.write(page(found, out.name))


def results_of(run: Path) -> dict[str, dict[str, Any]]:
    """What stands in the results of each arm that has any. Raises `InputError` where neither has."""
    found = {arm: results for arm in ARMS if (results := read_results(run / arm))}
    if not found:
        raise InputError("holds no results of either arm: run `lamlam evaluate` first", path=run)
    return found


def over_seeds(runs: Sequence[Path]) -> dict[str, Any]:
    """Each claim's figures by run, their mean and interval, and what they depend on.

    Raises `InputError` for runs that do not differ in their seed alone, or were measured in different sizes.
    """
    results = [results_of(run) for run in runs]
    seeds = _seeds(runs, results)
    _same_settings(runs, results)
    claims = []
    for claim in CLAIMS:
        values = [figure(each, claim) for each in results]
        if any(value is not None for value in values):
            told = {"claim": claim.label, "figure": f"{claim.arm}.{claim.task}.{claim.path}", "by_seed": values}
            claims.append(told | mean_of(values, shares=claim.form == "share"))
    depends = [
        {"seed": seed, "quick": _common(each, "quick"), "code": _common(each, "code")}
        for seed, each in zip(seeds, results, strict=True)
    ]
    return {"runs": depends, "claims": claims}


def figure(results: Mapping[str, Mapping[str, Any]], claim: Claim) -> float | None:
    """A claim's figure in one run; None where it was not measured, was left out, or is a share of nothing."""
    found: Any = results.get(claim.arm, {}).get(claim.task, {}).get("figures")
    for key in claim.path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def mean_of(values: Sequence[float | None], *, shares: bool) -> dict[str, Any]:
    """The mean of the figures that are there, how many they are, and the interval, for shares within 0 and 1."""
    mean = Mean.of(value for value in values if value is not None)
    interval = mean.student_interval()
    if interval is not None and shares:
        interval = max(0.0, interval[0]), min(1.0, interval[1])
    return {"mean": mean.value, "n": mean.n, "interval": interval and list(interval)}


def page(found: Mapping[str, Any], source: str) -> str:
    """The table as Markdown; `source` is the file with the same figures in full."""
    runs = found["runs"]
    seeds = [f"seed {run['seed']}" for run in runs]
    by_label = {claim.label: claim for claim in CLAIMS}
    lines = [
        "# Both arms over seeds",
        "",
        f"The same recipe, trained and measured {len(runs)} times. {_ABOUT}",
        f"Sizes: {', '.join(_size(run) for run in runs)}. In full: [{source}]({source}), made by",
        "`python experiments/evidence.py`.",
        "",
        f"| | {' | '.join(seeds)} | mean | 95% interval |",
        "|---|" + "---|" * (len(seeds) + 2),
    ]
    for told in found["claims"]:
        claim = by_label[told["claim"]]
        cells = [claim.shown(value) for value in (*told["by_seed"], told["mean"])]
        interval = "—" if told["interval"] is None else " to ".join(map(claim.shown, told["interval"]))
        few = f" (n = {told['n']})" if told["n"] < len(runs) else ""
        lines.append(f"| {' | '.join([claim.label, *cells])} | {interval}{few} |")
    return "\n".join(lines) + "\n"


def _size(run: Mapping[str, Any]) -> str:
    size = {(True,): "quick", (False,): "full"}.get(tuple(run["quick"]), "mixed")
    return f"seed {run['seed']} {size}"


def _seeds(runs: Sequence[Path], results: Sequence[Mapping[str, Any]]) -> list[int]:
    """The seed of each run's recipe."""
    seeds: list[int] = []
    recipes: dict[str, Any] = {}
    for run, found in zip(runs, results, strict=True):
        own = set()
        for arm in found:
            recipe = load_recipe(run / arm / "recipe.yaml")
            own.add(recipe.seed)
            if recipes.setdefault(arm, rest := recipe.model_dump(exclude={"seed", "name"})) != rest:
                raise InputError("its recipe differs in more than the seed from that of the first run", path=run / arm)
        if len(own) > 1:
            raise InputError("its arms have different seeds", path=run)
        (seed,) = own
        if seed in seeds:
            raise InputError(f"has the same seed {seed} as another run", path=run)
        seeds.append(seed)
    return seeds


def _same_settings(runs: Sequence[Path], results: Sequence[Mapping[str, Any]]) -> None:
    """Raises `InputError` where a task that a claim rests on was measured in one way here and in another there."""
    for arm, task in {(claim.arm, claim.task): None for claim in CLAIMS}:
        first: Any = None
        for run, found in zip(runs, results, strict=True):
            entry = found.get(arm, {}).get(task, {})
            if "settings" not in entry:
                continue
            settings = {name: value for name, value in entry["settings"].items() if name not in _OTHERS}
            first = settings if first is None else first
            if settings != first:
                raise InputError(f"{task} was measured with other settings than in the run before", path=run / arm)


def _common(results: Mapping[str, Mapping[str, Any]], field: str) -> list[Any]:
    """What the entries of a run say in a field, or in that of their settings; each once, in order."""
    entries = (entry for arm in results.values() for entry in arm.values() if isinstance(entry, dict))
    told = [entry.get(field, (entry.get("settings") or {}).get(field)) for entry in entries]
    return sorted({each for each in told if each is not None})


def _without_lists(figures: Any) -> Any:
    if isinstance(figures, list):
        return [_without_lists(each) for each in figures]
    if not isinstance(figures, dict):
        return figures
    return {
        name: value if name == "curves" else _without_lists(value)
        for name, value in figures.items()
        if name not in ("examples", "key") and (not isinstance(value, list) or name in KEPT_LISTS)
    }


if __name__ == "__main__":
    main()
