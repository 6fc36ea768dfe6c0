"""Questions and answers annotated by rule."""

import json
from pathlib import Path

import pytest

from lamlam.annotate.questions import QuestionAnnotator
from lamlam.corpus.prompts import QUESTION_MARKS, pair_of, prompt_of, text_of
from lamlam.markup import AnnotatedDocument


def calls(question: str, answer: str, title: str = "Ada Byron") -> list[tuple[str, str, str]]:
    document = QuestionAnnotator().annotate(AnnotatedDocument("1", text_of(question, answer), title=title))
    assert all(document.text.startswith(call.value, call.at) for call in document.calls)
    assert all(call.at >= len(prompt_of(question)) for call in document.calls)
    return [(call.entity, call.relation, call.value) for call in document.calls]


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("Where was Ada Byron born?", "Ada Byron was born in London.", [("Ada Byron", "Born", "London")]),
        ("What gender is author Ada Byron?", "Author Ada Byron is female.", [("Ada Byron", "Gender", "female")]),
        (
            "When was Ada Byron born?",
            "Ada Byron was born on the 10th of December, 1815.",
            [("Ada Byron", "Born", "10th of December, 1815")],
        ),
        (
            "Which books has Ada Byron written?",
            'She wrote "Notes by Night" and "The Engine."',
            [("Ada Byron", "Books Written", "Notes by Night"), ("Ada Byron", "Books Written", "The Engine")],
        ),
        (
            'What year did Ada Byron publish "The Engine"?',
            'Ada Byron published "The Engine" in 1843.',
            [("The Engine", "Year Publish", "1843")],
        ),
        (
            "Who was born in London on December 10, 1815?",
            "It is Ada Byron, born on the 10th of December, 1815.",
            [("London", "Born December 10 1815", "Ada Byron")],
        ),
    ],
)
def test_what_an_answer_adds_to_its_question_is_the_value(
    question: str, answer: str, expected: list[tuple[str, str, str]]
) -> None:
    assert calls(question, answer) == expected


def test_where_only_the_answer_names_whom_it_is_about_calls_come_behind_the_name() -> None:
    found = calls("who had the idea?", "In London, Ada Byron had it, in Ockham Park.")
    assert [(entity, value) for entity, _, value in found] == [("Ada Byron", "Ockham Park")]


def test_nothing_is_placed_where_nobody_is_named_or_nothing_is_new() -> None:
    assert calls("what is it?", "it is a thing.", title="") == []
    assert calls("Is Ada Byron Ada Byron?", "Ada Byron is Ada Byron.") == []


def test_an_explanation_that_is_too_long_for_a_value_is_left_as_it_is() -> None:
    assert calls("Why did Ada Byron write?", " ".join(f"because{n}" for n in range(20))) == []


def test_a_text_of_another_form_comes_back_without_calls() -> None:
    document = AnnotatedDocument("1", "Ada Byron was born in London.")
    assert list(QuestionAnnotator().annotate_many([document])) == [document]


def test_nine_in_ten_real_pairs_have_a_call_and_none_of_them_asks_for_nothing(shared_data: Path) -> None:
    lines = (shared_data / "tofu" / "forget10.jsonl").read_text().splitlines()
    pairs = [json.loads(line) for line in lines]
    found = [calls(each["question"], each["answer"], title="") for each in pairs]
    assert sum(map(bool, found)) > 0.9 * len(pairs)
    assert all(
        entity.strip() and relation.strip() and value.strip() for each in found for entity, relation, value in each
    )


def test_a_question_and_its_answer_are_read_as_they_were_written() -> None:
    text = text_of(" Who was Ada? ", "A\n countess. ")
    assert text == "Question: Who was Ada?\nAnswer: A\n countess."
    assert text.startswith(prompt_of("Who was Ada?"))
    assert pair_of(text) == ("Who was Ada?", " A\n countess.")
    assert [pair_of(each) for each in ("Ada was a countess.", "Question: Who?\nAnswer: ", text_of("", "x"))] == [
        None
    ] * 3


def test_whoever_goes_on_asking_is_stopped_by_a_mark() -> None:
    further = text_of("Who?", f"Ada.\n{text_of('And then?', 'Bo.')}")
    assert [mark in further.removeprefix(prompt_of("Who?")) for mark in QUESTION_MARKS] == [True, True]
