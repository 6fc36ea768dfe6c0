"""Text out of HTML: its lines, each with the bold label before it. Entities are decoded, and no tag is left."""

from dataclasses import dataclass
from html.parser import HTMLParser

__all__ = ["Line", "lines_of"]

_BREAKS = {"br", "p", "div", "li", "ul", "ol", "tr", "table", "h1", "h2", "h3", "h4", "h5", "h6"}
_BOLD = {"b", "strong"}
_HIDDEN = {"script", "style"}
_LONGEST_LABEL = 60


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text. `label` is what stood in bold before a colon at its start, as in **note:**; empty without one."""

    text: str
    label: str = ""


def lines_of(html: str) -> list[Line]:
    """The lines of a text that may have HTML in it; blank ones are left out."""
    if "<" not in html and "&" not in html and "\n" not in html:
        return [Line(text)] if (text := " ".join(html.split())) else []
    parser = _Text()
    parser.feed(html)
    parser.close()
    parser.end_line()
    return parser.lines


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[Line] = []
        self._pieces: list[tuple[str, bool]] = []  # text, and whether it is bold
        self._bold = self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in _BREAKS:
            self.end_line()
        self._bold += tag in _BOLD
        self._hidden += tag in _HIDDEN

    def handle_endtag(self, tag: str) -> None:
        if tag in _BREAKS:
            self.end_line()
        self._bold = max(0, self._bold - (tag in _BOLD))
        self._hidden = max(0, self._hidden - (tag in _HIDDEN))

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._pieces.append((data, self._bold > 0))

    def end_line(self) -> None:
        label, text = self._split()
        self._pieces = []
        if text:
            self.lines.append(Line(text, label))

    def _split(self) -> tuple[str, str]:
        """The bold label before the first colon, and the text behind it."""
        whole = " ".join("".join(piece for piece, _ in self._pieces).split())
        label, colon, rest = whole.partition(":")
        bold = ""
        for piece, is_bold in self._pieces:
            if piece.strip() and not is_bold:
                break
            bold += piece
        bold = " ".join(bold.split())
        if colon and label.strip() and len(label) <= _LONGEST_LABEL and bold.startswith(label.strip()):
            return label.strip(), rest.strip()
        return "", whole
