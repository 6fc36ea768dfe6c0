"""Bring names that were stored before names had a canonical form into that form, once for each knowledge base.

Names that are the same now become one entity, or relation, with the facts, sources and aliases of all; history keeps
its revisions. The form itself is left to `kb.names`.
"""

import logging

from lamlam.errors import StoreError
from lamlam.kb.database import Database, get_meta, set_meta
from lamlam.kb.names import canonical, digest, former, forms, normalise, value_key
from lamlam.kb.writer import spell, unspell

__all__ = ["respell"]

_LOG = logging.getLogger(__name__)
_KEY, _FORM = "names", "1"
_TABLES = ("entity", "relation")


def respell(database: Database) -> None:
    """Give all names their canonical form, unless that was done already or the knowledge base cannot be written.

    While another program writes, this does nothing, and the next opening makes up for it.
    """
    if not database.writable or get_meta(database, _KEY) == _FORM:
        return
    try:
        with database.transaction():
            _Respelling(database).run()
            set_meta(database, _KEY, _FORM)
    except StoreError as error:
        _LOG.info("the names are not in their canonical form yet: %s", error)


class _Respelling:
    """Works in an open transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self) -> None:
        for table in _TABLES:
            for number, name in self._old(f"SELECT id, name FROM {table} ORDER BY id"):
                self._name(table, number, name)
            for number, name in self._old(f"SELECT id, name FROM {table}_alias ORDER BY id"):
                self._alias(table, number, name)
        for number, value in self._old("SELECT id, value FROM fact ORDER BY id", kept_as_given=True):
            self._value(number, value)
        self._value_aliases()

    def _old(self, sql: str, kept_as_given: bool = False) -> list[tuple[int, str]]:
        """Return ids and texts with invisible characters or, unless they are kept as given, that are not canonical."""
        rows = self._database.stream(sql)
        return [(n, text) for n, text in rows if len(forms(text)) > 1 or not (kept_as_given or canonical(text) == text)]

    # Names

    def _name(self, table: str, number: int, name: str) -> None:
        """Rename an entity or a relation, or merge it into the one that has the name already."""
        run, new = self._database.run, canonical(name)
        sql = f"SELECT t.id FROM {table}_spelling s JOIN {table} t ON t.id = s.target WHERE s.norm = ? AND s.alias = 0"
        found = self._database.rows(f"{sql} AND t.name = ? AND t.id <> ?", (normalise(name), new, number))
        self._unspell(table, name, number, 0)
        if not found:
            run(f"UPDATE {table} SET name = ? WHERE id = ?", (new, number))
            spell(self._database, table, normalise(new), number)
            return
        ((kept,),) = found
        self._move_aliases(table, number, kept)
        run(f"UPDATE fact SET {table} = ? WHERE {table} = ?", (kept, number))
        if table == "relation":
            self._move_relation(number, kept)
        run(f"DELETE FROM {table} WHERE id = ?", (number,))
        self._fold_doubles(table, kept)

    def _move_aliases(self, table: str, number: int, kept: int) -> None:
        sql = f"SELECT id, name FROM {table}_alias WHERE target = ?"
        for alias, name in self._database.rows(sql, (number,)):
            self._unspell(table, name, number, alias)
            if self._has_alias(table, kept, name, alias):
                self._database.run(f"DELETE FROM {table}_alias WHERE id = ?", (alias,))
            else:
                self._database.run(f"UPDATE {table}_alias SET target = ? WHERE id = ?", (kept, alias))
                spell(self._database, table, former(name), kept, alias)

    def _has_alias(self, table: str, target: int, name: str, alias: int) -> bool:
        """Whether another alias in force would be the same as an alias in force."""
        sql = f"""
            SELECT 1 FROM {table}_alias a JOIN {table}_alias b ON b.id = ? AND b.until = 0
            WHERE a.target = ? AND a.name = ? AND a.until = 0 AND a.id <> b.id
        """
        return self._database.one(sql, (alias, target, name)) is not None

    def _move_relation(self, number: int, kept: int) -> None:
        run = self._database.run
        run("DELETE FROM relation_pair WHERE a = ? OR b = ?", (number, number))
        for column, other in (("relation", "other"), ("other", "relation")):
            run(
                f"DELETE FROM inverse WHERE {column} = ? AND until = 0 AND EXISTS (SELECT 1 FROM inverse i "
                f"WHERE i.{column} = ? AND i.{other} = inverse.{other} AND i.until = 0)",
                (number, kept),
            )
            run(f"UPDATE inverse SET {column} = ? WHERE {column} = ?", (kept, number))

    def _alias(self, table: str, number: int, name: str) -> None:
        ((target,),) = self._database.rows(f"SELECT target FROM {table}_alias WHERE id = ?", (number,))
        self._unspell(table, name, target, number)
        if self._has_alias(table, target, canonical(name), number):
            self._database.run(f"DELETE FROM {table}_alias WHERE id = ?", (number,))
            return
        self._database.run(f"UPDATE {table}_alias SET name = ? WHERE id = ?", (canonical(name), number))
        spell(self._database, table, normalise(name), target, number)

    def _unspell(self, table: str, name: str, target: int, alias: int) -> None:
        for norm in forms(name):
            unspell(self._database, table, norm, target, alias)

    # Facts

    def _fold_doubles(self, table: str, kept: int) -> None:
        """Keep one fact where several of an entity, or in a relation, state the same now."""
        sql = f"""
            SELECT min(id), entity, relation, value FROM fact WHERE {table} = ? AND until = 0
            GROUP BY entity, relation, value HAVING count(*) > 1
        """
        for first, *proposition in self._database.rows(sql, (kept,)):
            sql = "SELECT id FROM fact WHERE entity = ? AND relation = ? AND value = ? AND until = 0 AND id <> ?"
            for (double,) in self._database.rows(sql, (*proposition, first)):
                self._fold(double, first, proposition[-1])

    def _fold(self, double: int, first: int, value: str) -> None:
        run = self._database.run
        columns = 'document, start, "end", since'
        run(
            f"INSERT INTO source (fact, {columns}) SELECT ?, {columns} FROM source WHERE fact = ? "
            "ON CONFLICT DO NOTHING",
            (first, double),
        )
        run("DELETE FROM source WHERE fact = ?", (double,))
        run("UPDATE fact SET supersedes = NULL WHERE id = ? AND supersedes = ?", (first, double))
        run("UPDATE fact SET supersedes = ? WHERE supersedes = ?", (first, double))
        run("DELETE FROM value_key WHERE key = ? AND fact = ?", (_former_value_key(value), double))
        run("DELETE FROM fact WHERE id = ?", (double,))

    def _value(self, number: int, value: str) -> None:
        """File a value under the form in which values are compared now; the value itself stays."""
        self._database.run("DELETE FROM value_key WHERE key = ? AND fact = ?", (_former_value_key(value), number))
        sql = "INSERT INTO value_key VALUES (?, ?) ON CONFLICT DO NOTHING"
        self._database.run(sql, (value_key(value), number))

    def _value_aliases(self) -> None:
        sql = "SELECT id, norm, target FROM value_alias ORDER BY id"
        for number, norm, target in self._database.rows(sql):
            new = (normalise(norm), normalise(target))
            if new == (norm, target):
                continue
            same = "SELECT 1 FROM value_alias WHERE norm = ? AND target = ? AND until = 0 AND id <> ?"
            if new[0] == new[1] or self._database.one(same, (*new, number)):
                self._database.run("DELETE FROM value_alias WHERE id = ?", (number,))
            else:
                self._database.run("UPDATE value_alias SET norm = ?, target = ? WHERE id = ?", (*new, number))


def _former_value_key(value: str) -> int:
    return digest(former(value)) >> 8
