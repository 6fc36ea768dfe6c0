"""Questions in the world's wordings: a prompt that stops before a value, and what is right there.

The narrator tells whole texts; here any entity is asked about any relation, in each wording, by its full name.
"""

from collections.abc import Sequence

from lamlam.corpus import Probe
from lamlam.world.wordings import WORDINGS

__all__ = ["answers_of", "possessive", "prompts", "question"]


def prompts(entity: str, relation: str) -> list[str]:
    """A prompt for each wording of a relation, the demo's first; none for a relation that the world does not have."""
    slots = {"subject": entity, "possessive": possessive(entity)}
    return [wording.partition("{value}")[0].format(**slots).rstrip(" ") for wording in WORDINGS.get(relation, ())]


def question(entity: str, relation: str, values: Sequence[str], wording: int = 0, *, group: str = "") -> Probe:
    """The probe of a fact in one of its wordings, whose number is taken round the clock. Raises `KeyError`.

    `values` are all that the entity has in this relation.
    """
    worded = prompts(entity, relation)
    if not worded:
        raise KeyError(relation)
    number = wording % len(worded)
    name = f"{entity}|{relation}|{number}"
    return Probe(name, worded[number], entity, relation, answers_of(values), group)


def answers_of(values: Sequence[str]) -> tuple[str, ...]:
    """What is right where a relation has these values: all of them as a lookup gives them, or any."""
    return tuple(values) if len(values) == 1 else (", ".join(values), *values)


def possessive(name: str) -> str:
    return name + ("'" if name.endswith("s") else "'s")
