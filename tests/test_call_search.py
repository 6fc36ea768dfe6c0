"""The likeliest call as a whole: what scoring every call would choose, in few passes, alone and in any batch."""

import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaForCausalLM

from fakes_engine import DictionaryFacts, engine_that_writes, planned, random_llama, small_vocabulary
from lamlam.engine import DecodingSettings, Engine
from lamlam.engine.call_search import Stated
from lamlam.engine.token_tree import Node, TokenTree
from lamlam.markup import Call
from lamlam.model.likelihood import token_log_probs
from lamlam.vocab import opened

VOCABULARY = small_vocabulary()
ASKING = DecodingSettings(max_tokens=3, entities="context", relations="known", force_call=True, max_calls=1)
KB = DictionaryFacts(
    {
        ("Ada Lovelace", "Birth Place"): "London",
        ("Ada Lovelace", "field"): ["mathematics", "poetry"],
        ("Ada Lovelace", "Birth Date"): "1815",
        ("Alan Turing", "Work Place"): ["Bletchley Park", "Manchester"],
        ("Alan Turing", "field"): "logic",
        ("London", "country"): "England",
    }
)
PROMPTS = [
    "Ada Lovelace was born in",
    "Ada Lovelace and Alan Turing",
    "Alan Turing worked in logic near London. Ada Lovelace",
    "London",
]


# The search itself


def _logits(prefix: tuple[int, ...], seed: int) -> torch.Tensor:
    """What a made-up model says after some tokens."""
    return 3 * torch.randn(6, generator=torch.Generator().manual_seed(hash((prefix, seed)) % 2**31))


def _score(sequence: tuple[int, ...], weights: list[float], others: list[tuple[int, ...]], seed: int) -> float:
    """The score of a sequence by itself, token by token."""
    score = 0.0
    for place, token in enumerate(sequence):
        score += weights[place] * float(_logits(sequence[:place], seed).log_softmax(-1)[token])
    onward = {
        other[len(sequence)] for other in others if len(other) > len(sequence) and other[: len(sequence)] == sequence
    }
    continued = sum(float(_logits(sequence, seed).softmax(-1)[token]) for token in onward)
    return score + math.log1p(-continued)


def _tokens(node: Node) -> tuple[int, ...]:
    return tuple(each.token for each in node.path)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5).map(tuple), min_size=1, max_size=12, unique=True),
    st.integers(1, 9),
    st.integers(0, 999),
)
def test_the_best_sequence_is_what_scoring_all_finds(sequences: list[tuple[int, ...]], most: int, seed: int) -> None:
    weights = [0.5, 0.5, 1.0, 1.0, 1.0]
    penalties = [random.Random(seed + place).choice([0.0, 0.0, 2.0]) for place in range(len(sequences))]
    tree = TokenTree()
    for sequence, penalty in zip(sequences, penalties, strict=True):
        node = tree.root
        for token, weight in zip(sequence, weights, strict=False):
            node = tree.add([token], at=node, weight=weight)
        node.penalty = penalty
    passes = 0
    nodes = [tree.root]
    while nodes:
        assert len(nodes) <= max(most, 1)
        tree.take(nodes, torch.stack([_logits(_tokens(node), seed) for node in nodes]))
        nodes, passes = tree.plan(most), passes + 1
    assert tree.best is not None
    scores = [_score(each, weights, sequences, seed) for each in sequences]
    best = max(range(len(sequences)), key=lambda place: scores[place] - penalties[place])
    assert _tokens(tree.best) == sequences[best]
    assert passes <= 1 + sum(map(len, sequences))


# The engine's calls


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return random_llama(VOCABULARY).eval()


@pytest.fixture
def any_name_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights find every name improbable."""
    monkeypatch.setattr("lamlam.engine.call_search._IMPROBABLE", -math.inf)


def _scores(model: LlamaForCausalLM, prompt: str) -> dict[tuple[str, str], float]:
    """The score of each call that the prompt may make, read in full, without cache or tree."""
    scores = {}
    begun = [VOCABULARY.bos_id, *VOCABULARY.encode(opened(prompt)), VOCABULARY.entity_id]
    for (entity, relation), facts in KB._facts.items():
        stated = [fact.value in prompt for fact in facts]
        if entity not in prompt or all(stated):
            continue
        asked = [*VOCABULARY.encode(" " + entity), VOCABULARY.relation_id]
        wanted = [*VOCABULARY.encode(" " + relation), VOCABULARY.return_id]
        [read] = token_log_probs(model, [[*begun, *asked, *wanted]], VOCABULARY.pad_id)
        log_probs = read[-len(asked) - len(wanted) :]
        score = 0.5 * log_probs[: len(asked)].sum() + log_probs[len(asked) :].sum() - 2 * any(stated)
        scores[entity, relation] = float(score)
    return scores


@pytest.mark.usefixtures("any_name_will_do")
@pytest.mark.parametrize("nodes", [1, 3, 16, 200])
def test_the_likeliest_call_is_made_alone_and_in_any_batch(
    model: LlamaForCausalLM, nodes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamlam.engine.engine._SEARCHED", nodes)
    monkeypatch.setattr("lamlam.engine.engine._LEAST_SEARCHED", 1)
    engine = Engine(model, VOCABULARY, KB)
    alone = [engine.generate([prompt], ASKING)[0] for prompt in PROMPTS]
    asked = [(lookup.entity, lookup.relation) for generation in alone for lookup in generation.lookups]
    expected = [_scores(model, prompt) for prompt in PROMPTS]
    assert asked == [max(scores, key=scores.__getitem__) for scores in expected]
    assert {len(scores) for scores in expected} == {1, 3, 4, 5}
    assert engine.generate(PROMPTS * 3, ASKING) == alone * 3
    by_two = Engine(model, VOCABULARY, KB, batch_size=2, speculate=False)
    assert by_two.generate(PROMPTS, ASKING) == alone


@pytest.mark.usefixtures("any_name_will_do")
def test_a_text_goes_on_from_its_call_as_if_it_had_been_read_in_full(model: LlamaForCausalLM) -> None:
    settings = ASKING.model_copy(update={"max_tokens": 12, "log_probs": True})
    for prompt in PROMPTS:
        [generation] = Engine(model, VOCABULARY, KB).generate([prompt], settings)
        [read] = token_log_probs(model, [list(generation.ids)], VOCABULARY.pad_id)
        told = [(at, each) for at, each in enumerate(generation.log_probs) if each is not None]
        assert len(told) > 12 + 4
        for at, each in told:
            assert each.token == generation.ids[at]
            assert each.log_prob == pytest.approx(float(read[at]), abs=1e-4)


def _asks(prompt: str, entity: str, relation: str, second: tuple[str, str] | None = None, **changes: object) -> Engine:
    plans = [planned(f"{prompt} x", Call(*call, "x", len(prompt) + 1)) for call in ((entity, relation), second) if call]
    return engine_that_writes(*plans, kb=KB, vocabulary=VOCABULARY)


def _lookups(engine: Engine, prompt: str, **changes: object) -> list[tuple[str, str, str]]:
    settings = ASKING.model_copy(update={"max_tokens": 1, **changes})
    [generation] = engine.generate([prompt], settings)
    return [(lookup.entity, lookup.relation, lookup.value) for lookup in generation.lookups]


def test_what_the_text_states_is_not_looked_up_again() -> None:
    prompt = "Ada Lovelace was born in London in"
    engine = _asks(prompt, "Ada Lovelace", "Birth Place", ("Ada Lovelace", "Birth Date"))
    assert _lookups(engine, prompt) == [("Ada Lovelace", "Birth Date", "1815")]
    assert _lookups(engine, prompt, skip_stated=False) == [("Ada Lovelace", "Birth Place", "London")]


def test_where_everything_is_stated_the_model_asks_as_it_likes() -> None:
    prompt = "London in England is in"
    assert _lookups(_asks(prompt, "London", "country"), prompt) == [("London", "country", "England")]


@pytest.mark.parametrize(
    ("values", "text", "names", "share"),
    [
        (["London"], "born in London.", [], 1),
        (["London"], "born in Londonderry", [], 0),
        (["Évora (city)"], "from evora city", [], 1),
        (["logic", "poetry"], "She did LOGIC", [], 0.5),
        (["Akita"], "The Akita Museum of Art is", ["Akita Museum of Art"], 0),
        (["Akita"], "The Akita Museum of Art in Akita", ["Akita Museum of Art"], 1),
        ([], "anything", [], 0),
    ],
)
def test_a_value_is_stated_by_its_words_outside_of_the_entitys_name(
    values: list[str], text: str, names: list[str], share: float
) -> None:
    assert Stated(text, names).share(values) == share


def test_a_model_that_means_another_name_may_write_it() -> None:
    prompt = "Ada Lovelace met Grace in"
    assert _lookups(_asks(prompt, "Grace", "field"), prompt) == [("Grace", "field", "unknown")]


def test_a_call_takes_few_passes() -> None:
    prompt = "Ada Lovelace and Alan Turing in London did"
    engine = _asks(prompt, "Alan Turing", "field")
    assert _lookups(engine, prompt) == [("Alan Turing", "field", "logic")]
    assert engine.counters.call_passes <= 3
    token_by_token = _asks(prompt, "Alan Turing", "field")
    _lookups(token_by_token, prompt, relations="free")
    assert token_by_token.counters.call_passes > engine.counters.call_passes


def test_a_call_that_has_no_room_is_not_made(model: LlamaForCausalLM) -> None:
    prompt = "Ada Lovelace " * 3
    length = len(VOCABULARY.encode(opened(prompt.rstrip())))
    for room in range(2, 24):
        engine = engine_that_writes(
            planned(f"{prompt} x", Call("Ada Lovelace", "Birth Place", "London", len(prompt))),
            kb=KB,
            vocabulary=VOCABULARY,
            context=1 + length + room,
        )
        [generation] = engine.generate([prompt], ASKING)
        assert len(generation.ids) <= 1 + length + room
