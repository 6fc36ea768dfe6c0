"""Speed and utilisation: what a token costs, and the share of a peak that is known."""

import json

import pytest
import torch

from lamlam.model.presets import build_model
from lamlam.pretrain.monitor import Throughput
from lamlam.vocab import Vocabulary

VOCABULARY = Vocabulary.train(["a b c"], 300)


def flops(preset: str, context: int, **overrides) -> int:
    with torch.device("meta"):
        return Throughput(build_model(preset, VOCABULARY, overrides=overrides), context).flops_a_token


def test_a_token_costs_six_operations_a_weight_and_half_a_row_of_attention():
    layers, width, ffn, context, tokens = 4, 192, 512, 256, len(VOCABULARY)
    weights = layers * (4 * width * width + 3 * width * ffn + 2 * width) + width + tokens * width
    assert flops("nano", context) == 6 * weights + 6 * layers * width * context


def test_tables_that_are_only_looked_up_cost_nothing():
    untied = flops("nano", 256, tie_word_embeddings=False)
    assert untied == flops("nano", 256)
    assert flops("gpt2-124m", 256, n_positions=512) == flops("gpt2-124m", 256, n_positions=2048)


@pytest.mark.parametrize(
    ("name", "peak"), [("NVIDIA H200", 989e12), ("NVIDIA H100 PCIe", 756e12), ("NVIDIA A100-SXM4-80GB", 312e12)]
)
def test_the_share_is_of_the_peak_of_all_devices(monkeypatch, name, peak):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: name)
    throughput = Throughput(build_model("nano", VOCABULARY), 256, devices=2)
    tokens = 0.25 * 2 * peak / throughput.flops_a_token
    figures = throughput.figures(round(tokens * 3), 3.0)
    assert figures["utilisation"] == pytest.approx(0.25, abs=1e-4)
    assert figures["tokens_per_second"] == pytest.approx(tokens, rel=1e-6)


@pytest.mark.parametrize(("name", "bf16"), [("Unheard-of 9000", True), ("NVIDIA H200", False)])
def test_where_the_peak_is_unknown_no_share_is_told(monkeypatch, name, bf16):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: name)
    assert Throughput(build_model("nano", VOCABULARY), 256, bf16=bf16).figures(10, 1.0)["utilisation"] is None


def test_a_run_writes_its_speed_from_the_second_line_on(trained_run):
    lines = [json.loads(line) for line in (trained_run / "metrics.jsonl").read_text().splitlines()]
    speeds = [line.get("tokens_per_second") for line in lines if "loss" in line]
    assert all(speed > 0 for speed in speeds[1:])
    assert all(line["utilisation"] is None for line in lines if "tokens_per_second" in line)
