"""The figures of a run of both arms, nested under the names that the report and the project's results use."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from lamlam.evaluate.completion import CompletionResult
from lamlam.evaluate.editing import EditingResult
from lamlam.evaluate.forgetting import ForgettingResult
from lamlam.evaluate.perplexity import PerplexityResult

__all__ = ["ArmResults", "summarise"]


@dataclass(frozen=True, slots=True)
class ArmResults:
    """One arm's results: completion, perplexity by group of held-out documents, completion with lookups forbidden."""

    completion: CompletionResult
    perplexity: Mapping[str, PerplexityResult]
    db_off: CompletionResult | None = None

    @property
    def whole(self) -> PerplexityResult:
        """Perplexity on the held-out documents of all groups."""
        return reduce(add, self.perplexity.values())


def summarise(
    lmlm: ArmResults,
    standard: ArmResults,
    edit: EditingResult | None = None,
    forget: ForgettingResult | None = None,
    seconds: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """`lmlm.seen.accuracy`, `lmlm.db_off.accuracy`, `lmlm.perplexity.static`, `standard.perplexity` and the rest.

    `standard.perplexity` is a number; what else is known of it stands in `standard.perplexity_detail`.
    """
    summary: dict[str, Any] = {"lmlm": lmlm.completion.figures(), "standard": standard.completion.figures()}
    if lmlm.db_off is not None:
        off = lmlm.db_off.figures()
        summary["lmlm"]["db_off"] = off.pop("all") | off
    summary["lmlm"]["perplexity"] = lmlm.whole.figures() | _by_group(lmlm)
    summary["standard"]["perplexity"] = standard.whole.static
    summary["standard"]["perplexity_detail"] = standard.whole.figures() | _by_group(standard)
    if edit is not None:
        summary["edit"] = edit.figures()
    if forget is not None:
        summary["forget"] = forget.figures()
    if seconds is not None:
        summary["seconds"] = {name: round(value, 1) for name, value in seconds.items()}
    return summary


def _by_group(arm: ArmResults) -> dict[str, Any]:
    return {"by_group": {group: result.figures() for group, result in arm.perplexity.items()}}
