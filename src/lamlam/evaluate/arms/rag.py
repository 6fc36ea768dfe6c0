"""Retrieval in the prompt, the rival of lookups: facts stand before the text, and examples of how to use them.

A model that was trained on such texts (`pretrain.shown`) needs no examples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lamlam.corpus.prompts import with_facts
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.arms.prompts import Prompt
from lamlam.evaluate.arms.retrieval import Retriever, has_wanted
from lamlam.evaluate.arms.rows import Row, in_batches, row_of
from lamlam.evaluate.completion import Generator

__all__ = ["Rag", "worked_examples"]

_EXAMPLES = 2
_SENTENCE_ENDS = (". ", ".\n")


def worked_examples(retriever: Retriever, prompts: Sequence[Prompt], *, most: int = 10) -> dict[str, str]:
    """For each group of prompts two with facts and what they go on with, to stand before what is asked.

    Those are taken for which the wanted fact is retrieved, where any is.
    """
    shown: dict[str, str] = {}
    for group in {prompt.group for prompt in prompts}:
        own = [prompt for prompt in prompts if prompt.group == group]
        found = list(zip(own, retriever.retrieve(own, most), strict=True))
        wanted = [(prompt, facts) for prompt, facts in found if has_wanted(facts, prompt)] or found
        texts = [with_facts(facts, f"{prompt.text} {_told(prompt)}\n\n") for prompt, facts in wanted[:_EXAMPLES]]
        shown[group] = "".join(texts)
    return shown


class Rag:
    """Retrieves `most` facts for a prompt and shows them to the model, behind the worked examples of its group.

    A group without examples of its own has those of "text", where there are any.
    """

    def __init__(self, retriever: Retriever, examples: Mapping[str, str] | None = None, *, most: int = 10) -> None:
        self._retriever, self._most = retriever, most
        self._examples = examples or {}

    def answer(self, engine: Generator, prompts: Sequence[Prompt], settings: DecodingSettings) -> list[Row]:
        """A row for each prompt; it says whether the wanted fact was retrieved."""
        retrieved = self._retriever.retrieve(prompts, self._most)
        texts = [
            self._examples.get(prompt.group, self._examples.get("text", "")) + with_facts(facts, prompt.text)
            for prompt, facts in zip(prompts, retrieved, strict=True)
        ]
        generations = in_batches(engine, texts, settings)
        return [
            row_of(prompt, replace(generation, lookups=()), retrieved=has_wanted(facts, prompt))
            for prompt, generation, facts in zip(prompts, generations, retrieved, strict=True)
        ]


def _told(prompt: Prompt) -> str:
    """What an example says: the value for a question, the rest of the sentence for a text."""
    if prompt.group == "question":
        return prompt.answers[0]
    end = min((at for mark in _SENTENCE_ENDS if (at := prompt.rest.find(mark)) >= 0), default=len(prompt.rest))
    return prompt.rest[:end].rstrip(".") + "."
