"""The report's figures, drawn by Matplotlib as SVG that a page can hold inline and colour by its own style sheet.

Colours are drawn as placeholders and become CSS variables, so that one drawing serves light and dark pages.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, ScalarFormatter

from lamlam.report.run import Curve

__all__ = ["Bar", "Dot", "Series", "bars", "curves", "points", "scatter"]

# Placeholder -> what the page puts in its place.
_COLOURS = {
    "lmlm": ("#010101", "var(--lmlm)"),
    "standard": ("#020202", "var(--standard)"),
    "off": ("#030303", "var(--off)"),
    "ink": ("#040404", "var(--ink)"),
    "soft": ("#050505", "var(--soft)"),
    "grid": ("#060606", "var(--line)"),
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lamlam",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
}


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart: its label, colour ("lmlm", "standard", "off") and points; dashed for a second kind."""

    label: str
    colour: str
    points: Curve
    dashed: bool = False
    intervals: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: a proportion with its interval."""

    label: str
    colour: str
    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Dot:
    """One dot of a scatter, with its label beside it."""

    label: str
    colour: str
    x: float
    y: float


def curves(panels: Sequence[tuple[str, Sequence[Series]]], ylabel: str, *, log: bool = False) -> str:
    """Draw figures over training tokens: one panel for each title, side by side, with a common vertical axis."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.2, 3.1))
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, (title, series) in zip(axes, panels, strict=True):
            for curve in series:
                _line(axis, curve)
            axis.set_title(title, loc="left", fontsize=10, color=_placeholder("ink"))
            axis.set_xlabel("training tokens")
            axis.xaxis.set_major_formatter(FuncFormatter(_tokens))
            if log:
                _log_scale(axis)
            _dress(axis)
        axes[0].set_ylabel(ylabel)
        if not log:
            axes[0].set_ylim(bottom=0)  # a wiggle should look like one
        _legend(figure, axes[0])
        return _svg(figure)


def points(labels: Sequence[str], series: Sequence[Series], xlabel: str, ylabel: str) -> str:
    """Draw proportions over named places, with their intervals; a point's x is the index of its label."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.2, 3.3))
        axis = figure.subplots()
        for number, line in enumerate(series):
            _points(axis, line, shift=0.05 * (2 * number - len(series) + 1))
        axis.set_xticks(range(len(labels)), labels)
        axis.set_xlim(-0.5, len(labels) - 0.5)
        axis.set_xlabel(xlabel)
        axis.set_ylabel(ylabel)
        _share_axis(axis, "y")
        _dress(axis)
        _legend(figure, axis)
        return _svg(figure)


def bars(panels: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """Draw proportions as horizontal bars, a panel for each title."""
    with mpl.rc_context(_STYLE):
        rows = max(len(shown) for _, shown in panels)
        figure = Figure(figsize=(8.2, 0.75 + 0.42 * rows))
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, (title, shown) in zip(axes, panels, strict=True):
            for row, bar in enumerate(shown):
                _bar(axis, row, bar)
            axis.set_yticks(range(len(shown)), [bar.label for bar in shown])
            axis.set_ylim(rows - 0.4, -0.6)
            axis.set_title(title, loc="left", fontsize=10, color=_placeholder("ink"))
            _share_axis(axis, "x", ticks=5 if len(panels) < 3 else 3)
            _dress(axis, grid="x")
            axis.spines["left"].set_visible(False)
            axis.spines["bottom"].set_bounds(0, 1)
        figure.tight_layout(w_pad=2)
        return _svg(figure)


def scatter(dots: Sequence[Dot], xlabel: str, ylabel: str, level: tuple[float, str] | None = None) -> str:
    """Draw dots with their labels; `level` is a height to compare with, and its name."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.2, 4.2))
        axis = figure.subplots()
        for dot in dots:
            axis.plot(dot.x, dot.y, "o", color=_placeholder(dot.colour), markersize=7)
        for dot, height in zip(dots, _apart(dots), strict=True):
            place: Any = {"xytext": (9, height), "textcoords": "offset points", "va": "center", "fontsize": 9}
            axis.annotate(dot.label, (dot.x, dot.y), color=_placeholder(dot.colour), **place)
        if level is not None:
            axis.axhline(level[0], color=_placeholder("soft"), linewidth=0.8, linestyle=(0, (3, 2)))
            axis.annotate(
                level[1],
                (1, level[0]),
                (0, 3),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                color=_placeholder("soft"),
                fontsize=9,
            )
        axis.set_xlabel(xlabel)
        axis.set_ylabel(ylabel)
        axis.margins(x=0.18, y=0.15)
        _dress(axis)
        figure.tight_layout()
        return _svg(figure)


def _apart(dots: Sequence[Dot]) -> list[float]:
    """How far, in points, to move each label so that the labels of neighbouring dots don't overlap."""
    wide, high = (max(v) - min(v) or 1.0 for v in ([dot.x for dot in dots], [dot.y for dot in dots]))
    in_points = [dot.y / high * 180 for dot in dots]  # the height of the drawing that dots take up, about
    placed: dict[int, float] = {}
    for index in sorted(range(len(dots)), key=lambda index: -in_points[index]):
        beside = [at for other, at in placed.items() if abs(dots[other].x - dots[index].x) < 0.3 * wide]
        placed[index] = min([in_points[index], *(at - 12 for at in beside)])
    return [placed[index] - at for index, at in enumerate(in_points)]


def _line(axis: Axes, series: Series) -> None:
    x, y = zip(*series.points, strict=True)
    axis.plot(
        x,
        y,
        color=_placeholder(series.colour),
        linestyle=_dash(series),
        marker="o" if len(x) == 1 else "",
        label=series.label,
    )


def _dash(series: Series) -> Any:
    return (0, (3, 2)) if series.dashed else "-"


def _points(axis: Axes, series: Series, shift: float) -> None:
    x, y = [place + shift for place, _ in series.points], [value for _, value in series.points]
    spread = [
        [value - low for value, (low, _) in zip(y, series.intervals, strict=True)],
        [high - value for value, (_, high) in zip(y, series.intervals, strict=True)],
    ]
    colour = _placeholder(series.colour)
    style: Any = {"linestyle": _dash(series), "marker": "o", "markersize": 5, "elinewidth": 1.2}
    axis.errorbar(x, y, yerr=spread, color=colour, label=series.label, **style)


def _bar(axis: Axes, row: int, bar: Bar) -> None:
    colour = _placeholder(bar.colour)
    axis.barh(row, bar.value, height=0.62, color=colour)
    edge = bar.value
    if bar.interval is not None:
        low, high = bar.interval
        spread = [[max(0.0, bar.value - low)], [max(0.0, high - bar.value)]]
        axis.errorbar(bar.value, row, xerr=spread, color=_placeholder("ink"), elinewidth=1, capsize=2.5, fmt="none")
        edge = max(edge, high)
    axis.text(edge + 0.025, row, f"{100 * bar.value:.1f}%", va="center", color=_placeholder("ink"))


def _dress(axis: Axes, grid: Literal["x", "y"] = "y") -> None:
    axis.grid(axis=grid, color=_placeholder("grid"), linewidth=0.8)
    axis.tick_params(which="both", length=0, pad=6, colors=_placeholder("soft"), labelcolor=_placeholder("soft"))
    for label in (axis.xaxis.label, axis.yaxis.label):
        label.set_color(_placeholder("soft"))
    for spine in axis.spines.values():
        spine.set_color(_placeholder("soft"))
    axis.patch.set_visible(False)


def _log_scale(axis: Axes) -> None:
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(ScalarFormatter())
    axis.yaxis.set_minor_formatter(NullFormatter())


def _share_axis(axis: Axes, which: Literal["x", "y"], ticks: int = 5) -> None:
    """A little more than 0 to 1, so that whiskers and numbers at either end fit in."""
    limits, places = (-0.02, 1.04) if which == "y" else (0, 1.22), [tick / (ticks - 1) for tick in range(ticks)]
    (axis.set_ylim if which == "y" else axis.set_xlim)(*limits)
    (axis.set_yticks if which == "y" else axis.set_xticks)(places, [f"{100 * place:.0f}%" for place in places])


def _legend(figure: Figure, axis: Axes) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.tight_layout(w_pad=2, rect=(0, 0, 1, 0.92))
    figure.legend(
        handles, labels, loc="upper right", ncols=len(labels), handlelength=2.2, labelcolor=_placeholder("ink")
    )


def _tokens(count: float, _position: int) -> str:
    return f"{count / 1e6:g}M" if count >= 1e6 else f"{count / 1e3:g}k" if count >= 1e3 else f"{count:g}"


def _placeholder(colour: str) -> str:
    return _COLOURS[colour][0]


def _svg(figure: Figure) -> str:
    """The drawing as an SVG element without prolog, metadata, fixed size or colours."""
    figure.patch.set_visible(False)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1">', svg, count=1)
    for placeholder, variable in _COLOURS.values():
        svg = svg.replace(placeholder, variable)
    return svg.strip()
