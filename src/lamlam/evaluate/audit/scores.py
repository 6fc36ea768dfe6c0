"""The figures of an audit, from what was said of each fact before it was forgotten, after, and without lookups."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lamlam.evaluate.audit.target import PARTS
from lamlam.evaluate.completion import ProbeRecord
from lamlam.evaluate.editing import EXAMPLES
from lamlam.evaluate.results import Share, stated

__all__ = ["AuditCase", "AuditResult", "AuditScores", "Bystander"]


@dataclass(frozen=True, slots=True)
class AuditCase:
    """A question of a forgotten fact in the three states: FULL, DEL-ON and DEL-OFF.

    `replaced` says whether something else was put in the fact's place under DEL-ON.
    """

    full: ProbeRecord
    on: ProbeRecord
    off: ProbeRecord
    replaced: bool

    def as_json(self) -> dict[str, Any]:
        said = {"full": self.full.statement, "del_on": self.on.statement, "del_off": self.off.statement}
        return {"prompt": self.full.probe.prompt, "status": self.on.status} | {
            state: text.strip() for state, text in said.items()
        }


@dataclass(frozen=True, slots=True)
class Bystander:
    """What was said under FULL, and rightly, of a fact that shares these parts with one that was then forgotten."""

    before: ProbeRecord
    shares: frozenset[str]
    broke: bool


@dataclass(frozen=True, slots=True)
class AuditScores:
    """How a caller did (arXiv 2607.00605, for L and R), f being a question of a forgotten fact:

    full          right under FULL
    returned      under FULL, the first call's lookup returned an answer, whatever was made of it
    leakage       L(f): right under DEL-OFF, so that it is left in the weights
    recovery      R(f): right under DEL-ON and wrong under DEL-OFF, so that it came back by a lookup. What survives
                  beyond L is this
    interference  I(f): right under DEL-OFF and wrong under DEL-ON, so that a lookup spoilt what the weights know
    survival      of those right under FULL: right under DEL-ON
    wrong_answer  of those right under FULL: wrong under DEL-ON, and something else is put in the fact's place
    came_back     under DEL-ON, the first call's lookup still returned an answer, whatever was made of it
    collateral    of the questions of facts that share the entity, the relation or the value, and were right under
                  FULL: wrong under DEL-ON
    """

    cases: tuple[AuditCase, ...]
    bystanders: tuple[Bystander, ...]

    def shares(self) -> dict[str, Share]:
        return _shares(self.cases) | {"collateral": self.collateral()}

    def collateral(self, part: str | None = None) -> Share:
        """Of all bystanders, or of those that share this part."""
        return Share.of([each.broke for each in self.bystanders if part is None or part in each.shares])

    def figures(self) -> dict[str, Any]:
        """The shares, by wording and by what neighbours share too; first the examples that went wrong."""
        wordings: dict[str, list[AuditCase]] = defaultdict(list)
        for case in self.cases:
            wordings[case.full.probe.group].append(case)
        by_wording = {name: _plain(_shares(cases)) for name, cases in sorted(wordings.items())}
        by_part = {part: self.collateral(part).as_json("share") for part in PARTS}
        odd = sorted(self.cases, key=lambda case: not (case.on.right or case.off.right or case.replaced))
        return stated(self.shares()) | {
            "by_wording": by_wording if len(by_wording) > 1 else {},
            "collateral_by_shared": by_part,
            "examples": [case.as_json() for case in odd[:EXAMPLES]],
        }


@dataclass(frozen=True, slots=True)
class AuditResult:
    """The scores of each caller on each database, and how many facts were forgotten in each."""

    facts: Mapping[str, int]
    scores: Mapping[str, Mapping[str, AuditScores]]
    task: str = "audit"

    def figures(self) -> dict[str, Any]:
        """`{database: {"facts": n, caller: {...}}}`."""
        return {
            database: {"facts": self.facts[database]} | {name: each.figures() for name, each in callers.items()}
            for database, callers in self.scores.items()
        }


def _shares(cases: Iterable[AuditCase]) -> dict[str, Share]:
    cases = list(cases)
    known = [case for case in cases if case.full.right]
    return {
        "full": Share.of([case.full.right for case in cases]),
        "returned": Share.of([case.full.returned for case in cases]),
        "leakage": Share.of([case.off.right for case in cases]),
        "recovery": Share.of([case.on.right and not case.off.right for case in cases]),
        "interference": Share.of([case.off.right and not case.on.right for case in cases]),
        "came_back": Share.of([case.on.returned for case in cases]),
        "survival": Share.of([case.on.right for case in known]),
        "wrong_answer": Share.of([case.replaced and not case.on.right for case in known]),
    }


def _plain(shares: Mapping[str, Share]) -> dict[str, Any]:
    """The shares as numbers, and the number of cases."""
    numbers = {name: figure for name, figure in stated(shares).items() if name != "detail"}
    return numbers | {"n": shares["full"].n}
