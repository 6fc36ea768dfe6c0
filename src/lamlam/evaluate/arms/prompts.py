"""Prompts that determine a fact: real texts cut right before a stated value, and questions about the same facts.

A text is cut where it first states a value of its entity, word for word, if

- the entity is named before, and no value of the fact is;
- what the text says there is the fact by the judge's own rules (`outcome`): "American Idol" does not state "American";
- the words before determine that this fact comes next: after the same last words (three, else two, else one, of which
  there must be `_LEAST` occurrences), the texts of other entities that state a fact in the same relation state it there
  at least `DETERMINED` of the time.

One prompt in `CALIBRATION`, by a hash of its entity, is kept apart for choosing settings; the others are reported.
"""

import hashlib
import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from lamlam.annotate.public_corpora import bare_name
from lamlam.corpus import FactRecord
from lamlam.corpus.lines import Entry
from lamlam.corpus.prompts import prompt_of
from lamlam.evaluate.outcome import Asked, Outcome, outcome
from lamlam.text import readable

__all__ = [
    "CALIBRATION",
    "DETERMINED",
    "Passage",
    "Prompt",
    "cut_passages",
    "part_of",
    "plain_positions",
    "questions",
    "sample",
]

CALIBRATION = 5
DETERMINED = 0.4
_LEAST = 5
_CUE = 3  # words before a value
_LONGEST = 1500  # characters of a prompt
_WORD = re.compile(r"\w+|[^\w\s]")

Part = Literal["reported", "calibration"]


@dataclass(frozen=True, slots=True)
class Passage:
    """A text about one entity and the facts about it, of which the text states some word for word.

    `names` are the entity's other names.
    """

    entity: str
    names: tuple[str, ...]
    text: str
    facts: tuple[FactRecord, ...]
    stated: frozenset[FactRecord]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text to continue, the fact that comes next, and what else is true of its entity (see `outcome.Asked`).

    `group` is "text", "question" or another set's name; `part` tells whether it is for choosing settings or reported.
    """

    id: str
    text: str
    entity: str
    relation: str
    answers: tuple[str, ...]
    others: tuple[str, ...]
    rest: str
    group: str
    part: Part = "reported"

    @property
    def asked(self) -> Asked:
        names = (self.entity, self.relation) if self.group == "question" else ()
        return Asked(self.answers, self.others, self.rest, names)

    @classmethod
    def of(cls, entry: Entry) -> "Prompt":
        """The prompt that an object of a JSON Lines file is. Raises `InputError`."""
        plain = {name: entry.text(name, empty=name == "rest") for name in _TEXTS}
        part: Part = "calibration" if entry.text("part") == "calibration" else "reported"
        return cls(**plain, answers=entry.texts("answers"), others=entry.texts("others"), part=part)

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


_TEXTS = ("id", "text", "entity", "relation", "rest", "group")


def cut_passages(passages: Iterable[Passage], others: Sequence[Passage]) -> Iterator[Prompt]:
    """The prompts of the group "text"; from `others` it is learnt which words determine what comes next."""
    candidates = [prompt for passage in passages for prompt in _candidates(passage)]
    cues = _Cues(candidates, others)
    return (prompt for prompt in candidates if cues.share(prompt) >= DETERMINED)


def questions(prompts: Iterable[Prompt], names: Mapping[str, Collection[str]]) -> Iterator[Prompt]:
    """The same facts asked for: "What is the director of Jaws?"; anything that the entity's text says is true of it.

    `names` are each entity's other names: one without brackets is used where it is among them.
    """
    for prompt in prompts:
        name = bare if (bare := bare_name(prompt.entity)) in names.get(prompt.entity, ()) else prompt.entity
        text = prompt_of(f"What is the {readable(prompt.relation)} of {name}?")
        whole = f"{prompt.text} {prompt.rest}"
        yield replace(prompt, id=f"q-{prompt.id}", text=text, rest=whole, group="question")


def sample(prompts: Sequence[Prompt], most: int, seed: int) -> list[Prompt]:
    """At most so many of each group, drawn by the seed, in their order; the same entities in each group of one size."""
    groups: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        groups[prompt.group].append(prompt)
    chosen = {
        prompt.id for each in groups.values() for prompt in random.Random(seed).sample(each, min(most, len(each)))
    }
    return [prompt for prompt in prompts if prompt.id in chosen]


def plain_positions(passages: Iterable[Passage], number: int, seed: int) -> list[tuple[str, str]]:
    """Entities, and beginnings of their texts that stop where no fact comes next: before a word in lower case that
    is no article.

    No value of the entity stands there, no name and no number. The entity is named before. One a passage.
    """
    rng = random.Random(seed)
    found = []
    for passage in passages:
        values = {fact.value.casefold() for fact in passage.facts}
        start = _named_at(passage)
        spots = [
            match.start()
            for match in re.finditer(r"(?<=[a-z,] )(?!(?:the|an?) )[a-z]+\b", passage.text[:_LONGEST])
            if start is not None
            and match.start() > start
            and not any(passage.text[match.start() :].casefold().startswith(value) for value in values)
        ]
        if spots:
            found.append((passage.entity, passage.text[: rng.choice(spots)].rstrip()))
    return rng.sample(found, min(number, len(found)))


def part_of(entity: str) -> Part:
    """Which part the prompts of an entity belong to, by a hash of its name."""
    number = int(hashlib.sha256(entity.encode()).hexdigest(), 16)
    return "reported" if number % CALIBRATION else "calibration"


def _candidates(passage: Passage) -> Iterator[Prompt]:
    """The passage cut before each value that it states, as the first two rules have it."""
    values: dict[str, list[str]] = defaultdict(list)
    for fact in passage.facts:
        values[fact.relation].append(fact.value)
    named = _named_at(passage)
    seen: set[int] = set()
    for fact in sorted(passage.stated, key=lambda fact: (fact.relation, fact.value)):
        at = _first_at(passage.text, fact.value)
        if named is None or at is None or not named <= at <= _LONGEST or at in seen:
            continue
        answers = tuple(dict.fromkeys([fact.value, *values[fact.relation]]))
        told = f"{passage.text[:at]} {passage.entity}".casefold()
        if any(answer.casefold() in told for answer in answers):
            continue
        others = tuple(dict.fromkeys(each.value for each in passage.facts if each.relation != fact.relation))
        prompt = Prompt(
            id=f"{passage.entity}-{fact.relation}",
            text=passage.text[:at].rstrip(),
            entity=passage.entity,
            relation=fact.relation,
            answers=answers,
            others=others,
            rest=passage.text[at:],
            group="text",
            part=part_of(passage.entity),
        )
        if outcome(prompt.rest, prompt.asked) is Outcome.RIGHT:
            seen.add(at)
            yield prompt


def _named_at(passage: Passage) -> int | None:
    """Where the text has named its entity for the first time, by one of its names."""
    ends = [
        at + len(name) for name in (passage.entity, *passage.names) if (at := _first_at(passage.text, name)) is not None
    ]
    return min(ends, default=None)


def _first_at(text: str, value: str) -> int | None:
    """Where a text first has a value as whole words behind a space, if that is where it first has it at all."""
    match = re.search(rf"(?<![\w]){re.escape(value)}(?![\w])", text)
    return match.start() if match and (match.start() == 0 or text[match.start() - 1] == " ") else None


class _Cues:
    """Counts, for the last words before each candidate's value, how often they come before a value of its relation."""

    def __init__(self, candidates: Iterable[Prompt], passages: Iterable[Passage]) -> None:
        wanted = {(prompt.relation, cue) for prompt in candidates for cue in _cues(_words(prompt.text))}
        self._met: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._stated: Counter[tuple[str, tuple[str, ...]]] = Counter()
        relations = {relation for relation, _ in wanted}
        for passage in passages:
            for relation, at in _statements(passage, relations).items():
                words = _words(passage.text[:at])
                self._stated.update((relation, cue) for cue in _cues(words) if (relation, cue) in wanted)
                for end in range(1, len(words) + 1):
                    self._met.update((relation, cue) for cue in _cues(words[:end][-_CUE:]) if (relation, cue) in wanted)

    def share(self, prompt: Prompt) -> float:
        for cue in _cues(_words(prompt.text)):
            if (met := self._met[prompt.relation, cue]) >= _LEAST:
                return self._stated[prompt.relation, cue] / met
        return 0.0


def _statements(passage: Passage, relations: set[str]) -> Mapping[str, int]:
    """Where the passage first states a value of each of these relations."""
    found: dict[str, int] = {}
    for fact in passage.stated:
        at = _first_at(passage.text, fact.value) if fact.relation in relations else None
        if at is not None:
            found[fact.relation] = min(at, found.get(fact.relation, at))
    return found


def _words(text: str) -> list[str]:
    return ["#" if word.isdigit() else word.casefold() for word in _WORD.findall(text)]


def _cues(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The last words of a text, the longest cue first."""
    return (tuple(words[-length:]) for length in range(min(_CUE, len(words)), 0, -1))
