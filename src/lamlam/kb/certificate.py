"""What forgetting did, or would do, told without telling what was forgotten."""

from dataclasses import asdict, dataclass
from typing import Any

from lamlam.kb.scan import Scan

__all__ = ["Certificate"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """The facts erased, by their ids; what went with them; digests of the file before and after; the search of it.

    `erased` counts the rows of each table that are gone. A dry run changes nothing: it has ids and the counts of facts
    and sources, and neither a revision nor an "after".
    """

    time: str
    dry_run: bool
    facts: tuple[int, ...]
    erased: dict[str, int]
    before: str
    after: str | None = None
    revision: int | None = None
    tombstones: int = 0
    scan: Scan | None = None

    @property
    def clean(self) -> bool:
        """Whether the files were searched and nothing erased was found in them."""
        return self.scan is not None and self.scan.clean

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "facts": list(self.facts), "clean": self.clean}
