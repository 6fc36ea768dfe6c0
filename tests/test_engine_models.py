"""Decoding with checkpoints of all families: the cache and the masks that the engine gives them fit."""

import json
import re
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3NextConfig,
)

from fakes_engine import DictionaryFacts, ScriptedModel, follow
from lamlam.engine import DecodingSettings, Engine, Generation
from lamlam.engine.constraint import CallConstraint
from lamlam.engine.context import context_of
from lamlam.engine.control_tokens import ControlTokens
from lamlam.engine.sampling import Sampler
from lamlam.engine.sequence import DecodingSequence, State
from lamlam.errors import LamLamError
from lamlam.markup import tokens
from lamlam.model.checkpoint import Checkpoint
from lamlam.vocab import CONTROL_TOKENS, Kind, Vocabulary
from test_engine_batch import KB, PROMPTS, VOCABULARY, _fond_of_calls

SMALL = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 160,
    "initializer_range": 0.3,
    "pad_token_id": None,
}
FAMILIES = {
    "llama": {"model_type": "llama"},
    "gpt2": {"model_type": "gpt2", "n_inner": 48},
    "qwen2": {"model_type": "qwen2"},
    "qwen3": {"model_type": "qwen3", "head_dim": 16},
    "smollm3": {"model_type": "smollm3", "no_rope_layers": [1, 1, 1, 0]},
    "mistral, sliding": {"model_type": "mistral", "sliding_window": 24},
    "qwen2, sliding": {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 24, "max_window_layers": 2},
}


def _model(**changes: object) -> PreTrainedModel:
    fields = {**SMALL, **changes}
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(fields.pop("model_type"), **fields))
    return _fond_of_calls(model, VOCABULARY).eval()


def _without_cache(model: PreTrainedModel, prompt: str, settings: DecodingSettings, context: int) -> Generation:
    """What a prompt gives where the model reads everything anew for each token, with masks of its own."""
    control_tokens = ControlTokens(VOCABULARY, model.config.vocab_size, torch.device("cpu"))
    constraint = CallConstraint(control_tokens, KB, settings)
    sequence = DecodingSequence(prompt, settings, control_tokens, constraint, context, Sampler(settings))
    while not sequence.done:
        if sequence.state is State.WAITING:
            sequence.answer(KB.lookup_many([sequence.query])[0])
        else:
            with torch.no_grad():
                logits = model(torch.tensor([sequence.ids]), use_cache=False).logits[0, -1:]
                sequence.advance(logits, [], logits.argmax(-1).tolist())
    return sequence.generation()


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_family_gives_what_it_gives_without_a_cache(family: dict) -> None:
    model = _model(**family)
    engine = Engine(model, VOCABULARY, KB)
    context = context_of(model.config)
    calls = 0
    for settings in (
        DecodingSettings(max_tokens=14, max_query_tokens=4),
        DecodingSettings(max_tokens=14, max_query_tokens=4, on_miss="drop", entities="free", force_call=True),
    ):
        generations = engine.generate(PROMPTS[:3], settings)
        assert generations == [_without_cache(model, prompt, settings, context) for prompt in PROMPTS[:3]]
        calls += sum(len(generation.lookups) for generation in generations)
    assert calls > 3


def test_a_window_limits_the_context() -> None:
    engine = Engine(_model(**FAMILIES["qwen2, sliding"]), VOCABULARY, KB)
    [generation] = engine.generate(["Ada"], DecodingSettings(max_tokens=100, lookups=False))
    assert (len(generation.ids), generation.finish) == (24, "length")
    with pytest.raises(LamLamError, match="context of 24"):
        engine.generate(["x" * 30])


def test_layers_without_attention_are_refused() -> None:
    with pytest.raises(LamLamError, match="linear_attention"):
        context_of(Qwen3NextConfig())


# The checkpoints of the paper


def llama_vocabulary(text: str, size: int) -> Vocabulary:
    """A vocabulary of `size` tokens and the four, built as Llama's: `▁` for a space, bytes for what is unknown."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    words = [word.replace(" ", "▁") for word in re.findall(r" ?[A-Za-z]+|.", text)]
    pieces = list(dict.fromkeys([*pieces, "▁", *words]))
    pieces += [f"▁word{number}" for number in range(size - len(pieces))]
    unigram = models.Unigram([(piece, -float(number)) for number, piece in enumerate(pieces)], 0, byte_fallback=True)
    backend = Tokenizer(unigram)
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return Vocabulary(
        PreTrainedTokenizerFast(
            tokenizer_object=backend,
            bos_token="<s>",
            eos_token="</s>",
            unk_token="<unk>",
            extra_special_tokens=list(CONTROL_TOKENS),
        )
    )


@pytest.fixture(scope="module")
def example(shared_data: Path) -> dict[str, str]:
    path = shared_data / "lmlm" / "example_generation_382m.json"
    return json.loads(path.read_text(encoding="utf-8"))["factscore_0"]


@pytest.mark.parametrize("name", ["llama2-176m_config.json", "llama2-382m_config.json"])
def test_the_papers_shapes_load_and_run(name: str, shared_data: Path, example: dict[str, str], tmp_path: Path) -> None:
    vocabulary = llama_vocabulary(example["output_raw"], 32_000)
    assert len(vocabulary) == 32_004
    written = json.loads((shared_data / "lmlm" / name).read_text(encoding="utf-8"))
    small = written | {"num_hidden_layers": 1, "intermediate_size": 64, "vocab_size": len(vocabulary)}
    (tmp_path / "config.json").write_text(json.dumps(small), encoding="utf-8")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path))
    Checkpoint(model, vocabulary).save(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(small), encoding="utf-8")  # as the paper's release has it
    loaded = Checkpoint.load(tmp_path)
    config = loaded.model.config
    assert (config.head_dim, config.rope_parameters["rope_theta"]) == (64, written["rope_theta"])
    assert config.num_attention_heads == written["num_attention_heads"]
    engine = Engine(loaded.model, loaded.vocabulary, KB)
    settings = DecodingSettings(max_tokens=6, entities="known", relations="known", force_call=True)
    [generation] = engine.generate(["Ko Itakura is"], settings)
    assert generation.lookups[0].resolution.found
    assert list(generation.kinds).count(Kind.TEXT) == 6 + len(vocabulary.encode(" Ko Itakura is"))


def test_the_spacing_is_that_of_the_papers_models(example: dict[str, str]) -> None:
    """They write a space in front of a call and another behind it, of which a reader sees one."""
    raw, prompt = example["output_raw"], example["input_text"]
    vocabulary = llama_vocabulary(raw, 2000)
    document = tokens.parse(raw)
    strings = dict(zip(CONTROL_TOKENS, sorted(vocabulary.control_ids), strict=True))
    plan = [vocabulary.bos_id]
    for part in re.split("(" + "|".join(map(re.escape, CONTROL_TOKENS)) + ")", " " + raw):
        plan += [strings[part]] if part in strings else vocabulary.encode(part)
    kb = DictionaryFacts({(call.entity, call.relation): call.value for call in document.calls})
    model = ScriptedModel(follow([*plan, vocabulary.eos_id]), vocabulary, 4096)
    settings = DecodingSettings(max_tokens=2000, max_query_tokens=200, max_value_tokens=200, entities="free")
    [generation] = Engine(model, vocabulary, kb).generate([prompt], settings)  # type: ignore[arg-type]
    assert len(generation.lookups) == len(document.calls) == 9
    assert list(generation.ids) == [*plan, vocabulary.eos_id]
    assert prompt + generation.text == document.text
    for lookup in generation.lookups:
        assert generation.text[lookup.start : lookup.end] in ("", lookup.value)
