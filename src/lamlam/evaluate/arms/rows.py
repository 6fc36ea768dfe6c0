"""What came of each prompt in each arm, one row each: every figure is a count of rows.

An engine answers with lookups of its own, with a call forced at the prompt's end, or with lookups forbidden (`WAYS`).
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lamlam.engine.generation import Generation
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.answers import gives
from lamlam.evaluate.arms.prompts import Prompt
from lamlam.evaluate.completion import Generator
from lamlam.evaluate.outcome import Asked, Outcome, outcome, shares
from lamlam.evaluate.results import Proportion
from lamlam.kb.names import normalise

__all__ = ["WAYS", "Row", "answer", "answer_in_ways", "figures", "in_batches", "row_of"]

WAYS: Mapping[str, Mapping[str, bool]] = {
    "own": {"lookups": True, "force_call": False},
    "forced": {"lookups": True, "force_call": True},
    "off": {"lookups": False, "force_call": False},
}
_BATCH = 64
_TRUE = (Outcome.RIGHT, Outcome.OTHER)


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt's outcome in an arm, what was said, and at what cost.

    `tokens` were read or written in all: the prompt's with whatever was retrieved into it, the text's, those of calls
    and of values. `strict` is whether the text starts with an answer letter for letter (`answers`), `called` whether a
    call was made, `asked` whether the first thing at the prompt's end was one. Of the first call, `entity_right` and
    `relation_right` are whether its query named the prompt's, `found` whether facts came back, and `returned` whether
    the wanted value was among them: for an arm without calls, among what was retrieved into the prompt. `copied` is
    whether the value that the text states behind that call is one of those found, by meaning; None if it states none.
    """

    id: str
    group: str
    outcome: Outcome
    said: str
    tokens: int
    strict: bool
    called: bool = False
    asked: bool = False
    entity_right: bool = False
    relation_right: bool = False
    found: bool = False
    returned: bool = False
    copied: bool | None = None
    query: tuple[str, str] | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def answer(engine: Generator, prompts: Sequence[Prompt], settings: DecodingSettings) -> list[Row]:
    """A row for each prompt, in their order."""
    generations = in_batches(engine, [prompt.text for prompt in prompts], settings)
    return [row_of(prompt, generation) for prompt, generation in zip(prompts, generations, strict=True)]


def answer_in_ways(
    engine: Generator, prompts: Sequence[Prompt], settings: DecodingSettings, ways: Iterable[str] = WAYS
) -> dict[str, tuple[list[Row], float]]:
    """The rows and seconds of each way. What greedy decoding would write again is taken from the first way.

    An answer that begins with a call is the same with that call forced; one without a call, the same without lookups.
    """
    answers: dict[str, tuple[list[Row], float]] = {}
    for way in ways:
        known = {row.id: row for row in answers["own"][0]} if "own" in answers and settings.temperature == 0 else {}
        same = {id for id, row in known.items() if (row.asked if way == "forced" else not row.called)}
        left = [prompt for prompt in prompts if prompt.id not in same]
        started = time.monotonic()
        new = answer(engine, left, settings.model_copy(update=WAYS[way]))
        seconds = time.monotonic() - started
        if known:  # as if all had been asked
            seconds = seconds * len(prompts) / len(left) if left else answers["own"][1]
        rows = {row.id: row for row in new} | {id: known[id] for id in same}
        answers[way] = [rows[prompt.id] for prompt in prompts], seconds
    return answers


def in_batches(engine: Generator, texts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
    """The continuations of texts, read in batches of like length, in the order of the texts."""
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    found: dict[int, Generation] = {}
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        found |= zip(batch, engine.generate([texts[place] for place in batch], settings), strict=True)
    return [found[place] for place in range(len(texts))]


def row_of(prompt: Prompt, generation: Generation, *, retrieved: bool = False) -> Row:
    """The row of a prompt and what was generated for it, with `retrieved` facts in the prompt or calls of its own."""
    plain = Row(
        id=prompt.id,
        group=prompt.group,
        outcome=outcome(generation.text, prompt.asked),
        said=generation.text,
        tokens=len(generation.ids),
        strict=gives(generation.text, prompt.answers),
        returned=retrieved,
    )
    if not generation.lookups:
        return plain
    first = generation.lookups[0]
    values = {normalise(value) for value in first.resolution.values}
    return replace(
        plain,
        called=True,
        asked=not generation.text[: first.start].strip(),
        entity_right=normalise(first.entity) == normalise(prompt.entity)
        or any(normalise(fact.entity) == normalise(prompt.entity) for fact in first.resolution.facts),
        relation_right=normalise(first.relation) == normalise(prompt.relation),
        found=first.resolution.found,
        returned=any(normalise(answer) in values for answer in prompt.answers),
        copied=_copied(generation.text[first.start :], first.resolution.values),
        query=(first.entity, first.relation),
    )


def _copied(text: str, values: tuple[str, ...]) -> bool | None:
    judged = outcome(text, Asked(values)) if values else Outcome.NONE
    return None if judged is Outcome.NONE else judged is Outcome.RIGHT


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Of each group: the four outcomes, the shares of calls, tokens for each answer."""
    groups = {row.group: [other for other in rows if other.group == row.group] for row in rows}
    return {group: _of_group(own) for group, own in groups.items()}


def _of_group(rows: Sequence[Row]) -> dict[str, Any]:
    flags: Mapping[str, Callable[[Row], bool]] = {
        "called": lambda row: row.called,
        "asked": lambda row: row.asked,
        "entity_right": lambda row: row.entity_right,
        "relation_right": lambda row: row.relation_right,
        "found": lambda row: row.found,
        "returned": lambda row: row.returned,
    }
    told = {name: Proportion.of([flag(row) for row in rows]) for name, flag in flags.items()}
    right_if_returned = [row.outcome is Outcome.RIGHT for row in rows if row.returned]
    return {
        "n": len(rows),
        **{name: share.as_json("share") for name, share in shares(row.outcome for row in rows).items()},
        "strict": Proportion.of([row.strict for row in rows]).as_json("share"),
        "right_or_other": Proportion.of([row.outcome in _TRUE for row in rows]).as_json("share"),
        "calls": {name: share.as_json("share") for name, share in told.items()},
        "right_if_returned": Proportion.of(right_if_returned).as_json("share"),
        "copied_if_stated": Proportion.of([row.copied for row in rows if row.copied is not None]).as_json("share"),
        "tokens": round(sum(row.tokens for row in rows) / len(rows), 1) if rows else None,
    }
