"""A batch's sequences are independent, on a real model with a key-value cache."""

import gc
import random
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from fakes_engine import DictionaryFacts, random_llama, small_vocabulary
from lamlam.engine import DecodingSettings, Engine, Generation
from lamlam.model.likelihood import token_log_probs
from lamlam.vocab import Kind, Vocabulary, opened

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
    return random_llama(VOCABULARY)


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


def test_log_probabilities_are_the_models_own(engine: Engine) -> None:
    settings = DecodingSettings(max_tokens=8, log_probs=True, entities="known", relations="known", force_call=True)
    [generation] = engine.generate([PROMPTS[2]], settings)
    with torch.no_grad():
        expected = engine.model(input_ids=torch.tensor([generation.ids])).logits[0].log_softmax(-1)
    chosen = [at for at, value in enumerate(generation.log_probs) if value is not None]
    given = {at for at, kind in enumerate(generation.kinds) if kind in (Kind.BOS, Kind.VALUE, Kind.END)}
    assert len(chosen) >= 8
    assert not given & set(chosen)
    for at in chosen:
        assert generation.log_probs[at].log_prob == pytest.approx(float(expected[at - 1, generation.ids[at]]), abs=1e-4)


@pytest.mark.parametrize("space", ["", " \n\n "])
def test_a_prompts_log_probabilities_are_those_of_text(
    engine: Engine, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamlam.engine.engine._SCORED_AT_ONCE", 7)
    settings = DecodingSettings(max_tokens=6, prompt_log_probs=True, top_log_probs=3)
    prompts = [f"{PROMPTS[2]} {PROMPTS[0]}{space}", PROMPTS[1]]
    plain = engine.generate(prompts, settings.model_copy(update={"prompt_log_probs": False}))
    for found, without in zip(engine.generate(prompts, settings), plain, strict=True):
        ids = [VOCABULARY.bos_id, *VOCABULARY.encode(opened(found.prompt))]
        assert [each.token for each in found.prompt_log_probs] == ids[1:]
        [expected] = token_log_probs(engine.model, [ids], VOCABULARY.pad_id, without=VOCABULARY.control_ids)
        assert [each.log_prob for each in found.prompt_log_probs] == pytest.approx(expected[1:].tolist(), abs=1e-4)
        assert all(len(each.top) == 3 and each.log_prob <= each.top[0][1] for each in found.prompt_log_probs)
        assert (found.ids, found.text) == (without.ids, without.text)  # what is written stays the same


def test_samples_of_one_prompt_differ_by_their_seeds(engine: Engine) -> None:
    settings = DecodingSettings(max_tokens=8, temperature=1.0, samples=3, seed=7)
    samples = engine.generate(["Ada"], settings)
    single = settings.model_copy(update={"samples": 1})
    assert samples == [engine.generate(["Ada"], single.model_copy(update={"seed": seed}))[0] for seed in (7, 8, 9)]
    assert len({sample.text for sample in samples}) == 3


# A running batch


def _alone(engine: Engine, prompt: str, settings: DecodingSettings, known: dict) -> Generation:
    """What a prompt gives by itself, without speculation."""
    if (prompt, settings) not in known:
        plain = Engine(engine.model, VOCABULARY, KB, batch_size=1, speculate=False)
        known[prompt, settings] = plain.generate([prompt], settings)[0]
    return known[prompt, settings]


def test_joins_leaves_and_speculation_change_no_token(engine: Engine) -> None:
    """Three hundred random schedules, in float32; requests of different settings share the batch."""
    rng = random.Random(3)
    kinds = [
        DecodingSettings(max_tokens=12, max_query_tokens=5, max_calls=2),
        DecodingSettings(max_tokens=9, entities="known", relations="known", force_call=True),
        DecodingSettings(max_tokens=9, on_miss="drop", entities="free", max_query_tokens=4, max_calls=3),
        DecodingSettings(max_tokens=8, temperature=0.8, top_p=0.9, seed=4, entities="known", relations="known"),
        DecodingSettings(max_tokens=6, lookups=False, repetition_penalty=1.3),
    ]
    known: dict = {}
    running = Engine(engine.model, VOCABULARY, KB, batch_size=3)
    for _ in range(300):
        wanted, cancelled = [], []
        for _ in range(rng.randrange(1, 6)):
            request = (rng.choice(PROMPTS), rng.choice(kinds))
            wanted.append((*request, running.submit(*request)))
            for _ in range(rng.randrange(4)):
                running.step()
            if rng.random() < 0.2:
                cancelled.append(wanted.pop(rng.randrange(len(wanted))))
                running.cancel(cancelled[-1][2])
        while running.step():
            pass
        for *request, sequence in wanted:
            assert sequence.generation() == _alone(engine, *request, known)
    assert running.counters.accepted > 100, "drafts were verified, and some were right"
    assert not running.step()


def test_cancellations_free_their_slots(engine: Engine) -> None:
    rng = random.Random(5)
    running = Engine(engine.model, VOCABULARY, KB, batch_size=4)
    before = None
    for number in range(1000):
        sequence = running.submit(rng.choice(PROMPTS), DecodingSettings(max_tokens=20, temperature=1.0, seed=number))
        for _ in range(rng.randrange(3)):
            running.step()
        running.cancel(sequence)
        if number == 100:
            before = len(gc.get_objects())
    gc.collect()
    assert not running.step()
    assert before is not None
    assert len(gc.get_objects()) < before * 1.05
