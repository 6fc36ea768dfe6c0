"""Values that are one, and relations that say the same the other way round: what people declare of them.

Aliases of entities and relations are read with their names, by `kb.reader`.
"""

from lamlam.kb.database import Database
from lamlam.kb.names import normalise

__all__ = ["Synonyms"]


class Synonyms:
    """Reads what is declared now."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def any_values(self) -> bool:
        return self._database.one("SELECT 1 FROM value_alias WHERE until = 0 LIMIT 1") is not None

    def value_target(self, value: str) -> str:
        """The normalised value that a value stands for: its own, unless it is an alias."""
        norm = normalise(value)
        found = self._database.scalar(
            "SELECT target FROM value_alias WHERE norm = ? AND until = 0 ORDER BY id", (norm,)
        )
        return found or norm

    def values(self, value: str) -> set[str]:
        """The normalised values that are the same as a value, itself included."""
        target = self.value_target(value)
        rows = self._database.rows("SELECT norm FROM value_alias WHERE target = ? AND until = 0", (target,))
        return {target, normalise(value), *(row[0] for row in rows)}

    def inverses(self, relation: str) -> set[str]:
        """The normalised names of the relations that are the inverse of one."""
        sql = """
            SELECT r.name FROM relation_spelling s JOIN inverse i ON i.relation = s.target
            JOIN relation r ON r.id = i.other WHERE s.norm = ? AND s.alias = 0 AND i.until = 0
        """
        return {normalise(row[0]) for row in self._database.rows(sql, (normalise(relation),))}
