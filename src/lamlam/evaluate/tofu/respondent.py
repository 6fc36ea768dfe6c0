"""How a model is asked TOFU's questions: what it answers, and how likely it finds a given answer.

An LMLM answers with lookups. A given answer it reads with calls of its own (`evaluate.reading`): the words are forced,
the calls are the model's, and what they return comes from the knowledge base in question. So an answer is as likely as
it is with what the model knows and can look up, just as when it answers by itself, and a fact that was forgotten in the
knowledge base is out of reach for both. Calls add nothing to the probability.
"""

from collections.abc import Sequence
from typing import Protocol

from lamlam.corpus.questions import QUESTION_MARKS, prompt_of
from lamlam.engine.engine import Engine
from lamlam.engine.generation import Generation
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.reading import Reader

__all__ = ["ModelRespondent", "Respondent"]


class Respondent(Protocol):
    """Whatever answers questions; tests have some that know everything or nothing."""

    def answer(self, questions: Sequence[str]) -> list[Generation]:
        """What it answers to each, greedily."""
        ...

    def likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The mean log p, in nats, of each answer's tokens, EOS included, given its question."""
        ...


class ModelRespondent:
    """The engine's model; `settings` say how it looks facts up, or that it does not, and how long answers may be."""

    def __init__(self, engine: Engine, settings: DecodingSettings) -> None:
        self._engine, self._reader = engine, Reader(engine)
        self._settings = settings.model_copy(
            update={"stop": QUESTION_MARKS, "temperature": 0.0, "top_k": None, "top_p": None}
        )

    def answer(self, questions: Sequence[str]) -> list[Generation]:
        return self._engine.generate([prompt_of(question) for question in questions], self._settings)

    def likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """As the protocol says; of an answer that is too long for the context, of the tokens that fit."""
        vocabulary = self._engine.vocabulary
        texts = [
            (prompt_of(question), [*vocabulary.encode(" " + answer.strip()), vocabulary.eos_id])
            for question, answer in pairs
        ]
        readings = self._reader.read(texts, self._settings)
        return [sum(reading.log_probs) / len(reading.log_probs) for reading in readings]
