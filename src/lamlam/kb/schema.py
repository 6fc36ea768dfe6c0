"""The tables of a knowledge base in SQLite.

Names of entities and relations are dictionary-encoded: a fact is two small integers, its value, and the revisions
between which it held (`until` is 0 while it does). A spelling table holds the normalised form of every name and alias
of its kind (`alias` is 0 for the name itself), so that one probe finds both, and a prefix is a range. `entity_key`
holds 32-bit digests of parts of these spellings, for finding misspelt names (`kb.blocking`); `value_key` 24-bit
ones of normalised values. A tombstone is a keyed digest of what was forgotten and tells nothing to who does not already
know it. `relation_pair` counts the entities for which two relations share a value, or have different ones.
"""

__all__ = ["APPLICATION_ID", "INDEXES", "TABLES", "VERSION"]

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
