"""The certificates of a knowledge base, which keeps them itself: whoever has it has them, and so has every copy.

A certificate is put in by the transaction that erases, as far as it can be made out then; when the files were searched
the finished one takes its place. One that is not finished tells that the program ended in between.
"""

import json
from typing import Any

from lamlam.kb.certificate import Certificate
from lamlam.kb.database import Database
from lamlam.kb.meta import keep, kept

__all__ = ["Certificates"]

_KEY = "certificate:"
_BEYOND = "certificate;"  # the next text after all that begin with the key


class Certificates:
    """Reads, and writes inside an open transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, certificate: Certificate) -> None:
        text = json.dumps(certificate.as_json(), ensure_ascii=True, separators=(",", ":"))
        keep(self._database, f"{_KEY}{certificate.revision}", text)

    def find(self, revision: int) -> dict[str, Any] | None:
        """The certificate of a revision as JSON; None where it has none."""
        text = kept(self._database, f"{_KEY}{revision}")
        return None if text is None else dict(json.loads(text))

    def revisions(self) -> list[int]:
        """The revisions that have one, the newest first."""
        rows = self._database.rows("SELECT key FROM meta WHERE key >= ? AND key < ?", (_KEY, _BEYOND))
        return sorted((int(row[0].removeprefix(_KEY)) for row in rows), reverse=True)
