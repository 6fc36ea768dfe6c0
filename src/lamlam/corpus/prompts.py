"""How prompts are written: questions with their answers, chats, and facts shown before a text."""

from collections.abc import Iterable

from lamlam.corpus.corpus import FactRecord

__all__ = ["QUESTION_MARKS", "conversation", "fact_line", "pair_of", "prompt_of", "shown", "text_of", "with_facts"]

_QUESTION, _ANSWER = "Question:", "\nAnswer:"
QUESTION_MARKS = (f"\n{_QUESTION}", _ANSWER)
"""How another question, or another answer, begins after an answer."""


def prompt_of(question: str) -> str:
    """Return the prompt of a question: `text_of`, up to the answer."""
    return f"{_QUESTION} {question.strip()}{_ANSWER}"


def text_of(question: str, answer: str) -> str:
    """Return a question and its answer as one text."""
    return f"{prompt_of(question)} {answer.strip()}"


def pair_of(text: str) -> tuple[str, str] | None:
    """Return the question in a text, and the answer up to the text's end; None if either is missing."""
    question, _, answer = text.partition(_ANSWER)
    question = question.removeprefix(_QUESTION).strip()
    return (question, answer) if question and answer.strip() else None


def conversation(messages: Iterable[tuple[str, str]]) -> str:
    """Return the prompt of a chat of (role, text): questions and answers, up to the answer to the last question.

    Instructions (`system`) come first. Consecutive messages of one role are joined; an assistant's messages before any
    question are left out. Raises `ValueError` if the last question has an answer.
    """
    instructions: list[str] = []
    turns: list[tuple[list[str], list[str]]] = []  # questions and answers
    for role, text in messages:
        if role == "system":
            instructions.append(text.strip())
        elif role == "user" and (not turns or turns[-1][1]):
            turns.append(([text], []))
        elif turns:
            turns[-1][role == "assistant"].append(text)
    if not turns or turns[-1][1]:
        raise ValueError("the last message must be the user's")
    answered = [text_of("\n".join(question), "\n".join(answer)) for question, answer in turns[:-1]]
    return "\n".join([*instructions, *answered, prompt_of("\n".join(turns[-1][0]))])


def fact_line(fact: FactRecord) -> str:
    """Return a fact as a prompt states it, and as it is searched for."""
    return f"{fact.entity}, {fact.relation}: {fact.value}"


def shown(facts: Iterable[FactRecord]) -> str:
    """Return the facts as they precede a text, which follows after a space; "" for none."""
    lines = [fact_line(fact) for fact in facts]
    return "\n".join(["Facts:", *lines, "", "Text:"]) if lines else ""


def with_facts(facts: Iterable[FactRecord], text: str) -> str:
    """Return a text after facts; without any, the text."""
    return f"{shown(facts)} {text}".lstrip()
