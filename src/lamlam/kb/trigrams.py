"""Names of entities by the three-letter pieces that they share: candidates for a misspelled name.

An FTS5 index finds them; how alike they really are is left to `kb.similarity`.
"""

from collections import Counter

from lamlam.kb.database import Database

__all__ = ["Trigrams"]

_COMMON = 500  # a piece that more names have tells little: it counts only together with its neighbours
_BLOCK = 3


class Trigrams:
    """The index `entity_trigram`. Rows are twice an entity's id, and one more than twice an alias's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: int, norm: str) -> None:
        self._database.run("INSERT INTO entity_trigram (rowid, norm) VALUES (?, ?)", (row, norm))

    def remove(self, row: int, norm: str) -> None:
        """`norm` must be the text that was added: the index holds no copy of it."""
        self._database.run(
            "INSERT INTO entity_trigram (entity_trigram, rowid, norm) VALUES ('delete', ?, ?)", (row, norm)
        )

    def compact(self) -> None:
        """Drop what removed rows left behind."""
        self._database.run("INSERT INTO entity_trigram (entity_trigram) VALUES ('optimize')")

    def nearest(self, norm: str, limit: int) -> list[int]:
        """The rows that share the most pieces with a normalised name, best first; rare pieces decide."""
        pieces = [piece for piece in _pieces(norm) if "\x00" not in piece]
        shared: Counter[int] = Counter()
        common = []
        for piece in dict.fromkeys(pieces):
            rows = self._matching([piece])
            if len(rows) < _COMMON:
                shared.update(rows)
            else:
                common.append(piece)
        for start in range(0, len(common), _BLOCK):
            shared.update(self._matching(common[start : start + _BLOCK]))
        return [row for row, _ in sorted(shared.items(), key=lambda item: (-item[1], item[0]))[:limit]]

    def _matching(self, pieces: list[str]) -> list[int]:
        query = " AND ".join('"' + piece.replace('"', '""') + '"' for piece in pieces)
        sql = f"SELECT rowid FROM entity_trigram WHERE entity_trigram MATCH ? LIMIT {_COMMON}"
        return [row[0] for row in self._database.rows(sql, (query,))]


def _pieces(norm: str) -> list[str]:
    return [norm[at : at + 3] for at in range(len(norm) - 2)]
