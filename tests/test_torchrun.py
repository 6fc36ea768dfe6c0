"""Several processes train as one does, and only the first of them writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lamlam.errors import InputError
from lamlam.pretrain.ranks import Ranks
from lamlam.pretrain.recipe import load_recipe
from lamlam.pretrain.trainer import whole_state
from lamlam.pretrain.training import pretrain

RECIPE = Path(__file__).with_name("small.yaml")
TINY = ["training.tokens=9000", "vocabulary.size=600", "model.overrides.hidden_size=32", "training.bf16=false"]
TINY += [
    "model.overrides.intermediate_size=64",
    "training.heldout=5",
    "training.optimizer=adamw",
    "training.epochs=1.5",
]


def losses(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "alone"
    pretrain(load_recipe(RECIPE, TINY), folder)
    return folder


def run_on_two(folder: Path, *changes: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "lamlam"]
    command += ["pretrain", str(RECIPE), "--out", str(folder)]
    command += [part for change in (*TINY, "training.batch=4", *changes) for part in ("--set", change)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize("fsdp", ["false", "true"])
def test_two_processes_have_the_losses_of_one(tmp_path, alone, fsdp):
    folder = tmp_path / "two"
    ran = run_on_two(folder, f"training.fsdp={fsdp}")
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert losses(folder) == pytest.approx(losses(alone), abs=1e-4)
    assert len(losses(folder)) > 10
    assert ran.stdout.count("The checkpoint is in") == 1
    weights, single = load_file(folder / "model.safetensors"), load_file(alone / "model.safetensors")
    assert weights.keys() == single.keys()
    assert all(torch.allclose(weights[name], single[name], atol=1e-3) for name in single)
    assert json.loads((folder / "training.json").read_text())["processes"] == 2
    assert not (folder / "state").exists()


def test_sharding_needs_processes_and_adamw(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"training\.fsdp.*there is one"):
        pretrain(load_recipe(RECIPE, [*TINY, "training.fsdp=true"]), tmp_path)
    monkeypatch.setattr(Ranks, "from_environment", lambda: Ranks(0, 2))
    with pytest.raises(InputError, match=r"training\.optimizer.*whole matrices"):
        pretrain(load_recipe(RECIPE, [*TINY, "training.fsdp=true", "training.optimizer=muon"]), tmp_path)


def test_a_process_that_torchrun_did_not_start_is_alone(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert Ranks.from_environment() == Ranks(0, 1)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert Ranks.from_environment() == Ranks(3, 8)


def test_a_state_that_was_torn_is_passed_over(tmp_path):
    assert whole_state(tmp_path) is None
    for step, text in ((5, "{}"), (20, '{"global_step": 2'), (100, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if text is not None:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(text)
    assert whole_state(tmp_path) == tmp_path / "checkpoint-5"
