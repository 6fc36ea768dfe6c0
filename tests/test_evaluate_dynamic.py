"""Dynamic perplexity: given text, own calls, values from the model's own lookups."""

import math
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig

from fakes_model import tiny_llama
from lamlam.engine.engine import Engine
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError
from lamlam.evaluate.reading import Reader, dynamic_perplexity
from lamlam.evaluate.tasks.perplexity import perplexity
from lamlam.kb.fact import Fact, Resolution, Status
from lamlam.markup import AnnotatedDocument, Call
from lamlam.vocab import Vocabulary

DOCUMENT = AnnotatedDocument("d", "x y", (Call("a", "b", "c", 2),))

KNOWN = DecodingSettings(entities="known", relations="known")


class OneFact:
    """A knowledge base in which "a" has "b": "c"."""

    def lookup_many(self, pairs: Sequence[tuple[str, str]]) -> list[Resolution]:
        fact = Fact(1, "a", "b", "c")
        return [
            Resolution(*pair, Status.EXACT, (fact,), 1.0)
            if pair == ("a", "b")
            else Resolution(*pair, Status.UNKNOWN_ENTITY)
            for pair in pairs
        ]

    def nearest(self, entity: str, relation: str) -> Resolution:
        return Resolution(entity, relation, Status.UNKNOWN_ENTITY)

    def entities_named(self, names: Sequence[str]) -> dict[str, str]:
        return {name: name for name in names if name == "a"}

    def entities_starting(self, prefix: str, limit: int) -> list[str]:
        return ["a"] if "a".startswith(prefix) else []

    def relations_of(self, entity: str) -> list[str]:
        return ["b"] if entity == "a" else []


class Bigram(torch.nn.Module):
    """A model whose next token depends on the last one alone, by a table of probabilities."""

    def __init__(self, table: dict[int, dict[int, float]], size: int) -> None:
        super().__init__()
        self.probabilities = torch.full((size, size), 1e-6)
        for last, following in table.items():
            for token, p in following.items():
                self.probabilities[last, token] = p
        self.probabilities /= self.probabilities.sum(-1, keepdim=True)
        self.head = torch.nn.Linear(2, size)
        self.config = LlamaConfig(vocab_size=size, num_hidden_layers=1, max_position_embeddings=96)
        self.device, self.dtype = torch.device("cpu"), torch.float

    def get_output_embeddings(self) -> torch.nn.Linear:
        return self.head

    def set_attn_implementation(self, name: str) -> None:
        """It has no attention."""

    def forward(
        self,
        input_ids: torch.Tensor,
        past_key_values: object = None,
        logits_to_keep: torch.Tensor | slice = slice(None),
        **_: object,
    ) -> SimpleNamespace:
        if past_key_values is not None:
            empty = torch.zeros(len(input_ids), 1, input_ids.shape[1], 1)
            past_key_values.update(empty, empty, 0)  # type: ignore[attr-defined]
        return SimpleNamespace(logits=self.probabilities[input_ids].log()[:, logits_to_keep])


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary.train(["x y a b c"], 263)  # bytes and special tokens alone: each letter and space a token


def bigram(vocabulary: Vocabulary, value_to_y: float, call: float) -> Bigram:
    """After "x" a call with probability `call`; inside it a, b; after the call " y" with `value_to_y`."""
    x, y, a, b, space = (vocabulary.encode(c)[0] for c in "xyab ")
    v = vocabulary
    table = {
        v.bos_id: {space: 0.5, y: 0.5},
        x: {v.entity_id: call, space: (1 - call) / 2, x: (1 - call) / 2},
        v.entity_id: {space: 1.0},
        v.relation_id: {space: 1.0},
        a: {v.relation_id: 1.0},
        b: {v.return_id: 1.0},
        v.end_id: {space: value_to_y, x: 1 - value_to_y},
        space: {y: 0.25, x: 0.75},
        y: {v.eos_id: 0.25, x: 0.75},
    }
    return Bigram(table, len(vocabulary))


def test_a_call_that_the_model_prefers_is_made_and_the_text_is_read_after_it(vocabulary: Vocabulary) -> None:
    engine = Engine(bigram(vocabulary, 0.9, call=0.8), vocabulary, OneFact())  # type: ignore[arg-type]
    result = dynamic_perplexity(engine, [DOCUMENT], KNOWN)
    assert (result.calls, result.found, result.unread) == (1, 1, 0)
    # space, x, space after the call, y, EOS: 1/2 * 3/4 * 0.9 * 1/4 * 1/4
    assert result.text.tokens == 5
    assert result.dynamic == pytest.approx((3 / 8 * 0.9 / 16) ** (-1 / 5), rel=1e-3)


def test_where_the_text_is_likelier_no_call_is_made_and_its_mass_is_lost(vocabulary: Vocabulary) -> None:
    engine = Engine(bigram(vocabulary, 0.9, call=0.2), vocabulary, OneFact())  # type: ignore[arg-type]
    result = dynamic_perplexity(engine, [DOCUMENT], KNOWN)
    assert result.calls == 0
    assert result.dynamic == pytest.approx((3 / 8 * 0.4 / 16) ** (-1 / 5), rel=1e-3)


def test_a_model_that_calls_for_ever_is_made_to_read_on(vocabulary: Vocabulary) -> None:
    model = bigram(vocabulary, 0.9, call=0.8)
    model.probabilities[vocabulary.end_id] = model.probabilities[vocabulary.encode("x")[0]]
    engine = Engine(model, vocabulary, OneFact())  # type: ignore[arg-type]
    result = dynamic_perplexity(engine, [DOCUMENT], KNOWN)
    assert (result.calls, result.unread) == (4, 0)


def test_the_limit_on_calls_is_that_of_a_place_and_not_of_a_text(vocabulary: Vocabulary) -> None:
    engine = Engine(bigram(vocabulary, 0.9, call=0.8), vocabulary, OneFact())  # type: ignore[arg-type]
    result = dynamic_perplexity(engine, [AnnotatedDocument("d", "x y x y x y x y x y")], KNOWN)
    assert (result.calls, result.unread) == (5, 0)


def test_text_that_no_longer_fits_into_the_context_is_counted_and_told(vocabulary: Vocabulary) -> None:
    engine = Engine(bigram(vocabulary, 0.9, call=0.8), vocabulary, OneFact())  # type: ignore[arg-type]
    result = dynamic_perplexity(engine, [AnnotatedDocument("long", "x y" * 40)], KNOWN)
    assert result.unread > 0
    assert result.text.tokens + result.unread == 122


def test_without_calls_it_is_the_plain_perplexity_of_the_text() -> None:
    vocabulary = Vocabulary.train(["Ada was born in Rome."], 300)
    model = tiny_llama(vocabulary, layers=2)
    documents = [AnnotatedDocument("1", "Ada was born in Rome."), AnnotatedDocument("2", "Rome was in Ada, born in.")]
    plain = perplexity(model, vocabulary, documents, "standard")
    result = dynamic_perplexity(Engine(model, vocabulary, OneFact()), documents, DecodingSettings(lookups=False))
    assert result.text.tokens == plain.text.tokens
    assert result.text.total == pytest.approx(plain.text.total, rel=1e-5)
    assert math.isfinite(result.dynamic)


def test_a_sample_is_the_same_for_the_same_seed(vocabulary: Vocabulary) -> None:
    documents = [AnnotatedDocument(str(n), "x" * n) for n in range(1, 30)]
    engine = Engine(bigram(vocabulary, 0.9, call=0.2), vocabulary, OneFact())  # type: ignore[arg-type]
    first, second = (dynamic_perplexity(engine, documents, KNOWN, sample=5, seed=3) for _ in range(2))
    assert first == second
    assert first.documents == 5


def test_no_documents_is_an_error(vocabulary: Vocabulary) -> None:
    engine = Engine(bigram(vocabulary, 0.9, call=0.2), vocabulary, OneFact())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no documents"):
        dynamic_perplexity(engine, [], KNOWN)


def test_what_is_to_be_read_is_drafted_so_that_a_stretch_takes_one_pass(vocabulary: Vocabulary) -> None:
    reader = Reader(Engine(bigram(vocabulary, 0.9, call=0.2), vocabulary, OneFact()))  # type: ignore[arg-type]
    given = [*vocabulary.encode(" x x y" * 4), vocabulary.eos_id]
    (reading,) = reader.read([("x", given)], KNOWN)
    assert (len(reading.log_probs), reading.unread) == (len(given), 0)
    assert reader.counters.passes <= 2


def test_a_prompt_is_read_without_calls_and_has_no_log_p(vocabulary: Vocabulary) -> None:
    reader = Reader(Engine(bigram(vocabulary, 0.9, call=0.8), vocabulary, OneFact()))  # type: ignore[arg-type]
    (reading,) = reader.read([("x x", [*vocabulary.encode(" y"), vocabulary.eos_id])], KNOWN)
    assert len(reading.generation().lookups) == 1
    # space after the call, y, EOS
    assert [math.exp(each) for each in reading.log_probs] == pytest.approx([0.9, 0.25, 0.25], rel=1e-3)
