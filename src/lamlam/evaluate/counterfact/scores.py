"""The figures of edits by CounterFact's measures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lamlam.evaluate.answers import gives
from lamlam.evaluate.completion import ProbeRecord
from lamlam.evaluate.counterfact.plan import Questions
from lamlam.evaluate.editing import EXAMPLES
from lamlam.evaluate.results import Share, stated

__all__ = ["CounterfactResult", "EditScores", "EditedAnswers"]


@dataclass(frozen=True, slots=True)
class EditedAnswers:
    """What was said about one edit: to its questions in their order, and of each neighbour before and after.

    `onward` are the second hops, by itself and in the text; empty where nothing that could be asked follows.
    """

    questions: Questions
    before: ProbeRecord
    asked: ProbeRecord
    reworded: Sequence[ProbeRecord]
    neighbours: Sequence[tuple[ProbeRecord, ProbeRecord]]
    onward: Sequence[ProbeRecord]

    def took(self, record: ProbeRecord) -> bool:
        """Whether the new value is said."""
        return gives(record.continuation, [self.questions.edit.new])

    def as_json(self) -> dict[str, Any]:
        edit = self.questions.edit
        said = {"before": self.before.statement.strip(), "after": self.asked.statement.strip()}
        return {"prompt": self.asked.probe.prompt, "old": edit.fact.value, "new": edit.new} | said


@dataclass(frozen=True, slots=True)
class EditScores:
    """After so many edits, of those that were asked about:

    before          the old value was said before the first edit
    efficacy        the continuation starts with the new value
    stale           it starts with the old one
    generalisation  of the same facts in their other wordings: it starts with the new value
    specificity     of the neighbours, which were not edited: the statement is letter for letter that before any edit
    consequence     of the edits whose new value is an entity: the new value is said, and then, asked about that
                    entity, what is true of it now
    consequence_in_text  the same where the second question stands behind the first one's answer, in one text
    """

    edits: int
    answers: tuple[EditedAnswers, ...]

    def shares(self) -> dict[str, Share]:
        answers = self.answers
        hops = [(each.took(each.asked), each.onward) for each in answers if each.onward]
        return {
            "before": Share.of([each.before.right for each in answers]),
            "efficacy": Share.of([each.took(each.asked) for each in answers]),
            "stale": Share.of([each.asked.right for each in answers]),
            "generalisation": Share.of([each.took(record) for each in answers for record in each.reworded]),
            "specificity": Share.of(
                [old.statement == new.statement for each in answers for old, new in each.neighbours]
            ),
            "consequence": Share.of([took and hop[0].right for took, hop in hops]),
            "consequence_in_text": Share.of([took and hop[1].right for took, hop in hops]),
        }

    def generalisation(self) -> dict[str, Share]:
        """By the number of the wording, from 1."""
        took: dict[str, list[bool]] = {}
        for each in self.answers:
            for record in each.reworded:
                number = int(record.probe.id.rpartition("|")[2]) + 1
                took.setdefault(str(number), []).append(each.took(record))
        return {number: Share.of(took[number]) for number in sorted(took)}

    def figures(self) -> dict[str, Any]:
        wordings = {number: share.as_json("share") for number, share in self.generalisation().items()}
        odd = sorted(self.answers, key=lambda each: each.took(each.asked))
        return stated(self.shares()) | {
            "edits": self.edits,
            "generalisation_by_wording": wordings,
            "examples": [each.as_json() for each in odd[:EXAMPLES]],
        }


@dataclass(frozen=True, slots=True)
class CounterfactResult:
    """Scores by how many edits were made: single ones, each taken back again, and all in sequence."""

    scores: Mapping[str, EditScores]
    task: str = "counterfact"

    def figures(self) -> dict[str, Any]:
        """The shares of each step as plain numbers, and under `steps` all that is known of it."""
        steps = {name: scores.figures() for name, scores in self.scores.items()}
        plain = {
            name: {figure: step[figure] for figure in ("edits", *self.scores[name].shares())}
            for name, step in steps.items()
        }
        return plain | {"steps": list(steps.values())}
