"""The tables of a knowledge base: statements for SQLite, columns as data, and translation for PostgreSQL.

Names of entities and relations are dictionary-encoded: a fact is two small integers, its value, and the revisions
between which it held (`until` is 0 while it holds). A spelling table has the normalised form of every name and alias of
its kind (`alias` is 0 for the name itself), so that one probe finds both, and a prefix is a range. `entity_key` has
32-bit digests of parts of these spellings, which find misspelt names (`kb.names`); `value_key` has 24-bit digests of
normalised values. A tombstone is a keyed digest of what was forgotten; it reveals nothing to anyone who doesn't already
know it. `relation_pair` counts the entities for which two relations share a value, or have different ones.

The project writes one dialect of SQL, SQLite's; `translated` turns a statement into PostgreSQL's. Tables and indexes
come from the same statements, so that a change holds for both.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["APPLICATION_ID", "INDEXES", "LAYOUT", "TABLES", "VERSION", "TableLayout", "definitions", "translated"]

APPLICATION_ID = 0x4C6D4B42  # "LmKB", in the header of the file
VERSION = 3

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE revision (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    reason TEXT NOT NULL
);

CREATE TABLE entity (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE entity_alias (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    target INTEGER NOT NULL REFERENCES entity (id),
    since INTEGER NOT NULL REFERENCES revision (id),
    until INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE entity_spelling (
    norm TEXT NOT NULL, target INTEGER NOT NULL, alias INTEGER NOT NULL, PRIMARY KEY (norm, target, alias)
) WITHOUT ROWID;
CREATE TABLE entity_key (
    key INTEGER NOT NULL, target INTEGER NOT NULL, alias INTEGER NOT NULL, PRIMARY KEY (key, target, alias)
) WITHOUT ROWID;

CREATE TABLE relation (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE relation_alias (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    target INTEGER NOT NULL REFERENCES relation (id),
    since INTEGER NOT NULL REFERENCES revision (id),
    until INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE relation_spelling (
    norm TEXT NOT NULL, target INTEGER NOT NULL, alias INTEGER NOT NULL, PRIMARY KEY (norm, target, alias)
) WITHOUT ROWID;
CREATE TABLE relation_pair (
    a INTEGER NOT NULL, b INTEGER NOT NULL, shared INTEGER NOT NULL, apart INTEGER NOT NULL, PRIMARY KEY (a, b)
) WITHOUT ROWID;

CREATE TABLE fact (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    entity INTEGER NOT NULL REFERENCES entity (id),
    relation INTEGER NOT NULL REFERENCES relation (id),
    value TEXT NOT NULL,
    since INTEGER NOT NULL REFERENCES revision (id),
    until INTEGER NOT NULL DEFAULT 0,
    supersedes INTEGER REFERENCES fact (id),
    CHECK (until = 0 OR until >= since)
);
CREATE TABLE value_key (key INTEGER NOT NULL, fact INTEGER NOT NULL, PRIMARY KEY (key, fact)) WITHOUT ROWID;

CREATE TABLE value_alias (
    id INTEGER PRIMARY KEY,
    norm TEXT NOT NULL,
    target TEXT NOT NULL,
    name TEXT NOT NULL,
    since INTEGER NOT NULL REFERENCES revision (id),
    until INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE inverse (
    id INTEGER PRIMARY KEY,
    relation INTEGER NOT NULL REFERENCES relation (id),
    other INTEGER NOT NULL REFERENCES relation (id),
    since INTEGER NOT NULL REFERENCES revision (id),
    until INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE document (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    fact INTEGER NOT NULL REFERENCES fact (id),
    document INTEGER NOT NULL REFERENCES document (id),
    start INTEGER,
    "end" INTEGER,
    since INTEGER NOT NULL REFERENCES revision (id)
);

CREATE TABLE tombstone (
    digest BLOB PRIMARY KEY,
    revision INTEGER NOT NULL REFERENCES revision (id)
) WITHOUT ROWID;
"""

# Apart, because a bulk import makes them after it has written the rows.
INDEXES = {
    "fact_slot": "CREATE INDEX fact_slot ON fact (entity, relation)",
    "fact_relation": "CREATE INDEX fact_relation ON fact (relation)",
    "fact_supersedes": "CREATE INDEX fact_supersedes ON fact (supersedes) WHERE supersedes IS NOT NULL",
    "fact_until": "CREATE INDEX fact_until ON fact (until) WHERE until > 0",
    "entity_alias_once": "CREATE UNIQUE INDEX entity_alias_once ON entity_alias (target, name) WHERE until = 0",
    "relation_alias_once": "CREATE UNIQUE INDEX relation_alias_once ON relation_alias (target, name) WHERE until = 0",
    "value_alias_once": "CREATE UNIQUE INDEX value_alias_once ON value_alias (norm, target) WHERE until = 0",
    "value_alias_target": "CREATE INDEX value_alias_target ON value_alias (target)",
    "inverse_once": "CREATE UNIQUE INDEX inverse_once ON inverse (relation, other) WHERE until = 0",
    "source_once": (
        'CREATE UNIQUE INDEX source_once ON source (fact, document, coalesce(start, -1), coalesce("end", -1))'
    ),
    "source_document": "CREATE INDEX source_document ON source (document)",
}


_TABLE = re.compile(r"CREATE TABLE (\w+) \((.*?)\)(?: WITHOUT ROWID)?;", re.DOTALL)
_COLUMN = re.compile(r'("?\w+"?) (?:INTEGER|REAL|TEXT|BLOB)\b')
_KEY_OF_ONE = re.compile(r'("?\w+"?) \w+ PRIMARY KEY')
_KEY_OF_SEVERAL = re.compile(r"PRIMARY KEY \((.*?)\)")
_IDENTITY = "bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"
_TYPES = {
    r"\bINTEGER PRIMARY KEY(?: AUTOINCREMENT)?": _IDENTITY,
    r"\bINTEGER\b": "bigint",
    r"\bREAL\b": "double precision",
    r"\bTEXT\b": 'text COLLATE "C"',
    r"\bBLOB\b": "bytea",
    r"\) WITHOUT ROWID": ")",
}
# What is rolled back uses up an identity, but no number of a revision: these have no gaps. One writes at a time.
_REVISIONS = """
CREATE FUNCTION next_revision() RETURNS bigint LANGUAGE sql AS 'SELECT coalesce(max(id), 0) + 1 FROM revision';
ALTER TABLE revision ALTER id DROP IDENTITY, ALTER id SET DEFAULT next_revision()
"""
_TOKEN = re.compile(
    r"""(?P<kept>'(?:[^']|'')*'|"(?:[^"]|"")*"|::)|(?P<mark>\?)|(?P<percent>%)|:(?P<name>[a-z_]\w*)|
    (?P<instr>\binstr\()|(?P<nothing>\bIN\s*\(\))""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class TableLayout:
    """The columns of a table, and those of its primary key, as SQL spells them."""

    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def counted(self) -> bool:
        """Whether the database gives its rows their ids."""
        return self.key == ("id",)


def _layout(definition: str) -> TableLayout:
    several = _KEY_OF_SEVERAL.search(definition)
    key = several[1].split(", ") if several else _KEY_OF_ONE.findall(definition)
    return TableLayout(tuple(_COLUMN.findall(definition)), tuple(key))


# In an order in which each table comes after those that it points at.
LAYOUT = {table: _layout(definition) for table, definition in _TABLE.findall(TABLES)}


def definitions() -> str:
    """Return the statements that make all tables and indexes in PostgreSQL."""
    return ";\n".join([_retyped(TABLES).rstrip().rstrip(";"), _REVISIONS, *map(_retyped, INDEXES.values())])


@lru_cache(maxsize=2048)
def translated(sql: str) -> str:
    """Return a statement with psycopg's places for parameters. What is in quotes stays as it is."""
    if sql.lstrip().startswith("CREATE "):
        sql = _retyped(sql)
    return _TOKEN.sub(_token, sql)


def _token(found: re.Match[str]) -> str:
    if found["name"]:
        return f"%({found['name']})s"
    if found["kept"]:
        return found["kept"].replace("%", "%%")
    if found["nothing"]:
        return "IN (NULL)"
    return "%s" if found["mark"] else "%%" if found["percent"] else "strpos("


def _retyped(sql: str) -> str:
    for pattern, replacement in _TYPES.items():
        sql = re.sub(pattern, replacement, sql)
    return sql
