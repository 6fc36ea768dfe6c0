"""A figure of the page: the drawing, what to see in it, and the same in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from lamlam.report.figures import Bar, Series, bars, curves

__all__ = ["Drawing", "bar_drawing", "curve_drawing"]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure of the page: an SVG element, its title, what to see in it, and the same for those who cannot."""

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
    """Panels of bars; those without a bar are left out, and None is left of none."""
    panels = [(heading, of) for heading, of in panels if of]
    if not panels:
        return None
    alt = "; ".join(f"{heading}: " + ", ".join(f"{b.label} {100 * b.value:.1f}%" for b in of) for heading, of in panels)
    return Drawing(name, title, caption, f"{title}. {alt}.", bars(panels))


def curve_drawing(
    panels: Sequence[tuple[str, Sequence[Series]]], ylabel: str, title: str, caption: str, *, log: bool = False
) -> Drawing | None:
    """Panels of curves over training; those without a curve are left out, and None is left of none."""
    panels = [(name, series) for name, series in panels if series]
    if not panels:
        return None
    ends = "; ".join(f"{name}: {each.label} ends at {each.points[-1][1]:.2f}" for name, of in panels for each in of)
    name = title.lower().replace(",", "").replace(" ", "-")
    return Drawing(name, title, caption, f"{title}. {ends}.", curves(panels, ylabel, log=log))
