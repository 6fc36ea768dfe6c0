"""What is wrong with a call by itself, in its document, or among all relations: a function a fault, one table of all.

No model is asked; what one says is left to `losses`. A rule sees a call in its setting and says yes or no; which calls
then go is left to `cleaner`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property

from lamlam.annotate.forms import Strength
from lamlam.annotate.mentions import MentionFinder
from lamlam.annotate.spans import value_span
from lamlam.annotate.words import words
from lamlam.kb.matching.features import parse
from lamlam.kb.names import normalise
from lamlam.markup import UNKNOWN, AnnotatedDocument, Call

__all__ = ["RULES", "Proposition", "RelationCounts", "Rule", "Setting", "proposition"]

_MARKS = re.compile(r"\[dblookup\(|<\|db_|'\)\s*->|\]\s*\[|[\x00-\x1f\x7f]")
_LONGEST_RELATION = 80
_LONGEST_VALUE = 300
_SPECIFIC_WORDS = 4
_ALIKE = 0.5
_REACH = 250  # characters behind a call in which its value is looked for
_BEGINNING = 5  # letters by which forms of a word are told


Proposition = tuple[str, str, str]


def proposition(call: Call) -> Proposition:
    """What a call says, however its names are written."""
    return normalise(call.entity), normalise(call.relation), normalise(call.value)


@dataclass(slots=True)
class RelationCounts:
    """In how many documents each relation stands, and which relations have a word."""

    documents: Counter[str] = field(default_factory=Counter)
    _by_word: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, relations: Iterable[str]) -> None:
        """The relations of one document."""
        for relation in {normalise(each) for each in relations}:
            self.documents[relation] += 1
            if self.documents[relation] == 1:
                for word in parse(relation).core:
                    self._by_word[word].add(relation)

    def resembled(self, relation: str) -> bool:
        """Whether another relation has half of the words of both."""
        norm, core = normalise(relation), set(parse(relation).core)
        shared: Counter[str] = Counter()
        for word in core:
            shared.update(self._by_word.get(word, ()))
        del shared[norm]
        return any(count / len(core | set(parse(other).core)) >= _ALIKE for other, count in shared.items())


@dataclass
class Setting:
    """A call, its document with a finder of names in it, and what the calls before it say."""

    document: AnnotatedDocument
    call: Call
    said: AbstractSet[Proposition]
    names: MentionFinder
    relations: RelationCounts

    @cached_property
    def value_keys(self) -> set[str]:
        return {word.key for word in words(self.call.value)}


def _malformed(setting: Setting) -> bool:
    """A field is blank, holds what belongs to the markup, or is far too long."""
    call = setting.call
    fields = (call.entity, call.relation, call.value)
    if any(not normalise(each) or _MARKS.search(each) for each in fields):
        return True
    too_long = len(call.relation) > _LONGEST_RELATION or len(call.value) > _LONGEST_VALUE
    return too_long or normalise(call.value) == UNKNOWN or not any(sign.isalpha() for sign in call.relation)


def _duplicate(setting: Setting) -> bool:
    """The document made this call before."""
    return proposition(setting.call) in setting.said


def _self(setting: Setting) -> bool:
    """The value is the entity."""
    return normalise(setting.call.value) == normalise(setting.call.entity)


def _leak(setting: Setting) -> bool:
    """The relation's name tells the value: "Manager Bertie Mee" of Bertie Mee."""
    relation = {word.key for word in words(setting.call.relation)}
    return bool(setting.value_keys) and setting.value_keys <= relation


def _value(setting: Setting) -> bool:
    """The text behind the call does not state the value, nor half of its words."""
    text, call = setting.document.text, setting.call
    if value_span(text, call.value, call.at) is not None:
        return False
    behind = {word.key[:_BEGINNING] for word in words(text[call.at : call.at + _REACH])}
    said = sum(key[:_BEGINNING] in behind for key in setting.value_keys)
    return 2 * said < max(1, len(setting.value_keys))


def _entity(setting: Setting) -> bool:
    """The text before the call does not mention the entity, in full or in part."""
    call = setting.call
    name = call.entity.replace("_", " ")
    first = setting.names.first(name, Strength.NAME, Strength.HINT)
    if first is not None and first.end <= call.at:
        return False
    finder = MentionFinder(setting.document.text[: call.at])
    if finder.find(name, Strength.NAME, Strength.HINT) or finder.find_near(name) or finder.find_moved(name):
        return False
    told = {word.key for word in words(name) if len(word.key) > 2 or word.key.isdigit()}
    return not told & set(finder.keys)


def _specific(setting: Setting) -> bool:
    """The relation is long, stands in one document alone, and is like no other."""
    relation = setting.call.relation
    if len(parse(relation).core) < _SPECIFIC_WORDS or setting.relations.documents[normalise(relation)] > 1:
        return False
    return not setting.relations.resembled(relation)


@dataclass(frozen=True, slots=True)
class Rule:
    """`says` tells whether a call has the fault; `late` rules need the relations of all documents."""

    name: str
    says: Callable[[Setting], bool]
    late: bool = False

    @property
    def help(self) -> str:
        return (self.says.__doc__ or "").strip()


RULES: tuple[Rule, ...] = (
    Rule("malformed", _malformed),
    Rule("duplicate", _duplicate),
    Rule("self", _self),
    Rule("leak", _leak),
    Rule("value", _value),
    Rule("entity", _entity),
    Rule("specific", _specific, late=True),
)
"""In the order in which they are asked; the first that says yes is the reason told."""
