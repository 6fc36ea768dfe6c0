"""The script for runs on a GPU: its recipes are valid, and what is there of a stage can be told at any time."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from lamlam.model.presets import PRESETS
from lamlam.pretrain.training import Run


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[1] / "experiments" / "h200.py"
    spec = importlib.util.spec_from_file_location("h200", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("device", ["cuda", "cpu"])
@pytest.mark.parametrize("arm", ["lmlm", "standard"])
def test_every_stage_has_a_valid_recipe(script, arm, device):
    for stage in script.STAGES:
        recipe = script.recipe_of(stage, arm, device)
        assert recipe.arm == arm
        assert recipe.model.preset in PRESETS
        assert all(source.substitution.values == 0 for source in recipe.corpora) or arm == "lmlm"


def test_the_arms_of_a_stage_differ_in_calls_alone(script):
    one, other = (script.recipe_of("real-124m", arm, "cuda") for arm in ("lmlm", "standard"))
    assert (one.training, one.model, one.vocabulary) == (other.training, other.model, other.vocabulary)
    assert [source.kind for source in one.corpora] == [source.kind for source in other.corpora]


def test_a_run_that_has_not_ended_is_told_as_found(script, trained_run, tmp_path):
    run = Run(tmp_path / "lmlm")
    run.folder.mkdir()
    for name in ("metrics.jsonl", "recipe.yaml"):
        (run.folder / name).write_text((trained_run / name).read_text())
    script.report("world-30m", {"lmlm": run, "standard": Run(tmp_path / "standard")}, tmp_path, "cpu")
    told = json.loads((tmp_path / "world-30m.json").read_text())
    assert told["lmlm"]["ended"] is None
    assert told["lmlm"]["tokens_per_second"] > 0
    assert told["lmlm"]["utilisation"] is None
    assert "standard" not in told
    with pytest.raises(SystemExit, match="no saved state"):
        script.found(run)
