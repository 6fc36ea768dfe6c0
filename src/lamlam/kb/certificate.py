"""Certificates: what forgetting did, or would do, without revealing what was forgotten.

A knowledge base keeps its certificates itself, so every copy has them. The transaction that erases stores what is known
by then; once the files were searched, the finished certificate replaces it. One that stays unfinished shows that the
program ended in between.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from lamlam.kb.database import Database, keep, kept
from lamlam.kb.scan import Scan

__all__ = ["Certificate", "Certificates"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was asked; the facts erased, and why; what went with them; digests of the file before and after; its search.

    `asked` names the fields of the request, and `request` is its keyed digest: whoever knows the request can prove with
    `KnowledgeBase.request_digest` that this is the answer, and nobody else learns it. `facts` are ids, with their
    `reasons` in the same order; `erased` counts the rows of each table that are gone. `included` names what was to go
    with an entity. `related` are facts that remain although they reveal what is erased, at most a thousand, with their
    reasons, and `left` counts all of these by reason.

    A dry run changes nothing: it has neither a revision nor an "after".

    The knowledge base keeps its certificates, so `after` cannot be of the file as it is later: it is of the file as
    erasing left it, before the finished certificate was stored. If it was no dry run and `after` and `before` are
    missing, the program ended before the files were searched.
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
        lists = {name: list(value) for name, value in asdict(self).items() if isinstance(value, tuple)}
        return {**asdict(self), **lists, "clean": self.clean}


_KEY = "certificate:"
_BEYOND = "certificate;"  # the next text after all that begin with the key


class Certificates:
    """Reads certificates, and stores them inside an open transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, certificate: Certificate) -> None:
        text = json.dumps(certificate.as_json(), ensure_ascii=True, separators=(",", ":"))
        keep(self._database, f"{_KEY}{certificate.revision}", text)

    def find(self, revision: int) -> dict[str, Any] | None:
        """Return the certificate of a revision as JSON; None if it has none."""
        text = kept(self._database, f"{_KEY}{revision}")
        return None if text is None else dict(json.loads(text))

    def revisions(self) -> list[int]:
        """Return the revisions that have one, the newest first."""
        rows = self._database.rows("SELECT key FROM meta WHERE key >= ? AND key < ?", (_KEY, _BEYOND))
        return sorted((int(row[0].removeprefix(_KEY)) for row in rows), reverse=True)
