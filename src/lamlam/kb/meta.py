"""What a knowledge base keeps about itself: texts by their keys."""

from lamlam.kb.database import Database

__all__ = ["keep", "kept"]


def keep(database: Database, key: str, text: str) -> None:
    """Keep a text in place of what was kept under the key; within an open transaction."""
    sql = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    database.run(sql, (key, text.encode()))


def kept(database: Database, key: str) -> str | None:
    """What is kept under a key; None where nothing is."""
    value = database.scalar("SELECT value FROM meta WHERE key = ?", (key,))
    return None if value is None else value if isinstance(value, str) else bytes(value).decode()
