"""Retrieval in the prompt, the rival of lookups: facts stand before the text, and examples of how to use them.

A model that was trained on such texts (`tuning`) needs no examples.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lamlam.corpus import FactRecord
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.arms.prompts import Prompt
from lamlam.evaluate.arms.retrieval import Retriever, fact_line, has_wanted
from lamlam.evaluate.arms.rows import Row, in_batches, row_of
from lamlam.evaluate.completion import Generator

__all__ = ["Rag", "with_facts"]

_EXAMPLES = 2
_SENTENCE_ENDS = (". ", ".\n")


def with_facts(facts: Iterable[FactRecord], text: str) -> str:
    """A text behind facts about it, a line each; without any, the text."""
    lines = [fact_line(fact) for fact in facts]
    return "\n".join(["Facts:", *lines, "", text]) if lines else text


class Rag:
    """Retrieves `most` facts for a prompt and shows them to the model, behind worked examples of the prompt's group.

    `examples` are prompts of other entities; those are taken for which the wanted fact is retrieved, where any is.
    """

    def __init__(self, retriever: Retriever, examples: Sequence[Prompt] = (), *, most: int = 10) -> None:
        self._retriever, self._most = retriever, most
        self._examples = list(examples)

    def answer(self, engine: Generator, prompts: Sequence[Prompt], settings: DecodingSettings) -> list[Row]:
        """A row for each prompt; it says whether the wanted fact was retrieved."""
        return self.answer_from(engine, prompts, self._retriever.retrieve(prompts, self._most), settings)

    def answer_from(
        self,
        engine: Generator,
        prompts: Sequence[Prompt],
        retrieved: Sequence[Sequence[FactRecord]],
        settings: DecodingSettings,
    ) -> list[Row]:
        """The same with the facts given for each prompt."""
        heads = {group: self._worked(group) for group in {prompt.group for prompt in prompts}}
        texts = [
            heads[prompt.group] + with_facts(facts, prompt.text)
            for prompt, facts in zip(prompts, retrieved, strict=True)
        ]
        generations = in_batches(engine, texts, settings)
        return [
            row_of(prompt, replace(generation, lookups=()), retrieved=has_wanted(facts, prompt))
            for prompt, generation, facts in zip(prompts, generations, retrieved, strict=True)
        ]

    def _worked(self, group: str) -> str:
        """Examples with facts, texts and what they go on with, and a blank line behind each."""
        own = [prompt for prompt in self._examples if prompt.group == group] or self._examples
        found = list(zip(own, self._retriever.retrieve(own, self._most), strict=True)) if own else []
        wanted = [(prompt, facts) for prompt, facts in found if has_wanted(facts, prompt)] or found
        shown = [with_facts(facts, f"{prompt.text} {_told(prompt)}\n\n") for prompt, facts in wanted[:_EXAMPLES]]
        return "".join(shown)


def _told(prompt: Prompt) -> str:
    """What an example says: the value for a question, the rest of the sentence for a text."""
    if prompt.group == "question":
        return prompt.answers[0]
    end = min((at for mark in _SENTENCE_ENDS if (at := prompt.rest.find(mark)) >= 0), default=len(prompt.rest))
    return prompt.rest[:end].rstrip(".") + "."
