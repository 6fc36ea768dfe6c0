"""A self-contained HTML report on a run: its results, figures, and texts with the sources of their facts.

The page loads and runs nothing. Facts and texts are untrusted: the template escapes them; only the drawings,
whose labels come from this package, are inserted unescaped.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lamlam import __version__
from lamlam.evaluate.completion import BUCKETS
from lamlam.evaluate.results import format_number, plain_numbers
from lamlam.files import atomic_write
from lamlam.report.drawing import Drawing, bar_drawing, curve_drawing
from lamlam.report.evidence import EVIDENCE
from lamlam.report.figures import Bar, Series, points
from lamlam.report.headline import ARMS, GROUPS, changes, headline
from lamlam.report.run import RunResults
from lamlam.report.trace import Statement, Trace

__all__ = ["write_report"]


def write_report(run: RunResults | str | Path, out: str | Path) -> None:
    """Write the page about a run to `out`. Missing figures are left out.

    Raises `InputError` when the run's files cannot be read or the page cannot be written.
    """
    results = run if isinstance(run, RunResults) else RunResults.read(run)
    environment = Environment(
        loader=PackageLoader("lamlam", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html").render(
        version=__version__,
        rows=headline(results),
        cards=changes(results),
        drawings=[drawing for draw in (*_DRAWINGS, *EVIDENCE) if (drawing := draw(results)) is not None],
        measured=[_measured(*found) for found in results.all_tasks()],
        traces=[_shown(trace, number) for number, trace in enumerate(results.traces, 1)],
        examples=_examples(results),
        seconds=_seconds(results),
    )
    with atomic_write(out) as file:
        file.write(page)


def _perplexity(run: RunResults) -> Drawing | None:
    panels = []
    for group in run.groups():
        series = [
            Series("standard", "standard", run.curve("standard", group, "static")),
            Series("LMLM, normalized", "lmlm", run.curve("lmlm", group, "normalized")),
            Series("LMLM, static", "lmlm", run.curve("lmlm", group, "static"), dashed=True),
        ]
        panels.append((GROUPS.get(group, group), [curve for curve in series if curve.points]))
    return curve_drawing(
        panels,
        "perplexity",
        "Perplexity over training",
        "Held-out documents. Normalized perplexity charges the LMLM for every token of its calls; static doesn't.",
        log=True,
    )


def _value_loss(run: RunResults) -> Drawing | None:
    panels = []
    for group in run.groups():
        series = [
            Series("LMLM, masked values", "lmlm", run.curve("lmlm", group, "value_loss")),
            Series("LMLM, stating them", "lmlm", run.curve("lmlm", group, "stated_loss"), dashed=True),
            Series("standard, stating them", "standard", run.curve("standard", group, "stated_loss")),
        ]
        panels.append((GROUPS.get(group, group), [curve for curve in series if curve.points]))
    caption = (
        "What the weights know about the facts. Values inside calls carry no loss in training: if the line stays high, "
        "the model hasn't learnt them."
    )
    if any("stating" in curve.label for _, curves in panels for curve in curves):
        caption += " “Stating them” is the same words in the text."
    return curve_drawing(panels, "loss, nats per token", "Loss on values over training", caption)


def _mentions(run: RunResults) -> Drawing | None:
    places = [
        ("unseen", "0 (only in the\nknowledge base)"),
        *((f"by_mentions.{label}", label) for label, _, _ in BUCKETS),
    ]
    places = [(path, label) for path, label in places if any(run.number(f"{arm}.{path}.n") for arm in ARMS)]
    series = [line for arm in ARMS if (line := _over_places(run, arm, [path for path, _ in places])).points]
    if len(places) < 2 or not series:
        return None
    labels = [label for _, label in places]
    alt = "; ".join(
        f"{line.label}: " + ", ".join(f"{labels[int(x)].split()[0]} times {100 * y:.0f}%" for x, y in line.points)
        for line in series
    )
    return Drawing(
        "mentions",
        "Accuracy by mentions of the fact in training text",
        "The standard model relies on its training texts; the LMLM can look facts up. Bars are 95% intervals.",
        f"Accuracy by mention count. {alt}.",
        points(labels, series, "mentions of the fact in training text", "accuracy"),
    )


def _over_places(run: RunResults, arm: str, paths: list[str]) -> Series:
    found = [(place, f"{arm}.{path}") for place, path in enumerate(paths) if run.number(f"{arm}.{path}.n")]
    curve = [(float(place), run.number(f"{path}.accuracy") or 0.0) for place, path in found]
    return Series(ARMS[arm], arm, curve, intervals=[tuple(run.figure(f"{path}.interval")) for _, path in found])


def _with_and_without(run: RunResults) -> Drawing | None:
    panels = []
    for group, title in GROUPS.items():
        off = f"lmlm.db_off.{group}" if run.number(f"lmlm.db_off.{group}.accuracy") is not None else "lmlm.db_off"
        wanted = (
            ("LMLM", "lmlm", f"lmlm.{group}"),
            ("no lookups", "off", off),
            ("standard", "standard", f"standard.{group}"),
        )
        panels.append((title, [bar for label, colour, path in wanted if (bar := _bar(run, label, colour, path))]))
    return bar_drawing(
        panels,
        "lookups",
        "With and without the knowledge base",
        "The LMLM with and without lookups, and the standard model. Whiskers are 95% intervals.",
    )


def _edit_and_forget(run: RunResults) -> Drawing | None:
    edit = [
        _always_before(run, "edit.success"),
        _bar(run, "after: new value", "lmlm", "edit.detail.success", "edit.success"),
        _bar(run, "edit undone: old value", "lmlm", "edit.detail.reverted", "edit.reverted"),
        _bar(run, "other facts unchanged", "lmlm", "edit.detail.locality", "edit.locality"),
    ]
    forget = [
        _always_before(run, "forget.survival"),
        _bar(run, "after: old value", "lmlm", "forget.detail.survival", "forget.survival"),
        _bar(run, "after: another value", "lmlm", "forget.detail.wrong_answer", "forget.wrong_answer"),
        _bar(run, "other facts lost", "lmlm", "forget.detail.collateral", "forget.collateral"),
    ]
    return bar_drawing(
        [("edited facts", [bar for bar in edit if bar]), ("forgotten facts", [bar for bar in forget if bar])],
        "edits",
        "Before and after edits and forgetting",
        "Facts were chosen among those answered right before. Edits and forgetting change rows, not the model.",
    )


def _always_before(run: RunResults, path: str) -> Bar | None:
    """The bar for the answers before, which are all right by selection."""
    return None if run.number(path) is None else Bar("before: old value", "off", 1.0)


def _bar(run: RunResults, label: str, colour: str, path: str, plain: str | None = None) -> Bar | None:
    value = run.number(plain or f"{path}.accuracy")
    interval = run.figure(f"{path}.interval")
    return None if value is None else Bar(label, colour, value, tuple(interval) if interval else None)


_DRAWINGS: tuple[Callable[[RunResults], Drawing | None], ...] = (
    _mentions,
    _with_and_without,
    _perplexity,
    _value_loss,
    _edit_and_forget,
)


def _shown(trace: Trace, number: int) -> dict[str, Any]:
    """Split a trace into pieces of text, each with the statement behind it; also return the statements with anchors."""
    pieces: list[tuple[str, dict[str, Any] | None]] = []
    notes = [_note(statement, f"t{number}-{index}", index) for index, statement in enumerate(trace.statements, 1)]
    place = 0
    for statement, note in zip(trace.statements, notes, strict=True):
        start, end = max(place, statement.start), max(place, statement.end)
        pieces += [(trace.text[place:start], None), (trace.text[start:end], note)]
        place = end
    pieces.append((trace.text[place:], None))
    return {"prompt": trace.prompt, "pieces": pieces, "notes": notes}


def _note(statement: Statement, anchor: str, number: int) -> dict[str, Any]:
    return {"anchor": anchor, "number": number, "found": bool(statement.values), "statement": statement}


def _examples(run: RunResults) -> list[dict[str, Any]]:
    """The model's answers before and after, for a few edited and forgotten facts."""
    found = ((kind, run.figure(f"{kind}.examples") or []) for kind in ("edit", "forget"))
    return [{"kind": kind, **example} for kind, examples in found for example in examples]


def _measured(arm: str, name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """A task's result as table rows: every number, by its dotted name."""
    figures = entry["figures"]
    rows = [(path, format_number(number)) for path, number in plain_numbers(figures)]
    return {
        "name": name.replace("_", " "),
        "arm": ARMS[arm],
        "rows": rows,
        "skipped": figures.get("skipped"),
        "seed": entry.get("seed"),
        "quick": (entry.get("settings") or {}).get("quick", False),
    }


def _seconds(run: RunResults) -> list[tuple[str, str]]:
    stages = run.figure("seconds") or {}
    return [(name.replace("_", " "), _duration(float(seconds))) for name, seconds in stages.items()]


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {round(seconds % 60):02d} s"
