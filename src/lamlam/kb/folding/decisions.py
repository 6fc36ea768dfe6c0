"""The file of decisions on names of relations, which people edit, and its replay on a knowledge base.

An accepted pair is an alias and nothing more: a pointer that the log can take back. Nothing follows from two pairs
together, so that no chain of names arises.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lamlam.corpus.lines import Entry, read_entries, write_objects
from lamlam.kb.folding.judgement import Decision
from lamlam.kb.names import normalise
from lamlam.kb.store import KnowledgeBase

__all__ = ["Applied", "Folding", "apply_decisions", "merged", "read_decisions", "write_decisions"]


@dataclass(frozen=True, slots=True)
class Folding:
    """A pair of names and what was decided: `name` shall stand for the relation `into` as well, and for its facts.

    The rest is evidence for who decides, pairs being in the order (name, into): numbers of facts, values of some, and
    in how many entities that have both a value is shared, or none is.
    """

    name: str
    into: str
    decision: Decision
    ground: str = ""
    likelihood: float = 0.0
    facts: tuple[int, int] = (0, 0)
    shared: int = 0
    apart: int = 0
    values: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @property
    def pair(self) -> frozenset[str]:
        return frozenset((normalise(self.name), normalise(self.into)))


@dataclass(frozen=True, slots=True)
class Applied:
    """How many accepted pairs became aliases, were known already, or concern relations that are not there."""

    added: int = 0
    known: int = 0
    absent: int = 0


def read_decisions(path: str | Path) -> list[Folding]:
    """The decisions of a file. Raises `InputError` where a line is none, or decides a pair again and otherwise."""
    found: dict[frozenset[str], Folding] = {}
    for entry in read_entries(path):
        folding = _folding(entry)
        if found.setdefault(folding.pair, folding).decision is not folding.decision:
            raise entry.error("decides otherwise on names that an earlier line decides on", "decision")
    return list(found.values())


def write_decisions(foldings: Iterable[Folding], path: str | Path) -> int:
    """Write decisions as JSON Lines, one a line; how many."""
    return write_objects(map(asdict, foldings), path)


def merged(decided: Iterable[Folding], proposed: Iterable[Folding]) -> list[Folding]:
    """What is decided, with the evidence of now, then what is only proposed."""
    known = {folding.pair: folding for folding in decided}
    told = list(proposed)
    new = [folding for folding in told if folding.pair not in known]
    return [*known.values(), *new]


def apply_decisions(kb: KnowledgeBase, foldings: Iterable[Folding], *, actor: str = "", reason: str = "") -> Applied:
    """Make the accepted pairs aliases, in one revision, which `undo` takes back.

    Of a pair of which the knowledge base has one name only, the other becomes an alias of it.
    """
    counts = {"added": 0, "known": 0, "absent": 0}
    with kb.transaction(actor, reason or "names of relations that are one"):
        for folding in foldings:
            if folding.decision is Decision.ACCEPT:
                counts[_point(kb, folding)] += 1
    return Applied(**counts)


def _point(kb: KnowledgeBase, folding: Folding) -> str:
    for name, relation in ((folding.name, folding.into), (folding.into, folding.name)):
        if held := kb.relation_spellings(relation):
            return "added" if kb.alias(name, relation=held[0]) else "known"
    return "absent"


def _folding(entry: Entry) -> Folding:
    decision = entry.text("decision")
    if decision not in list(Decision):
        raise entry.error(f"must be one of {', '.join(Decision)}", "decision")
    name, into = entry.text("name", empty=False), entry.text("into", empty=False)
    if normalise(name) == normalise(into):
        raise entry.error("is the same name", "into")
    return Folding(name, into, Decision(decision), **_evidence(entry.value))


def _evidence(value: Any) -> dict[str, Any]:
    """What else a line holds, where it has the form of evidence; who writes a line by hand need not give it."""
    kept: dict[str, Any] = {}
    for field, kind in (("ground", str), ("likelihood", float), ("shared", int), ("apart", int)):
        if isinstance(value.get(field), kind) and not isinstance(value[field], bool):
            kept[field] = value[field]
    for field, of in (("facts", int), ("values", list)):
        pair = value.get(field)
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(each, of) for each in pair):
            kept[field] = tuple(tuple(map(str, each)) if of is list else each for each in pair)
    return kept
