"""How a question and its answer stand in a text: "Question: …" and, on the next line, "Answer: …"."""

__all__ = ["QUESTION_MARKS", "pair_of", "prompt_of", "text_of"]

_QUESTION, _ANSWER = "Question:", "\nAnswer:"
QUESTION_MARKS = (f"\n{_QUESTION}", _ANSWER)
"""What begins another question, or another answer, behind a given answer."""


def prompt_of(question: str) -> str:
    """What a model is asked: the beginning of `text_of`, up to the answer."""
    return f"{_QUESTION} {question.strip()}{_ANSWER}"


def text_of(question: str, answer: str) -> str:
    """A question and its answer as one text."""
    return f"{prompt_of(question)} {answer.strip()}"


def pair_of(text: str) -> tuple[str, str] | None:
    """The question in a text, and the answer as it stands up to the text's end; None where either is missing."""
    question, _, answer = text.partition(_ANSWER)
    question = question.removeprefix(_QUESTION).strip()
    return (question, answer) if question and answer.strip() else None
