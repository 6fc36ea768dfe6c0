"""The tables of the schema as data: their columns and keys, read from the statements that make them."""

import re
from dataclasses import dataclass

from lamlam.kb.schema import TABLES

__all__ = ["LAYOUT", "Layout"]

_TABLE = re.compile(r"CREATE TABLE (\w+) \((.*?)\)(?: WITHOUT ROWID)?;", re.DOTALL)
_COLUMN = re.compile(r'("?\w+"?) (?:INTEGER|REAL|TEXT|BLOB)\b')
_KEY_OF_ONE = re.compile(r'("?\w+"?) \w+ PRIMARY KEY')
_KEY_OF_SEVERAL = re.compile(r"PRIMARY KEY \((.*?)\)")


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table, and those of its primary key, as SQL spells them."""

    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def counted(self) -> bool:
        """Whether the database gives its rows their ids."""
        return self.key == ("id",)


def _layout(definition: str) -> Layout:
    several = _KEY_OF_SEVERAL.search(definition)
    key = several[1].split(", ") if several else _KEY_OF_ONE.findall(definition)
    return Layout(tuple(_COLUMN.findall(definition)), tuple(key))


# In an order in which each table comes after those that it points at.
LAYOUT = {table: _layout(definition) for table, definition in _TABLE.findall(TABLES)}
