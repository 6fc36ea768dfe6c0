"""The table over seeds: what is claimed of every run, and what keeps runs from being put side by side."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lamlam.errors import InputError
from lamlam.evaluate.results import Mean

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("evidence", ROOT / "experiments" / "evidence.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def nested(path: str, value: float) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {first: nested(rest, value) if rest else value}


@pytest.fixture
def run(tmp_path: Path, script: ModuleType) -> Callable[..., Path]:
    """A run's folder, with one figure for each task of its arms."""

    def make(
        seed: int, seen: float, *, tokens: int = 1000, quick: bool = True, arms: tuple[str, ...] = script.ARMS
    ) -> Path:
        folder = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        for arm in arms:
            (folder / arm).mkdir(parents=True)
            recipe = {"name": "x", "arm": arm, "seed": seed, "corpora": [{"kind": "world", "people": 9}]}
            recipe["training"] = {"tokens": tokens}
            (folder / arm / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")  # JSON is YAML
            entry = {"settings": {"quick": quick}, "code": "abc"}
            results = {
                "completion": {"figures": nested("seen.accuracy", seen)} | entry,
                "blimp": {"figures": {"skipped": "no data"}} | entry,
            }
            (folder / arm / "results.json").write_text(json.dumps(results), encoding="utf-8")
        return folder

    return make


def test_the_interval_of_three_values_is_students() -> None:
    low, high = Mean.of([1.0, 2.0, 3.0]).student_interval() or (0, 0)
    assert (low, high) == (pytest.approx(2 - 2.484138), pytest.approx(2 + 2.484138))
    assert Mean.of([0.5, 0.5]).student_interval() == (0.5, 0.5)
    assert Mean.of([0.5]).student_interval() is None
    with pytest.raises(ValueError, match="ten values at most"):
        Mean.of([1.0] * 11).student_interval()


@pytest.mark.parametrize("number", range(2, 11))
def test_quantiles_are_those_of_students_t(number: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    mean = Mean.of([float(value) for value in range(number)])
    assert mean.student_interval() == pytest.approx(
        stats.t.interval(0.95, number - 1, mean.value, mean.error), abs=1e-5
    )


def test_every_runs_figure_stands_beside_mean_and_interval(script: ModuleType, run: Callable[..., Path]) -> None:
    found = script.over_seeds([run(seed, seen) for seed, seen in ((3, 0.5), (4, 0.6), (5, 0.7))])
    assert [(each["seed"], each["quick"], each["code"]) for each in found["runs"]] == [
        (seed, [True], ["abc"]) for seed in (3, 4, 5)
    ]
    first = found["claims"][0]
    assert first["figure"] == "lmlm.completion.seen.accuracy"
    assert first["by_seed"] == [0.5, 0.6, 0.7]
    assert first["mean"] == pytest.approx(0.6)
    assert first["interval"] == [pytest.approx(0.6 - 0.2484138), pytest.approx(0.6 + 0.2484138)]
    page = script.page(found, "seeds.json")
    assert "| | seed 3 | seed 4 | seed 5 | mean | 95% interval |" in page
    assert "| Facts seen in training, right | 50.0% | 60.0% | 70.0% | 60.0% | 35.2% to 84.8% |" in page


def test_what_no_run_measured_is_left_out_and_what_one_lacks_is_told(
    script: ModuleType, run: Callable[..., Path]
) -> None:
    found = script.over_seeds([run(1, 1.0), run(2, 0.9), run(3, 1.0, arms=("lmlm",))])
    assert [claim["claim"] for claim in found["claims"]] == [
        "Facts seen in training, right",
        "Facts seen in training, right: standard",
    ]
    both, standard = found["claims"]
    assert both["interval"][1] == 1.0, "no share is greater"
    assert (standard["by_seed"], standard["n"]) == ([1.0, 0.9, None], 2)
    assert "| — | 95.0% | 31.5% to 100.0% (n = 2) |" in script.page(found, "x.json")


def test_runs_that_differ_in_more_than_the_seed_are_not_put_side_by_side(
    script: ModuleType, run: Callable[..., Path]
) -> None:
    first = run(1, 0.5)
    for other, fault in (
        (run(1, 0.5), "same seed 1"),
        (run(2, 0.5, tokens=2000), "more than the seed"),
        (run(2, 0.5, quick=False), "other settings"),
        (first / "lmlm", "no results of either arm"),
    ):
        with pytest.raises(InputError, match=fault):
            script.over_seeds([first, other])


def test_every_claim_is_a_figure_that_an_evaluation_writes(script: ModuleType) -> None:
    kept = json.loads((ROOT / "docs" / "results" / "evidence.json").read_text(encoding="utf-8"))
    assert [claim for claim in script.CLAIMS if script.figure(kept, claim) is None] == []
    assert len({claim.label for claim in script.CLAIMS}) == len(script.CLAIMS)


def test_one_run_keeps_its_figures_without_lists(script: ModuleType, run: Callable[..., Path], tmp_path: Path) -> None:
    folder, out = run(1, 0.5), tmp_path / "kept.json"
    script.main(["--run", str(folder), "--out", str(out)])
    assert json.loads(out.read_text(encoding="utf-8"))["lmlm"]["completion"]["figures"] == {"seen": {"accuracy": 0.5}}
    script.main(["--run", str(folder), "--run", str(run(2, 0.7)), "--out", str(out)])
    assert json.loads(out.read_text(encoding="utf-8"))["claims"][0]["by_seed"] == [0.5, 0.7]
    assert "[kept.json](kept.json)" in out.with_suffix(".md").read_text(encoding="utf-8")
