"""Drops lookup calls that are likely wrong, by rules; the text of a document stays byte for byte.

A rule looks at a call, its document, and how often relations occur in the corpus. The first rule that matches is the
reason for dropping the call. Documents are read twice, first to count relations: a corpus need not fit into memory.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from random import Random

from lamlam.annotate.forms import Strength
from lamlam.annotate.mentions import MentionFinder
from lamlam.annotate.spans import value_span
from lamlam.errors import InputError
from lamlam.files import atomic_write
from lamlam.kb.matching.features import parse
from lamlam.kb.names import normalise
from lamlam.markup import UNKNOWN, AnnotatedDocument, Call
from lamlam.text import words

__all__ = ["RULES", "CallInContext", "Cleaner", "CleaningTally", "DroppedCall", "RelationCounts", "triple_of"]

Triple = tuple[str, str, str]

_MARKS = re.compile(r"\[dblookup\(|<\|db_|'\)\s*->|\]\s*\[|[\x00-\x1f\x7f]")
_LONGEST_RELATION = 80
_LONGEST_VALUE = 300
_SPECIFIC_WORDS = 4
_SIMILAR = 0.5
_REACH = 250  # characters after a call that are searched for its value
_STEM = 5  # letters by which forms of a word are matched
_CONTEXT = 120  # characters shown on either side


def triple_of(call: Call) -> Triple:
    """Return entity, relation and value, normalised."""
    return normalise(call.entity), normalise(call.relation), normalise(call.value)


@dataclass(slots=True)
class RelationCounts:
    """How many documents each relation occurs in, and which relations have a word."""

    documents: Counter[str] = field(default_factory=Counter)
    _by_word: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, relations: Iterable[str]) -> None:
        """Count the relations of one document."""
        for relation in set(map(normalise, relations)):
            self.documents[relation] += 1
            if self.documents[relation] == 1:
                for word in parse(relation).core:
                    self._by_word[word].add(relation)

    def has_similar(self, relation: str) -> bool:
        """Return whether another relation shares at least half of both relations' words."""
        norm, core = normalise(relation), set(parse(relation).core)
        shared: Counter[str] = Counter()
        for word in core:
            shared.update(self._by_word.get(word, ()))
        del shared[norm]
        return any(count / len(core | set(parse(other).core)) >= _SIMILAR for other, count in shared.items())


@dataclass
class CallInContext:
    """A call, its document, the triples of the calls before it, and the relations of the corpus."""

    document: AnnotatedDocument
    call: Call
    earlier: AbstractSet[Triple]
    finder: MentionFinder
    relations: RelationCounts

    @cached_property
    def value_keys(self) -> set[str]:
        return {word.key for word in words(self.call.value)}


def _malformed(context: CallInContext) -> bool:
    """A field is blank, contains markup, or is far too long."""
    call = context.call
    fields = (call.entity, call.relation, call.value)
    if any(not normalise(text) or _MARKS.search(text) for text in fields):
        return True
    too_long = len(call.relation) > _LONGEST_RELATION or len(call.value) > _LONGEST_VALUE
    return too_long or normalise(call.value) == UNKNOWN or not any(sign.isalpha() for sign in call.relation)


def _duplicate(context: CallInContext) -> bool:
    """The document made this call before."""
    return triple_of(context.call) in context.earlier


def _self(context: CallInContext) -> bool:
    """The value is the entity."""
    return normalise(context.call.value) == normalise(context.call.entity)


def _leak(context: CallInContext) -> bool:
    """The relation's name contains the value: "Manager Bertie Mee" with the value Bertie Mee."""
    relation = {word.key for word in words(context.call.relation)}
    return bool(context.value_keys) and context.value_keys <= relation


def _value(context: CallInContext) -> bool:
    """The text after the call states neither the value nor half of its words."""
    text, call = context.document.text, context.call
    if value_span(text, call.value, call.at) is not None:
        return False
    following = {word.key[:_STEM] for word in words(text[call.at : call.at + _REACH])}
    stated = sum(key[:_STEM] in following for key in context.value_keys)
    return 2 * stated < max(1, len(context.value_keys))


def _entity(context: CallInContext) -> bool:
    """The text before the call doesn't mention the entity, in full or in part."""
    call = context.call
    name = call.entity.replace("_", " ")
    first = context.finder.first(name, Strength.NAME, Strength.HINT)
    if first is not None and first.end <= call.at:
        return False
    finder = MentionFinder(context.document.text[: call.at])
    if finder.find(name, Strength.NAME, Strength.HINT) or finder.find_near(name) or finder.find_moved(name):
        return False
    return not {word.key for word in words(name) if len(word.key) > 2 or word.key.isdigit()} & set(finder.keys)


def _specific(context: CallInContext) -> bool:
    """The relation is long, occurs in only one document, and resembles no other."""
    relation = context.call.relation
    if len(parse(relation).core) < _SPECIFIC_WORDS or context.relations.documents[normalise(relation)] > 1:
        return False
    return not context.relations.has_similar(relation)


RULES: dict[str, Callable[[CallInContext], bool]] = {
    "malformed": _malformed,
    "duplicate": _duplicate,
    "self": _self,
    "leak": _leak,
    "value": _value,
    "entity": _entity,
    "specific": _specific,
}
"""In the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class DroppedCall:
    """A call that was dropped, why, and the text around it."""

    reason: str
    document: str
    call: Call
    before: str
    after: str


@dataclass(slots=True)
class CleaningTally:
    """Counts of documents, calls and dropped calls by reason, and a sample for each reason."""

    documents: int = 0
    calls: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[DroppedCall]] = field(default_factory=dict)

    def write(self, out: str | Path) -> None:
        """Write counts and samples to a file, as one JSON object."""
        report = {
            "documents": self.documents,
            "calls": self.calls,
            "dropped": self.dropped.total(),
            "reasons": dict(self.dropped.most_common()),
            "samples": {reason: list(map(asdict, samples)) for reason, samples in self.samples.items()},
        }
        with atomic_write(out) as file:
            json.dump(report, file, ensure_ascii=False, indent=1)
            file.write("\n")


class Cleaner:
    """Drops calls that match a rule which isn't in `skip`; keeps `sample` of them per reason, drawn by `seed`.

    Raises `InputError` for an unknown rule.
    """

    def __init__(self, *, skip: Collection[str] = (), sample: int = 10, seed: int = 0) -> None:
        if unknown := set(skip) - RULES.keys():
            raise InputError(f"there is no rule '{min(unknown)}'; choose from {', '.join(RULES)}", field="skip")
        self._sample, self._seed = sample, seed
        self._rules = {name: matches for name, matches in RULES.items() if name not in skip}

    def clean(
        self,
        read: Callable[[], Iterable[AnnotatedDocument]],
        tally: CleaningTally,
        on_progress: Callable[[], None] = lambda: None,
    ) -> Iterator[AnnotatedDocument]:
        """Yield the documents with the remaining calls; `tally` is complete after the last one.

        `read` is called twice, `on_progress` once for each document and pass.
        """
        relations = RelationCounts()
        for document in read():
            relations.add(call.relation for call in document.calls)
            on_progress()
        rng = Random(self._seed)
        for document in read():
            kept = []
            for context in _contexts(document, relations):
                reason = next((name for name, matches in self._rules.items() if matches(context)), None)
                if reason is None:
                    kept.append(context.call)
                else:
                    self._count(tally, _dropped(reason, context), rng)
            tally.documents += 1
            tally.calls += len(document.calls)
            on_progress()
            yield replace(document, calls=tuple(kept))

    def _count(self, tally: CleaningTally, dropped: DroppedCall, rng: Random) -> None:
        """Count a call, and sample it with the same chance as every other with its reason."""
        tally.dropped[dropped.reason] += 1
        samples = tally.samples.setdefault(dropped.reason, [])
        if len(samples) < self._sample:
            samples.append(dropped)
        elif (place := rng.randrange(tally.dropped[dropped.reason])) < self._sample:
            samples[place] = dropped


def _contexts(document: AnnotatedDocument, relations: RelationCounts) -> Iterator[CallInContext]:
    finder, earlier = MentionFinder(document.text), set[Triple]()
    for call in document.calls:
        yield CallInContext(document, call, earlier, finder, relations)
        earlier.add(triple_of(call))


def _dropped(reason: str, context: CallInContext) -> DroppedCall:
    text, at = context.document.text, context.call.at
    before, after = text[max(0, at - _CONTEXT) : at], text[at : at + _CONTEXT]
    return DroppedCall(reason, context.document.id, context.call, before, after)
