"""Cleans a corpus of annotated documents in two passes, a document at a time; plain text stays byte for byte.

The first pass asks the rules and the model and counts relations, the second writes what is left. A few bytes a call
are kept in between, so that the corpus need not fit into memory.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

import numpy as np

from lamlam.annotate.clean.losses import CallScorer
from lamlam.annotate.clean.rules import RULES, Proposition, RelationCounts, Rule, Setting, proposition
from lamlam.annotate.mentions import MentionFinder
from lamlam.batches import batches
from lamlam.errors import InputError
from lamlam.markup import AnnotatedDocument, Call

__all__ = ["LOSS", "Cleaner", "Dropped", "Tally"]

LOSS = "loss"
"""The reason of what a model drops."""

_BATCH = 32  # documents that the model scores together
_CONTEXT = 120  # characters shown on either side


@dataclass(frozen=True, slots=True)
class Dropped:
    """A call that was dropped, why, and the text around its place."""

    reason: str
    document: str
    call: Call
    before: str
    after: str
    loss: float | None = None


@dataclass(slots=True)
class Tally:
    """How many documents and calls there were, what was dropped by reason, and a sample of each reason."""

    documents: int = 0
    calls: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[Dropped]] = field(default_factory=dict)
    threshold: float | None = None
    """From which loss on a call was dropped."""


class Cleaner:
    """Drops calls by rules, and of those that are left the share `drop` that a model finds least likely.

    `skip` names rules that are not asked. Samples of `sample` calls a reason are drawn by `seed`. Raises `InputError`
    for an unknown rule, or a share that is none.
    """

    def __init__(
        self,
        *,
        scorer: CallScorer | None = None,
        drop: float = 0.1,
        skip: Collection[str] = (),
        sample: int = 10,
        seed: int = 0,
    ) -> None:
        if unknown := set(skip) - {rule.name for rule in RULES}:
            names = ", ".join(rule.name for rule in RULES)
            raise InputError(f"there is no rule '{min(unknown)}'; there are {names}", field="skip")
        if not 0 <= drop < 1:
            raise InputError(f"{drop} is no share from 0 to 1", field="drop")
        self._scorer, self._drop, self._sample, self._seed = scorer, drop, sample, seed
        self._rules = [rule for rule in RULES if rule.name not in skip]

    def clean(
        self, read: Callable[[], Iterable[AnnotatedDocument]], tally: Tally, seen: Callable[[], None] = lambda: None
    ) -> Iterator[AnnotatedDocument]:
        """The documents with the calls that are left; `read` is called twice, `seen` once a document and pass.

        `tally` is complete when the last document was taken.
        """
        counts, verdicts, losses = RelationCounts(), array("b"), array("f")
        early = [rule for rule in self._rules if not rule.late]
        for documents in batches(read(), _BATCH):
            for document in documents:
                counts.add(call.relation for call in document.calls)
                verdicts.extend(_asked(early, setting) for setting in _settings(document, counts))
                seen()
            if self._scorer is not None:
                losses.extend(loss for row in self._scorer.losses(documents) for loss in row)
        tally.threshold = self._threshold(verdicts, losses)
        yield from self._second(read, tally, seen, counts, verdicts, losses)

    def _threshold(self, verdicts: array, losses: array) -> float | None:
        if not losses or not self._drop:
            return None
        left = np.frombuffer(losses, np.float32)[np.frombuffer(verdicts, np.int8) < 0]
        return float(np.quantile(left, 1 - self._drop)) if len(left) else None

    def _second(
        self,
        read: Callable[[], Iterable[AnnotatedDocument]],
        tally: Tally,
        seen: Callable[[], None],
        counts: RelationCounts,
        verdicts: array,
        losses: array,
    ) -> Iterator[AnnotatedDocument]:
        late = [rule for rule in self._rules if rule.late]
        rng, at = Random(self._seed), 0
        for document in read():
            kept = []
            for setting in _settings(document, counts):
                loss = losses[at] if losses else None
                reason = RULES[verdicts[at]].name if verdicts[at] >= 0 else self._late(late, setting, loss, tally)
                at += 1
                if reason is None:
                    kept.append(setting.call)
                else:
                    _count(tally, _dropped(reason, setting, loss), rng, self._sample)
            tally.documents += 1
            tally.calls += len(document.calls)
            seen()
            yield replace(document, calls=tuple(kept))

    def _late(self, late: list[Rule], setting: Setting, loss: float | None, tally: Tally) -> str | None:
        number = _asked(late, setting)
        if number >= 0:
            return RULES[number].name
        return LOSS if loss is not None and tally.threshold is not None and loss > tally.threshold else None


def _asked(rules: Iterable[Rule], setting: Setting) -> int:
    """The place in the table of the first rule that says yes; -1 where none does."""
    return next((RULES.index(rule) for rule in rules if rule.says(setting)), -1)


def _settings(document: AnnotatedDocument, counts: RelationCounts) -> Iterator[Setting]:
    names, said = MentionFinder(document.text), set[Proposition]()
    for call in document.calls:
        yield Setting(document, call, said, names, counts)
        said.add(proposition(call))


def _dropped(reason: str, setting: Setting, loss: float | None) -> Dropped:
    text, at = setting.document.text, setting.call.at
    before, after = text[max(0, at - _CONTEXT) : at], text[at : at + _CONTEXT]
    return Dropped(reason, setting.document.id, setting.call, before, after, loss)


def _count(tally: Tally, dropped: Dropped, rng: Random, size: int) -> None:
    """Count a call, and keep it as a sample with the same chance as every other of its reason."""
    tally.dropped[dropped.reason] += 1
    kept = tally.samples.setdefault(dropped.reason, [])
    if len(kept) < size:
        kept.append(dropped)
    elif (place := rng.randrange(tally.dropped[dropped.reason])) < size:
        kept[place] = dropped
