"""A compiled model decodes what it decodes without being compiled, by graphs that are compiled once."""

import pytest
import torch
from torch._dynamo.utils import counters

from lamlam.engine import DecodingSettings, Engine
from lamlam.engine.batch import _rounded
from lamlam.errors import LamLamError
from test_engine_batch import KB, PROMPTS, VOCABULARY, _fond_of_calls, _gpt2, _llama

SETTINGS = DecodingSettings(max_tokens=8, entities="free", max_calls=2, max_query_tokens=4)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [_llama, _gpt2])
def test_the_same_is_written_whatever_a_pass_reads(architecture: object) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = _fond_of_calls(architecture(), VOCABULARY)  # type: ignore[operator]
    expected = Engine(model, VOCABULARY, KB).generate(PROMPTS, SETTINGS)
    assert any(each.lookups for each in expected)
    torch.compiler.reset()
    counters.clear()
    compiled = Engine(model, VOCABULARY, KB, batch_size=3, compile=True)
    for prompts in (PROMPTS, PROMPTS[2:3]):
        written = compiled.generate(prompts, SETTINGS)
        assert [each.ids for each in written] == [each.ids for each in expected if each.prompt in prompts]
    assert counters["stats"]["unique_graphs"] <= 2  # one for when as many logits are wanted as there are tokens
    assert not counters["graph_break"]

    compiled._batch._few_sizes = True  # as on a GPU, which records a graph for each size
    assert [each.ids for each in compiled.generate(PROMPTS, SETTINGS)] == [each.ids for each in expected]


def test_sizes_are_few_and_never_too_small() -> None:
    sizes = {_rounded(count) for count in range(1, 1025)}
    assert all(count <= _rounded(count) <= max(2, 1.5 * count) for count in range(1, 1025))
    assert len(sizes) < 22


@pytest.mark.slow
def test_a_machine_without_a_compiler_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "/nowhere/g++"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch.compiler.reset()
    with pytest.raises(LamLamError, match="cannot be compiled here: No working C\\+\\+ compiler"):
        Engine(_llama(), VOCABULARY, KB, compile=True).generate(["Ada"], SETTINGS)
