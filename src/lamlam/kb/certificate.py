"""What forgetting did, or would do, told without telling what was forgotten."""

from dataclasses import asdict, dataclass
from typing import Any

from lamlam.kb.scan import Scan

__all__ = ["Certificate"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was asked; the facts erased, and why; what went with them; digests of the file before and after; its search.

    `asked` names the fields of the request, and `request` is its keyed digest: who knows the request can prove by
    `KnowledgeBase.request_digest` that this is the answer, and nobody else learns it. `facts` are ids and `reasons`
    stand beside them; `erased` counts the rows of each table that are gone. `included` names what was to go with an
    entity. `related` are facts that remain although they tell of what is erased, a thousand at most, with the reasons
    beside them, and `left` counts all of these by the reason.

    A dry run changes nothing: it has neither a revision nor an "after".

    The knowledge base keeps its certificates, so that `after` cannot be of the file as it is later: it is that of the
    file as erasing left it, before the finished certificate was put in. Where `after` is missing and it was no dry run,
    the program ended before the files were searched, and `before` is missing as well.
    """

    time: str
    dry_run: bool
    asked: tuple[str, ...]
    request: str
    facts: tuple[int, ...]
    reasons: tuple[str, ...]
    related: tuple[int, ...]
    related_reasons: tuple[str, ...]
    left: dict[str, int]
    erased: dict[str, int]
    included: tuple[str, ...] = ()
    before: str | None = None
    after: str | None = None
    revision: int | None = None
    tombstones: int = 0
    scan: Scan | None = None

    @property
    def clean(self) -> bool:
        """Whether the files were searched and nothing erased was found in them."""
        return self.scan is not None and self.scan.clean

    def as_json(self) -> dict[str, Any]:
        lists = {name: list(each) for name, each in asdict(self).items() if isinstance(each, tuple)}
        return {**asdict(self), **lists, "clean": self.clean}
