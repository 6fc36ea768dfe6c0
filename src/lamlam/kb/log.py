"""The log of a knowledge base: one entry for each write."""

from dataclasses import dataclass

from lamlam.kb.database import Database

__all__ = ["Revision", "read_log"]


@dataclass(frozen=True, slots=True)
class Revision:
    """One write: when (ISO 8601, UTC), by whom, what and why, and how many facts began and ended with it.

    Facts that were forgotten since do not count.
    """

    id: int
    time: str
    actor: str
    action: str
    reason: str
    began: int
    ended: int


def read_log(database: Database) -> list[Revision]:
    """All revisions, the oldest first."""
    began = {row[0]: row[1] for row in database.rows("SELECT since, count(*) FROM fact GROUP BY since")}
    ended = {row[0]: row[1] for row in database.rows("SELECT until, count(*) FROM fact WHERE until > 0 GROUP BY until")}
    rows = database.rows("SELECT id, time, actor, action, reason FROM revision ORDER BY id")
    return [Revision(*row, *(counts.get(row[0], 0) for counts in (began, ended))) for row in rows]
