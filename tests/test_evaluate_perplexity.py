"""Perplexity: formulas checked by hand, windows, and the two arms' common text."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from fakes_model import tiny_llama
from lamlam.errors import InputError
from lamlam.evaluate.tasks.perplexity import perplexity
from lamlam.markup import AnnotatedDocument, Call
from lamlam.model.likelihood import token_log_probs
from lamlam.vocab import Kind, Vocabulary, encode

TEXT = "Ada was born in Rome. Bob works for Acme in Oslo."
DOCUMENT = AnnotatedDocument(
    "d", TEXT, (Call("Ada", "Birth Place", "Rome", 16), Call("Bob", "Employer", "Acme", TEXT.index("Acme")))
)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.train([TEXT] * 4, 300)


@pytest.fixture(scope="module")
def model(vocabulary: Vocabulary) -> LlamaForCausalLM:
    return tiny_llama(vocabulary)


class Scripted(torch.nn.Module):
    """A model whose probability of the next token depends on nothing but that token's id."""

    def __init__(self, probabilities: dict[int, float], size: int) -> None:
        super().__init__()
        rest = (1 - sum(probabilities.values())) / (size - len(probabilities))
        self.logits = torch.tensor([math.log(probabilities.get(index, rest)) for index in range(size)])
        self.config = SimpleNamespace(max_position_embeddings=64)
        self.device = torch.device("cpu")

    def forward(self, input_ids: torch.Tensor, **_: object) -> SimpleNamespace:
        return SimpleNamespace(logits=self.logits.expand(*input_ids.shape, -1))


@pytest.fixture
def letters() -> Vocabulary:
    """Bytes and special tokens alone: each letter and each space is a token."""
    return Vocabulary.train(["a b"], 263)


def test_a_four_token_text_has_the_perplexities_worked_out_by_hand(letters: Vocabulary) -> None:
    v = letters
    space, a, b = v.encode(" ab")
    p = {space: 1 / 2, a: 1 / 8, b: 1 / 16, v.eos_id: 1 / 4}
    p |= {v.entity_id: 1 / 64, v.relation_id: 1 / 256, v.return_id: 1 / 256}
    scripted = Scripted(p, len(v))
    document = AnnotatedDocument("d", "ab", (Call("", "", "b", 1),))

    result = perplexity(scripted, v, [document], "lmlm")  # type: ignore[arg-type]

    # T_org is space, a, b, EOS: (1/2 * 1/8 * 1/16 * 1/4) ** (-1/4) = 1024 ** (1/4)
    assert result.text.tokens == 4
    assert result.static == pytest.approx(1024 ** (1 / 4))
    # T_train is T_org with entity, space, relation, space, return: 2 ** -(6 + 1 + 8 + 1 + 8) more, over the same four
    assert result.trained.tokens == 9
    assert result.normalized == pytest.approx(2 ** ((10 + 24) / 4))
    # two bytes of text: 10 and 34 bits
    assert (result.static_bits_per_byte, result.normalized_bits_per_byte) == (pytest.approx(5), pytest.approx(17))
    bits = {name: loss.mean / math.log(2) for name, loss in result.classes.items()}
    assert bits == pytest.approx(
        {"text": 10 / 4, "entity": 1, "relation": 1, "control": 22 / 3, "value": (1 + 4) / 2, "stated": 4}
    )
    standard = perplexity(scripted, v, [document], "standard")  # type: ignore[arg-type]
    assert standard.static == standard.normalized == pytest.approx(result.static)


def test_sums_run_over_tokens_and_not_over_documents(letters: Vocabulary) -> None:
    space, a, b = letters.encode(" ab")
    p = {space: 1 / 4, a: 1 / 4, b: 1 / 8, letters.eos_id: 1 / 4}
    documents = [AnnotatedDocument("1", "a"), AnnotatedDocument("2", "bbbbbb")]
    result = perplexity(Scripted(p, len(letters)), letters, documents, "standard")  # type: ignore[arg-type]
    assert result.static == pytest.approx(2 ** ((2 + 2 + 2 + 2 + 6 * 3 + 2) / 11))


def test_both_arms_are_measured_on_the_same_text_tokens(model: LlamaForCausalLM, vocabulary: Vocabulary) -> None:
    lmlm = perplexity(model, vocabulary, [DOCUMENT], "lmlm")
    standard = perplexity(model, vocabulary, [DOCUMENT], "standard")
    assert lmlm.text.tokens == standard.text.tokens == standard.trained.tokens
    assert lmlm.bytes == standard.bytes == len(TEXT)
    assert lmlm.classes["stated"].tokens == standard.classes["stated"].tokens > 0
    assert standard.classes["value"].tokens == 0


def test_the_words_that_state_a_value_are_told_from_other_text(vocabulary: Vocabulary) -> None:
    stated = vocabulary.encode(" Rome")[0], vocabulary.encode(" Acme")[0]
    scripted = Scripted(dict.fromkeys(stated, 1 / 4), len(vocabulary))
    result = perplexity(scripted, vocabulary, [DOCUMENT], "standard")  # type: ignore[arg-type]
    assert result.classes["stated"].tokens == sum(len(vocabulary.encode(f" {v}")) for v in ("Rome", "Acme"))


def test_a_batch_gives_what_each_document_gives_alone(model: LlamaForCausalLM, vocabulary: Vocabulary) -> None:
    rows = [vocabulary.encode(text) for text in (TEXT, "Ada", TEXT[:17])]
    together = token_log_probs(model, rows, vocabulary.pad_id)
    for row, found in zip(rows, together, strict=True):
        (alone,) = token_log_probs(model, [row], vocabulary.pad_id)
        np.testing.assert_allclose(found, alone, atol=1e-5)


def test_a_document_longer_than_the_context_is_counted_once_and_whole(
    model: LlamaForCausalLM, vocabulary: Vocabulary
) -> None:
    row = (vocabulary.encode(TEXT) * 20)[:150]
    (found,) = token_log_probs(model, [row], vocabulary.pad_id)
    assert len(found) == 150
    assert found[0] == 0
    assert (found[1:] < 0).all()
    (start,) = token_log_probs(model, [row[:64]], vocabulary.pad_id)
    np.testing.assert_allclose(found[:64], start, atol=1e-5)
    (window,) = token_log_probs(model, [row[32:96]], vocabulary.pad_id)
    np.testing.assert_allclose(found[64:96], window[32:], atol=1e-5)


def test_every_token_of_the_model_falls_into_one_class(model: LlamaForCausalLM, vocabulary: Vocabulary) -> None:
    result = perplexity(model, vocabulary, [DOCUMENT], "lmlm")
    trained = ("text", "entity", "relation", "control")
    assert sum(result.classes[name].tokens for name in trained) == result.trained.tokens
    assert sum(result.classes[name].total for name in trained) == pytest.approx(result.trained.total)
    assert result.classes["value"].tokens == encode(DOCUMENT, vocabulary).kinds.count(Kind.VALUE)


def test_no_documents_is_an_error_and_not_a_perplexity(model: LlamaForCausalLM, vocabulary: Vocabulary) -> None:
    with pytest.raises(InputError, match="no documents"):
        perplexity(model, vocabulary, [], "lmlm")
