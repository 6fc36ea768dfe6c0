"""How facts are shown to a model in its prompt: a line each, before the text."""

from collections.abc import Iterable

from lamlam.corpus.corpus import FactRecord

__all__ = ["fact_line", "shown", "with_facts"]


def fact_line(fact: FactRecord) -> str:
    """A fact as a prompt tells it, and as it is searched for."""
    return f"{fact.entity}, {fact.relation}: {fact.value}"


def shown(facts: Iterable[FactRecord]) -> str:
    """The facts as they stand before a text, which follows after a space; nothing for none."""
    lines = [fact_line(fact) for fact in facts]
    return "\n".join(["Facts:", *lines, "", "Text:"]) if lines else ""


def with_facts(facts: Iterable[FactRecord], text: str) -> str:
    """A text behind facts; without any, the text."""
    return f"{shown(facts)} {text}".lstrip()
