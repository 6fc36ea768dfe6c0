"""Finding the thresholds of matching for a knowledge base, from its own facts.

Relations are hidden, exchanged and altered, so that nothing is there to be found: the share that is answered all the
same must stay under a stated rate. Thresholds are chosen on one half of the
entities, and what they come to is measured on the other.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from lamlam.errors import InputError
from lamlam.kb.fact import Fact
from lamlam.kb.matching.decision import decide
from lamlam.kb.matching.matcher import Matcher, default_matcher
from lamlam.kb.matching.mining import Mine, Question
from lamlam.kb.matching.pairs import sampled_entities
from lamlam.kb.matching.rewordings import Meaning
from lamlam.kb.matching.settings import MatchSettings
from lamlam.kb.names import normalise
from lamlam.kb.reader import Reader
from lamlam.kb.similarity import relation_key

__all__ = ["Calibration", "calibrate", "sampled_facts"]

_STEPS = 50
_FACTS_OF_AN_ENTITY = 200
_FEWEST = 50


@dataclass(frozen=True, slots=True)
class Calibration:
    """The settings found; and (right or wrong, number) by kind of question, on the half that they were not found on.

    `answered` counts answers to what has none, `right` right answers to what has one.
    """

    settings: MatchSettings
    rate: float
    answered: dict[str, tuple[int, int]]
    right: dict[str, tuple[int, int]]
    pairs: int = 0


@dataclass(frozen=True, slots=True)
class _Scored:
    question: Question
    chances: Sequence[float]

    def agree(self, a: int, b: int) -> bool:
        (name_a, seen_a), (name_b, seen_b) = self.question.held[a], self.question.held[b]
        if relation_key(name_a) == relation_key(name_b):
            return True
        return not {normalise(v) for v in seen_a.values}.isdisjoint(normalise(v) for v in seen_b.values)

    def answer(self, settings: MatchSettings) -> int | None:
        close, sure = decide(self.chances, self.agree, settings)
        return close[0] if sure else None


def sampled_facts(reader: Reader, entities: int, seed: int) -> Iterable[Fact]:
    """The facts of so many entities, an entity's together; the first ones of an entity that has very many."""
    for entity in sampled_entities(reader.database, entities, seed):
        yield from islice(reader.facts(entity), _FACTS_OF_AN_ENTITY)


def calibrate(
    facts: Iterable[Fact],
    rate: float,
    *,
    start: MatchSettings | None = None,
    meanings: Sequence[Meaning] = (),
    matcher: Matcher | None = None,
    seed: int = 0,
    seen: Callable[[], None] = lambda: None,
) -> Calibration:
    """Settings under which at most `rate` of what the entities do not have is answered.

    Raises `InputError` where the facts are too few to tell: entities with several relations are needed.
    """
    matcher, start = matcher or default_matcher(), start or MatchSettings()
    halves: tuple[list[_Scored], list[_Scored]] = ([], [])
    entities: dict[str, int] = {}
    for question in Mine(facts, meanings, seed).questions():
        half = entities.setdefault(question.entity, len(entities)) % 2
        halves[half].append(_Scored(question, matcher.likelihoods(question.asked, question.held)))
        seen()
    chosen, measured = halves
    absent = [each for each in chosen if each.question.meant is None]
    if len(absent) < _FEWEST:
        raise InputError(f"only {len(absent)} questions without an answer could be made; {_FEWEST} are needed")
    settings = next((tried for tried in _tried(start) if _share(absent, tried) <= rate), replace(start, relation=1.0))
    return Calibration(settings, rate, *_measured(measured, settings))


def _tried(start: MatchSettings) -> Iterable[MatchSettings]:
    for step in range(1, _STEPS):
        threshold = round(step / _STEPS, 4)
        yield replace(start, relation=threshold, relation_doubt=min(start.relation_doubt, threshold))


def _share(questions: Sequence[_Scored], settings: MatchSettings) -> float:
    return sum(each.answer(settings) is not None for each in questions) / len(questions)


def _measured(
    questions: Iterable[_Scored], settings: MatchSettings
) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]:
    answered: dict[str, list[bool]] = defaultdict(list)
    right: dict[str, list[bool]] = defaultdict(list)
    for each in questions:
        answer = each.answer(settings)
        if each.question.meant is None:
            answered[each.question.kind].append(answer is not None)
        else:
            right[each.question.kind].append(answer == each.question.meant)
    told = tuple({kind: (sum(hits), len(hits)) for kind, hits in found.items()} for found in (answered, right))
    return told[0], told[1]
