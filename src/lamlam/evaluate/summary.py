"""The figures of a run of both arms, nested under the names that the report and the project's results use."""

from collections.abc import Mapping
from typing import Any

__all__ = ["Figures", "summarise"]

Figures = Mapping[str, Any]
"""What a result tells (`Result.figures`), or what `results.json` holds of it."""

_CHANGES = {"edit": "editing", "forget": "forgetting"}
_GROUP = "perplexity_"


def summarise(arms: Mapping[str, Mapping[str, Figures]], seconds: Mapping[str, float] | None = None) -> dict[str, Any]:
    """`lmlm.seen.accuracy`, `lmlm.db_off.accuracy`, `lmlm.perplexity.static`, `standard.perplexity` and the rest.

    `arms` holds, for each arm, its tasks' figures by name. What was not measured, or was left out, has no name here.
    `standard.perplexity` is a number; what else is known of it stands in `standard.perplexity_detail`.
    """
    told = {arm: {name: each for name, each in of.items() if "skipped" not in each} for arm, of in arms.items()}
    summary: dict[str, Any] = {arm: _completion(figures) for arm, figures in told.items()}
    for arm, figures in told.items():
        if "perplexity" in figures:
            whole = {**figures["perplexity"], "by_group": _by_group(figures)}
            standard = {"perplexity": whole.get("perplexity"), "perplexity_detail": whole}
            summary[arm] |= standard if arm == "standard" else {"perplexity": whole}
    lmlm = told.get("lmlm", {})
    summary |= {key: dict(lmlm[task]) for key, task in _CHANGES.items() if task in lmlm}
    if seconds is not None:
        summary["seconds"] = {name: round(value, 1) for name, value in seconds.items()}
    return summary


def _completion(figures: Mapping[str, Figures]) -> dict[str, Any]:
    completion = dict(figures.get("completion", {}))
    if "completion_db_off" in figures:
        off = dict(figures["completion_db_off"])
        completion["db_off"] = off.pop("all", {}) | off
    return completion


def _by_group(figures: Mapping[str, Figures]) -> dict[str, Figures]:
    return {name.removeprefix(_GROUP): each for name, each in figures.items() if name.startswith(_GROUP)}
