"""A batch's sequences are independent, on a real model with a key-value cache."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from fakes_engine import DictionaryFacts, small_vocabulary
from lamlam.engine import DecodingSettings, Engine, Generation
from lamlam.vocab import Vocabulary, opened

VOCABULARY = small_vocabulary()
KB = DictionaryFacts(
    {
        ("Ada Lovelace", "Birth Place"): "London",
        ("Ada Lovelace", "field"): "the mathematics of engines",
        ("Alan Turing", "Work Place"): ["Bletchley Park", "Manchester"],
    }
)
PROMPTS = ["", "Ada", "Ada Lovelace was born in", "Alan Turing worked in logic at Bletchley Park near London. Ada", "?"]


def _fond_of_calls(model: PreTrainedModel, vocabulary: Vocabulary) -> PreTrainedModel:
    """Random weights hardly ever write a control token; raise their logits so that they do."""

    def raise_logits(_module: torch.nn.Module, _inputs: object, output: object) -> None:
        with torch.no_grad():
            output.logits[..., list(vocabulary.control_ids)] += 4.5  # type: ignore[attr-defined]

    model.register_forward_hook(raise_logits)
    return model


def _llama() -> PreTrainedModel:
    config = LlamaConfig(
        vocab_size=len(VOCABULARY) + 5,  # rows that stand for no token
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=160,
        initializer_range=0.3,
    )
    return LlamaForCausalLM(config)


def _gpt2() -> PreTrainedModel:
    config = GPT2Config(
        vocab_size=len(VOCABULARY), n_embd=32, n_layer=2, n_head=4, n_positions=160, initializer_range=0.3
    )
    return GPT2LMHeadModel(config)


@pytest.fixture(scope="module", params=[_llama, _gpt2], ids=["llama", "gpt2"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        yield Engine(_fond_of_calls(request.param(), VOCABULARY), VOCABULARY, KB)


_settings = st.builds(
    DecodingSettings,
    max_tokens=st.integers(1, 10),
    temperature=st.just(0.0),
    entities=st.sampled_from(["context", "known", "free"]),
    relations=st.sampled_from(["known", "free"]),
    on_miss=st.sampled_from(["unknown", "drop", "nearest"]),
    force_call=st.booleans(),
    max_calls=st.integers(1, 2),
    max_query_tokens=st.integers(1, 6),
    max_value_tokens=st.integers(1, 8),
)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.sampled_from(PROMPTS), min_size=2, max_size=4), _settings)
def test_each_sequence_of_a_batch_gives_what_it_gives_alone(
    engine: Engine, prompts: list[str], settings: DecodingSettings
) -> None:
    assert engine.generate(prompts, settings) == [engine.generate([prompt], settings)[0] for prompt in prompts]


def test_sampled_sequences_too_give_what_they_give_alone(engine: Engine) -> None:
    for seed in range(2):
        settings = DecodingSettings(
            temperature=0.9, top_k=40, top_p=0.95, seed=seed, max_tokens=8, max_query_tokens=5, max_calls=2
        )
        assert engine.generate(PROMPTS, settings) == [engine.generate([prompt], settings)[0] for prompt in PROMPTS]


def test_the_models_own_calls_are_made_and_resolved(engine: Engine) -> None:
    settings = DecodingSettings(temperature=1.0, max_tokens=24, entities="known", relations="known")
    generations = engine.generate(PROMPTS, settings)
    lookups = [lookup for generation in generations for lookup in generation.lookups]
    assert sum(lookup.resolution.found for lookup in lookups) >= 3
    assert all(_well_formed(generation) for generation in generations)


def _well_formed(generation: Generation) -> bool:
    """Calls stand one after another, each with its four control tokens in order; the last may be cut off."""
    controls = [token for token in generation.ids if token in VOCABULARY.control_ids]
    order = [VOCABULARY.entity_id, VOCABULARY.relation_id, VOCABULARY.return_id, VOCABULARY.end_id]
    return all(token == order[index % 4] for index, token in enumerate(controls))


def test_dropping_every_call_gives_what_forbidding_calls_gives(engine: Engine) -> None:
    nothing_known = Engine(engine.model, VOCABULARY, DictionaryFacts({}))
    shared = DecodingSettings(max_tokens=16, max_query_tokens=5, max_calls=1000)
    dropped = nothing_known.generate(PROMPTS, shared.model_copy(update={"on_miss": "drop", "force_call": True}))
    forbidden = nothing_known.generate(PROMPTS, shared.model_copy(update={"lookups": False}))
    assert all(generation.lookups for generation in dropped)
    assert [generation.ids for generation in dropped] == [generation.ids for generation in forbidden]
    assert [generation.text for generation in dropped] == [generation.text for generation in forbidden]


def test_cached_decoding_gives_what_reading_everything_anew_gives(engine: Engine) -> None:
    """Read in one pass, without a cache: each token was the likeliest of those allowed."""
    [generation] = engine.generate([PROMPTS[2]], DecodingSettings(max_tokens=16, lookups=False))
    ids = torch.tensor([generation.ids])
    with torch.no_grad():
        logits = engine.model(input_ids=ids).logits[0]
    specials = [*VOCABULARY.control_ids, VOCABULARY.bos_id, VOCABULARY.pad_id]
    logits[:, specials] = -torch.inf
    logits[:, len(VOCABULARY) :] = -torch.inf
    first = len(VOCABULARY.encode(opened(PROMPTS[2])))
    assert logits.argmax(-1)[first:-1].tolist() == list(generation.ids[first + 1 :])


def test_batches_of_any_size_give_the_same(engine: Engine) -> None:
    settings = DecodingSettings(max_tokens=4, max_calls=2)
    by_two = Engine(engine.model, VOCABULARY, KB, batch_size=2)
    assert by_two.generate(PROMPTS, settings) == engine.generate(PROMPTS, settings)
