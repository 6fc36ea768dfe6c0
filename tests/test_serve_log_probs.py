"""Log-probabilities of prompts, on the model that comes with LamLam, read as OpenAI's and evaluation's clients do."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from openai import OpenAI
from transformers import AutoTokenizer

from lamlam.model.checkpoint import Checkpoint
from lamlam.model.likelihood import token_choices
from lamlam.serve.access import Access
from lamlam.serve.app import build_app
from lamlam.serve.opening import open_served
from lamlam.serve.places import SHIPPED, ServePaths
from lamlam.vocab import opened

CONTEXTS = [
    "Drivimmir Mombumti was born in",
    "This is Drivimmir Mombumti, born in",
    "Question: Who?\nAnswer:",
]
CONTEXT = CONTEXTS[-1]
CHOICES = [" Rumond", " Paris", " in the town of Rumond"]
TOKENIZER = AutoTokenizer.from_pretrained(str(SHIPPED))
MODEL = Checkpoint.load(SHIPPED)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    data = tmp_path_factory.mktemp("data")
    app = build_app(open_served(ServePaths.of_shipped(data), 8), Access(data / "tokens.json", open_reads=True))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def score(client: TestClient, prompt: object, **more: object) -> dict[str, Any]:
    """As evaluation's clients ask."""
    asked = {"prompt": prompt, "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0, "seed": 1234}
    answer = client.post("/v1/completions", json=asked | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def parse(answer: dict[str, Any], contexts: Sequence[int]) -> list[tuple[float, bool]]:
    """As lm-evaluation-harness' `local-completions` reads an answer: the sum behind the context."""
    found = []
    for choice, context in zip(answer["choices"], contexts, strict=True):
        log_probs = choice["logprobs"]["token_logprobs"][context:-1]
        top = choice["logprobs"]["top_logprobs"][context:-1]
        greedy = all(each == max(likeliest.values()) for each, likeliest in zip(log_probs, top, strict=True))
        found.append((sum(log_probs), greedy))
    return found


def expected(context: str, continuation: str) -> tuple[float, bool]:
    """By the model itself, as text: what `lamlam evaluate --harness` says."""
    vocabulary = MODEL.vocabulary
    before = [vocabulary.bos_id, *vocabulary.encode(opened(context))]
    ids = before + vocabulary.encode(continuation if context else opened(continuation))
    [table] = token_choices(MODEL.model, [ids], vocabulary.pad_id, without=vocabulary.control_ids)
    return float(table[len(before) :, 0].sum()), bool(table[len(before) :, 1].all())


@pytest.mark.parametrize(("context", "fewer"), zip(CONTEXTS, (-2, 2, 0), strict=True))
@pytest.mark.parametrize("as_ids", [True, False])
def test_an_evaluation_client_scores_choices_as_the_model_does(
    client: TestClient, context: str, fewer: int, as_ids: bool
) -> None:
    """The client counts tokens by the checkpoint's tokenizer, which puts no space before the first word."""
    whole = [TOKENIZER(context + choice).input_ids for choice in CHOICES]
    length = len(TOKENIZER(context).input_ids)
    assert len(MODEL.vocabulary.encode(opened(context))) == length + fewer, "the first word is other tokens"
    answer = score(client, whole if as_ids else [context + choice for choice in CHOICES])
    found = parse(answer, [length] * len(CHOICES))
    for (log_prob, greedy), choice in zip(found, CHOICES, strict=True):
        assert (pytest.approx(log_prob, abs=1e-3), greedy) == expected(context, choice)
    assert len({round(log_prob, 3) for log_prob, _ in found}) == len(CHOICES)


def test_a_text_without_a_context_is_scored_from_its_first_word(client: TestClient) -> None:
    ids = [MODEL.vocabulary.bos_id, *TOKENIZER("Drivimmir Mombumti was born in Rumond.").input_ids]
    [(log_prob, greedy)] = parse(score(client, [ids]), [1])
    assert (pytest.approx(log_prob, abs=1e-3), greedy) == expected("", "Drivimmir Mombumti was born in Rumond.")


def test_a_window_out_of_a_text_is_read_without_another_space(client: TestClient) -> None:
    vocabulary = MODEL.vocabulary
    text = " was born in Rumond"
    read = score(client, vocabulary.encode(text))["choices"][0]["logprobs"]["token_logprobs"][1:-1]
    ids = [vocabulary.bos_id, *vocabulary.encode(text)]
    [table] = token_choices(MODEL.model, [ids], vocabulary.pad_id, without=vocabulary.control_ids)
    assert np.allclose(read, table[2:, 0], atol=1e-3)


@pytest.mark.parametrize("prompt", [CONTEXT, CONTEXT + "  \n", "Ada – „Łódź“ 😀 naïve", "a", "", " ", "\n\nAda"])
@pytest.mark.parametrize("stream", [False, True])
def test_tokens_offsets_and_text_agree(client: TestClient, prompt: str, stream: bool) -> None:
    openai = OpenAI(base_url="http://127.0.0.1/v1", api_key="none", http_client=client, max_retries=0)
    asked: dict[str, Any] = {"model": "lamlam", "prompt": prompt, "echo": True, "logprobs": 5, "max_tokens": 8}
    if stream:
        choices = [choice for chunk in openai.completions.create(**asked, stream=True) for choice in chunk.choices]
        text, found = "".join(choice.text for choice in choices), choices[-1].logprobs
    else:
        [choice] = openai.completions.create(**asked).choices
        text, found = choice.text, choice.logprobs
    assert text.startswith(prompt)
    assert found is not None
    tokens, offsets = found.tokens or [], found.text_offset or []
    if "�" not in "".join(tokens):
        assert "".join(tokens) == text
        assert [text[at : at + len(token)] for at, token in zip(offsets, tokens, strict=True)] == tokens
    log_probs, tops = found.token_logprobs or [], found.top_logprobs or []
    assert len(log_probs) == len(tops) == len(tokens)
    assert (log_probs[0] is None) == (tops[0] is None) == bool(prompt)
    for token, log_prob, top in list(zip(tokens, log_probs, tops, strict=True))[1:]:
        assert log_prob is not None
        assert log_prob <= 0
        assert top[token] == pytest.approx(log_prob)


def test_a_prompt_can_be_scored_without_writing(client: TestClient) -> None:
    answer = score(client, CONTEXT, max_tokens=0)
    [choice] = answer["choices"]
    assert (choice["text"], choice["finish_reason"], choice["lookups"]) == (CONTEXT, "length", [])
    assert choice["logprobs"]["tokens"][-1] == ":"
    assert answer["usage"]["completion_tokens"] == 0


@pytest.mark.parametrize("space", [" ", "\n", "\t\n  "])
@pytest.mark.parametrize("stream", [False, True])
def test_white_space_at_a_prompts_end_is_echoed_as_given(client: TestClient, space: str, stream: bool) -> None:
    asked = {"model": "lamlam", "prompt": "Drivimmir Mombumti was born in" + space, "max_tokens": 6}
    openai = OpenAI(base_url="http://127.0.0.1/v1", api_key="none", http_client=client, max_retries=0)
    plain = openai.completions.create(**asked | {"prompt": "Drivimmir Mombumti was born in"}).choices[0].text  # type: ignore[call-overload]
    answer: Any = openai.completions.create(**asked, echo=True, stream=stream)  # type: ignore[call-overload]
    pieces = [choice for chunk in answer for choice in chunk.choices] if stream else answer.choices
    text = "".join(piece.text for piece in pieces)
    assert text == asked["prompt"] + plain.lstrip()
    [lookup] = pieces[-1].lookups
    assert text[lookup["start"] : lookup["end"]] == lookup["value"]


@pytest.mark.parametrize("ids", [[2], [MODEL.vocabulary.entity_id], [[5, MODEL.vocabulary.eos_id]], [[-1]], [10**6]])
def test_ids_that_are_no_text_are_refused(client: TestClient, ids: list[Any]) -> None:
    ids = [[10, *each] if isinstance(each, list) else each for each in ids]
    answer = client.post("/v1/completions", json={"prompt": ids, "max_tokens": 1})
    assert answer.status_code == 422
    assert answer.json()["error"]["param"].split(".")[0] == "prompt"
