"""What was proposed, for a person to review: a page in HTML or Markdown, escaped, as names and values are untrusted."""

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from lamlam.errors import InputError
from lamlam.files import atomic_write
from lamlam.kb.folding.decisions import Folding
from lamlam.kb.folding.judgement import Decision

__all__ = ["write_folding_report"]

_SHOWN = 500  # pairs of a section
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~-])")


def write_folding_report(foldings: Iterable[Folding], out: str | Path) -> None:
    """Write the review of foldings to `out`, which ends in .html or .md. Raises `InputError` where it does not."""
    target = Path(out)
    if target.suffix not in (".html", ".md"):
        raise InputError("must end in .html or .md", path=target)
    environment = Environment(
        loader=PackageLoader("lamlam.kb", "folding"),
        autoescape=target.suffix == ".html",
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = _plain
    told = list(foldings)
    parts = {decision.value: [each for each in told if each.decision is decision] for decision in Decision}
    page = environment.get_template(f"report{target.suffix}").render(
        counts={name: len(part) for name, part in parts.items()},
        folded=len({each.name for each in parts["accept"]}),
        groups=_groups(parts["accept"])[:_SHOWN],
        pending=parts["pending"][:_SHOWN],
        rejected=parts["reject"][:_SHOWN],
        shown=_SHOWN,
    )
    with atomic_write(target) as file:
        file.write(page)


def _groups(accepted: Sequence[Folding]) -> list[tuple[str, list[Folding]]]:
    """Accepted pairs by the relation that the others stand for."""
    groups: dict[str, list[Folding]] = {}
    for folding in accepted:
        groups.setdefault(folding.into, []).append(folding)
    return list(groups.items())


def _plain(text: object) -> str:
    """Text that Markdown, with or without HTML in it, shows as it is: on one line, its signs escaped."""
    return _MARKDOWN.sub(r"\\\1", html.escape(" ".join(str(text).split()), quote=False))
