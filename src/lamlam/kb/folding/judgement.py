"""Whether two names of relations are one for all entities alike, and on which ground.

A lookup may be generous: it chooses among the few relations of one entity. Here a wrong yes answers wrongly wherever
the names meet, so that likeness alone is never enough. Which pairs are compared is left to `blocks`, what becomes of
the verdicts to `decisions` and to people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from lamlam.kb.folding.inventory import Meeting, Relation
from lamlam.kb.matching.features import Evidence
from lamlam.kb.matching.matcher import Matcher, default_matcher
from lamlam.kb.matching.phrase import Phrase, concept, kind_of_value, parse
from lamlam.kb.matching.thesaurus import ANSWERS
from lamlam.kb.matching.words import nearness
from lamlam.kb.similarity import relation_key, relation_similarity, stem

__all__ = ["Decision", "Ground", "Judge", "Judgement", "in_order", "meaning_key"]

_VALUES_READ = 4
_SAME_WORDS = 0.85  # reached by relations of the same words only
_LIKELY = 0.9
_WORTH_A_LOOK = 0.75
_SYNONYM = 0.75
_FEW_WORDS = 2
_PLACE = frozenset(("place", "location", "site"))
_SEEN_OFTEN = 3
_SEEN = 2
_TELLING_KINDS = frozenset(("name", "date"))
_SAID_BY_MEANING = (frozenset(("date",)), frozenset(("place",)))
_AGENT = ("er", "or", "ers", "ors")


class Decision(StrEnum):
    ACCEPT = "accept"
    REJECT = "reject"
    PENDING = "pending"


class Ground(StrEnum):
    """What a judgement rests on."""

    WORDS = "the same words"
    FORMS = "the same words in other forms"
    AGENT = "who did it"
    MEANING = "words of one meaning, for a date or a place"
    VALUES = "the same values in several entities"
    ENCODER = "words of one meaning, near for a sentence encoder"
    ALIKE = "alike"
    KINDS = "values of other kinds"
    APART = "other values in the same entities"
    CHAIN = "only by way of a third name"


@dataclass(frozen=True, slots=True)
class Judgement:
    """`likelihood` is the classifier's (`kb.matching.matcher`), the less of both directions."""

    decision: Decision
    ground: Ground
    likelihood: float


class Judge:
    """Judges pairs of names; `matcher` is the classifier that lookups use."""

    def __init__(self, matcher: Matcher | None = None) -> None:
        self._matcher = matcher or default_matcher()

    def judge(self, a: Relation, b: Relation, meeting: Meeting) -> Judgement | None:
        """None where nothing speaks for a pair, or a veto stands against it."""
        likelihood = self._likelihood(a, b)
        ground = _ground(a, b, likelihood, meeting)
        if ground is None or not likelihood:
            return None
        against = Ground.APART if meeting.apart > meeting.shared else None
        against = against or (Ground.KINDS if _kinds_differ(a.values, b.values) else None)
        if against is None:
            decision = Decision.PENDING if ground is Ground.ALIKE else Decision.ACCEPT
            return Judgement(decision, ground, likelihood)
        return None if ground is Ground.ALIKE else Judgement(_doubted(ground), against, likelihood)

    def _likelihood(self, a: Relation, b: Relation) -> float:
        return min(
            self._matcher.likelihoods(asked.name, [(held.name, Evidence(held.values[:_VALUES_READ], asked.values))])[0]
            for asked, held in ((a, b), (b, a))
        )


def meaning_key(relation: str) -> tuple[str, ...]:
    """Equal for names that may be one by their words: all that they say, in concepts, and which kind of date."""
    phrase = parse(relation)
    return (*_concepts(relation, True), "|", *sorted(_dates(phrase)), *sorted(phrase.numbers))


def _ground(a: Relation, b: Relation, likelihood: float, meeting: Meeting) -> Ground | None:
    """The best reason for taking two names for one."""
    if by_words := _by_words(a.name, b.name, likelihood):
        return by_words
    told = {kind_of_value(value) for _, *values in meeting.examples for value in values} & _TELLING_KINDS
    if meeting.shared >= _SEEN_OFTEN and told and not meeting.apart and _same_way(parse(a.name), parse(b.name)):
        return Ground.VALUES
    alike = likelihood >= _WORTH_A_LOOK and meaning_key(a.name) == meaning_key(b.name)
    alike = alike and _same_way(parse(a.name), parse(b.name))
    return Ground.ALIKE if alike or (meeting.shared >= _SEEN and told) else None


def _by_words(a: str, b: str, likelihood: float) -> Ground | None:
    first, second = parse(a), parse(b)
    if _counts_otherwise(first, second):
        return None
    if _same_way(first, second):
        if relation_key(a) == relation_key(b) and relation_similarity(a, b) >= _SAME_WORDS:
            return Ground.WORDS
        if likelihood < _LIKELY or meaning_key(a) != meaning_key(b):
            return None
        if not _synonymous(first, second) or not (_in_order(first, second) or len(first.words) <= _FEW_WORDS):
            return None
        if _concepts(a, False) == _concepts(b, False):
            return Ground.FORMS
        return Ground.MEANING if first.wants == second.wants and first.wants in _SAID_BY_MEANING else None
    agents = likelihood >= _LIKELY and _concepts(a, False) == _concepts(b, False)
    return Ground.AGENT if agents and (_is_agent(first, second) or _is_agent(second, first)) else None


def _same_way(a: Phrase, b: Phrase) -> bool:
    """Whether two names point the same way: "Founder Of" and "Founded In" do not point as "Founder" does."""
    return a.prepositions == b.prepositions and a.ending == b.ending


def _synonymous(a: Phrase, b: Phrase) -> bool:
    """Whether each word that the other name lacks has a synonym there, by WordNet too: the thesaurus is coarse."""
    only_a, only_b = (
        {stem(word) for word in one.words} - {stem(word) for word in other.words} - _PLACE
        for one, other in ((a, b), (b, a))
    )
    if len(only_a) != len(only_b) or (only_a | only_b) & ANSWERS["place"]:
        return False
    return all(any(_base(word) == _base(b) or nearness(word, b) >= _SYNONYM for b in only_b) for word in only_a)


def _base(word: str) -> str:
    """A verb without the endings of its regular forms: join for joined and joining."""
    for ending in ("ing", "ed", "e"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            return word.removesuffix(ending)
    return word


def in_order(a: str, b: str) -> bool:
    """Whether two names have words of one meaning in one order: a founding organization is none that was founded."""
    return _in_order(parse(a), parse(b))


def _in_order(a: Phrase, b: Phrase) -> bool:
    return [concept(word) for word in a.words] == [concept(word) for word in b.words]


def _counts_otherwise(a: Phrase, b: Phrase) -> bool:
    """Whether one is "Number of Seasons" and the other "Season Number"."""
    return "number" in a.words and "number" in b.words and a.text.startswith("number") != b.text.startswith("number")


def _is_agent(noun: Phrase, verb: Phrase) -> bool:
    """Whether one is "Developer" and the other "Developed By"."""
    by = verb.ending == "by" and verb.prepositions == {"by"}
    return by and not noun.prepositions and not noun.ending and noun.text.endswith(_AGENT)


@lru_cache(maxsize=1 << 16)
def _concepts(relation: str, thesaurus: bool) -> tuple[str, ...]:
    """All words in one form for those of one meaning, or, without the thesaurus, of one stem."""
    phrase = parse(relation, thesaurus)
    return tuple(sorted(concept(word, thesaurus) for word in phrase.words if word not in phrase.prepositions))


def _dates(phrase: Phrase) -> set[str]:
    """Which kinds of date are asked for: a year is no day."""
    return {stem(word) for word in phrase.words if word in ANSWERS["date"] or stem(word) in ANSWERS["date"]}


def _kinds_differ(a: Sequence[str], b: Sequence[str]) -> bool:
    """Whether no kind of value of the one is a kind of the other's; a bare year may be a date or a number."""
    kinds_a, kinds_b = ({kind for value in values for kind in _possible(value)} for values in (a, b))
    return bool(kinds_a and kinds_b and not kinds_a & kinds_b)


def _possible(value: str) -> frozenset[str]:
    kind = kind_of_value(value)
    return {"year": frozenset(("date", "number")), "text": frozenset()}.get(kind, frozenset((kind,)))


def _doubted(ground: Ground) -> Decision:
    """What is left of a reason that the facts speak against: a question for a person, where the words are the same."""
    return Decision.PENDING if ground is Ground.WORDS else Decision.REJECT
