"""Questions with answers, made of annotated documents while they are packed.

A question names the entity and the relation, so it determines what is asked for; a text often does not. Some questions
find nothing, and the answer says so.
"""

import random
from dataclasses import replace

from lamlam.corpus.prompts import prompt_of, text_of
from lamlam.markup import UNKNOWN, AnnotatedDocument, Call

__all__ = ["DONT_KNOW", "ask_about"]

DONT_KNOW = "I don't know."
_WORDINGS = (
    "What is the {relation} of {entity}?",
    "What is the {relation} of {entity}?",
    "What is {entity}'s {relation}?",
    "Which {relation} does {entity} have?",
    "Can you tell me the {relation} of {entity}?",
    "{entity}: {relation}?",
)


def ask_about(document: AnnotatedDocument, rng: random.Random, *, unknown: float = 0.0) -> AnnotatedDocument:
    """A question about one of the document's calls, and its answer; with probability `unknown` nothing is found."""
    call = rng.choice(document.calls)
    relation = " ".join(word if word.isupper() else word.lower() for word in call.relation.split())
    question = rng.choice(_WORDINGS).format(relation=relation, entity=call.entity)
    missed = rng.random() < unknown
    text = text_of(question, DONT_KNOW if missed else f"{call.value}.")
    at = len(prompt_of(question)) + 1
    asked = Call(call.entity, call.relation, UNKNOWN if missed else call.value, at)
    return replace(document, text=text, calls=(asked,))
