"""The tables of a knowledge base.

Names, relations and values are dictionary-encoded: a fact is three small integers and the revisions between which it
held (`until` is 0 while it does). Names carry their normalised form in an indexed column. An alias is a pointer to an
entity or a relation. A tombstone is a keyed digest of what was forgotten and tells nothing to who does not already
know it. `entity_trigram` holds the normalised names and aliases of entities (rowid: twice the id, and one more for an
alias), contentless, for finding names that are spelled alike.
"""

__all__ = ["APPLICATION_ID", "SCHEMA", "VERSION"]

APPLICATION_ID = 0x4C6D4B42  # "LmKB", in the header of the file
VERSION = 1

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE revision (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    reason TEXT NOT NULL
);

CREATE TABLE entity (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, norm TEXT NOT NULL);
CREATE INDEX entity_norm ON entity (norm);
CREATE TABLE relation (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, norm TEXT NOT NULL);
CREATE INDEX relation_norm ON relation (norm);
CREATE TABLE value (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE document (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

CREATE TABLE fact (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    entity INTEGER NOT NULL REFERENCES entity (id),
    relation INTEGER NOT NULL REFERENCES relation (id),
    value INTEGER NOT NULL REFERENCES value (id),
    since INTEGER NOT NULL REFERENCES revision (id),
    until INTEGER NOT NULL DEFAULT 0,
    supersedes INTEGER REFERENCES fact (id),
    CHECK (until = 0 OR until >= since)
);
CREATE UNIQUE INDEX fact_slot ON fact (entity, relation, value, until);
CREATE INDEX fact_relation ON fact (relation);
CREATE INDEX fact_value ON fact (value);
CREATE INDEX fact_supersedes ON fact (supersedes) WHERE supersedes IS NOT NULL;

CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    fact INTEGER NOT NULL REFERENCES fact (id),
    document INTEGER NOT NULL REFERENCES document (id),
    start INTEGER,
    "end" INTEGER,
    since INTEGER NOT NULL REFERENCES revision (id)
);
CREATE UNIQUE INDEX source_once ON source (fact, document, ifnull(start, -1), ifnull("end", -1));
CREATE INDEX source_document ON source (document);

CREATE TABLE entity_alias (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    norm TEXT NOT NULL,
    target INTEGER NOT NULL REFERENCES entity (id),
    since INTEGER NOT NULL REFERENCES revision (id),
    UNIQUE (target, name)
);
CREATE INDEX entity_alias_norm ON entity_alias (norm);
CREATE TABLE relation_alias (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    norm TEXT NOT NULL,
    target INTEGER NOT NULL REFERENCES relation (id),
    since INTEGER NOT NULL REFERENCES revision (id),
    UNIQUE (target, name)
);
CREATE INDEX relation_alias_norm ON relation_alias (norm);

CREATE TABLE tombstone (
    digest BLOB PRIMARY KEY,
    revision INTEGER NOT NULL REFERENCES revision (id)
) WITHOUT ROWID;

CREATE VIRTUAL TABLE entity_trigram USING fts5 (
    norm, content = '', detail = none, tokenize = 'trigram case_sensitive 1'
);
"""
