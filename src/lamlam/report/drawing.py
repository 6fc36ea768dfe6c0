"""A figure of the page: the drawing, its caption, and the same in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from lamlam.report.figures import Bar, Series, bars, curves

__all__ = ["Drawing", "bar_drawing", "curve_drawing"]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure of the page: an SVG element, its title, its caption, and a text alternative."""

    name: str
    title: str
    caption: str
    alt: str
    svg: str

    @property
    def element(self) -> Markup:
        """The SVG with ids of its own, since all drawings share one page."""
        svg = self.svg
        for before in ('id="', "url(#", 'href="#'):
            svg = svg.replace(before, f"{before}{self.name}-")
        return Markup(svg.replace("<svg ", '<svg aria-hidden="true" ', 1))


def bar_drawing(panels: Sequence[tuple[str, Sequence[Bar]]], name: str, title: str, caption: str) -> Drawing | None:
    """Draw panels of bars; panels without a bar are left out. None if nothing is left to draw."""
    panels = [(heading, shown) for heading, shown in panels if shown]
    if not panels:
        return None
    alt = "; ".join(
        f"{heading}: " + ", ".join(f"{bar.label} {100 * bar.value:.1f}%" for bar in shown) for heading, shown in panels
    )
    return Drawing(name, title, caption, f"{title}. {alt}.", bars(panels))


def curve_drawing(
    panels: Sequence[tuple[str, Sequence[Series]]], ylabel: str, title: str, caption: str, *, log: bool = False
) -> Drawing | None:
    """Draw panels of curves over training; panels without a curve are left out. None if nothing is left to draw."""
    panels = [(name, series) for name, series in panels if series]
    if not panels:
        return None
    ends = "; ".join(
        f"{name}: {curve.label} ends at {curve.points[-1][1]:.2f}" for name, series in panels for curve in series
    )
    name = title.lower().replace(",", "").replace(" ", "-")
    return Drawing(name, title, caption, f"{title}. {ends}.", curves(panels, ylabel, log=log))
