"""Read the names in a knowledge base: of entities, relations and values, with their aliases.

Each question takes a few index probes. Facts are left to `kb.reader`, and the choice of the right answer to
`kb.resolve`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from lamlam.errors import InputError, LamLamError
from lamlam.kb.database import Database, Parameters, get_meta
from lamlam.kb.names import canonical, normalise, normalise_prefix, probed_keys

__all__ = ["NameReader", "NameRow"]

_ALIKE_UNDER_ONE_KEY = 300
_LAST = chr(0x10FFFF)


class NameRow(NamedTuple):
    """A row of the entities or of the relations."""

    id: int
    name: str
    norm: str


class NameReader:
    """Reads what holds now, or what held at `revision`."""

    def __init__(self, database: Database, revision: int | None = None) -> None:
        self.database = database
        if revision is None:
            self._holds, self._ended, self._made, self._known = "f.until = 0", "f.until > 0", " AND a.until = 0", ""
            self._read = ""
        else:
            at = int(revision)
            if not 0 <= at <= (database.scalar("SELECT max(id) FROM revision") or 0):
                raise LamLamError(f"there is no revision {at}")
            self._holds = f"+f.since <= {at} AND (f.until = 0 OR f.until > {at})"
            self._ended = f"f.until > 0 AND f.until <= {at}"
            self._made = f" AND a.since <= {at} AND (a.until = 0 OR a.until > {at})"
            self._read = f" AND s.since <= {at}"
            self._known = f" AND EXISTS (SELECT 1 FROM fact k WHERE k.entity = e.id AND k.since <= {at})"

    def setting(self, key: str) -> str | None:
        """Return what the knowledge base keeps under a key about itself."""
        return get_meta(self.database, key)

    def _names(self, sql: str, parameters: Parameters = ()) -> list[NameRow]:
        """Turn rows of an id and a name into names."""
        return [NameRow(id, name, normalise(name)) for id, name in self.database.rows(sql, parameters)]

    # Entities

    def entities_spelled(self, name: str) -> list[NameRow]:
        """Return the entity of exactly this name, or else all of the same normalised name."""
        sql = f"""
            SELECT e.id, e.name FROM entity_spelling s JOIN entity e ON e.id = s.target
            WHERE s.norm = ? AND s.alias = 0 {self._known} ORDER BY e.id
        """
        norm = normalise(name)
        found = [NameRow(id, spelled, norm) for id, spelled in self.database.rows(sql, (norm,))]
        return [row for row in found if canonical(row.name) == canonical(name)] or found

    def entities_aliased(self, name: str) -> list[NameRow]:
        """Return the entities of which this is an alias."""
        sql = f"""
            SELECT DISTINCT e.id, e.name FROM entity_spelling s JOIN entity_alias a ON a.id = s.alias
            JOIN entity e ON e.id = s.target WHERE s.norm = ? AND s.alias > 0 {self._made} {self._known} ORDER BY e.id
        """
        return self._names(sql, (normalise(name),))

    def entities_meant(self, name: str) -> tuple[list[NameRow], bool]:
        """Return the entities that a name names, and whether it does so as an alias.

        Entities that still have facts come before those that had some once; of the former, names before aliases.
        """
        spelled = self.entities_spelled(name)
        if held := [row for row in spelled if self.has_facts(row.id)]:
            return held, False
        aliased = self.entities_aliased(name)
        return (aliased, True) if aliased else (spelled, False)

    def owner(self, name: str) -> NameRow:
        """Return the one entity that a name means. Raises `InputError` if there is none, or several."""
        found, _ = self.entities_meant(name)
        if not found:
            raise InputError(f"there is no entity '{name}'", field="entity")
        if len(found) > 1:
            names = ", ".join(f"'{row.name}'" for row in found)
            raise InputError(f"'{name}' may mean {names}: give the exact name", field="entity")
        return found[0]

    def has_facts(self, entity: int) -> bool:
        sql = f"SELECT 1 FROM fact f WHERE f.entity = ? AND {self._holds} LIMIT 1"
        return self.database.one(sql, (entity,)) is not None

    def entities_alike(self, name: str, limit: int) -> list[tuple[NameRow, str]]:
        """Return entities that share a key with a name, each with the spelling (name or alias) that does."""
        sql = f"SELECT target, alias FROM entity_key WHERE key = ? ORDER BY target, alias LIMIT {_ALIKE_UNDER_ONE_KEY}"
        hits = (hit for key in probed_keys(normalise(name)) for hit in self.database.rows(sql, (key,)))
        aliased = f"SELECT a.name FROM entity_alias a WHERE a.id = ? {self._made}"
        found = []
        for target, alias in dict.fromkeys(hits):
            entity = self._names(f"SELECT e.id, e.name FROM entity e WHERE e.id = ? {self._known}", (target,))
            spelling = self.database.scalar(aliased, (alias,)) if alias else entity and entity[0].name
            if entity and spelling:
                found.append((entity[0], normalise(spelling)))
            if len(found) == limit:
                break
        return found

    def entities_named(self, names: Sequence[str]) -> dict[str, str]:
        """Map each of `names` that belongs to one entity to that entity's canonical name.

        The exact name comes before the normalised one, that before an alias; but a name whose entity has no facts any
        more, as after a merger, belongs to the one with facts. A name that several of these share is left out.
        """
        norms = {name: normalise(name) for name in names}
        wanted = sorted(set(norms.values()) - {""})
        held = f"EXISTS (SELECT 1 FROM fact f WHERE f.entity = e.id AND {self._holds})"
        spelled = self._owners(
            f"SELECT s.norm, e.name, {held} FROM entity_spelling s JOIN entity e ON e.id = s.target "
            f"WHERE s.norm IN (%s) AND s.alias = 0 {self._known}",
            wanted,
        )
        aliased = self._owners(
            f"SELECT s.norm, e.name, {held} FROM entity_spelling s JOIN entity_alias a ON a.id = s.alias "
            f"JOIN entity e ON e.id = s.target WHERE s.norm IN (%s) AND s.alias > 0 {self._made} {self._known}",
            wanted,
        )
        owners = {n: _owner(canonical(n), spelled.get(norm, {}), aliased.get(norm, {})) for n, norm in norms.items()}
        return {name: owner for name, owner in owners.items() if owner}

    def _owners(self, sql: str, norms: Sequence[str]) -> dict[str, dict[str, bool]]:
        """Map each normalised name to the entities that bear it, and whether they have facts."""
        owners: dict[str, dict[str, bool]] = {}
        for norm, name, holds in self.database.rows_in(sql, norms):
            owners.setdefault(norm, {})[name] = bool(holds)
        return owners

    def entities_starting(self, prefix: str, limit: int) -> list[str]:
        """Return names and aliases of entities with facts whose normalised form starts with `prefix`, in order."""
        searched = int(limit)
        while True:
            found = self.names_starting(prefix, searched)
            names = list(dict.fromkeys(name for name, _ in found))[:limit]
            if len(names) == limit or len(found) < searched:
                return names
            searched *= 2

    def names_starting(self, prefix: str, limit: int) -> list[tuple[str, str]]:
        """Do the same, each with the entity it names; an alias of several entities appears once for each."""
        low = normalise_prefix(prefix)
        # One walk along the index, which ends when it has found enough: a search for aliases alone would look at all
        # names that begin so.
        sql = f"""
            SELECT name, entity FROM (
                SELECT s.norm AS norm, CASE WHEN s.alias = 0 THEN e.name ELSE a.name END AS name, e.name AS entity
                FROM entity_spelling s JOIN entity e ON e.id = s.target LEFT JOIN entity_alias a ON a.id = s.alias
                WHERE s.norm >= ? AND s.norm < ? AND (s.alias = 0 OR (s.alias > 0 {self._made}))
                    AND EXISTS (SELECT 1 FROM fact f WHERE f.entity = e.id AND {self._holds})
                ORDER BY s.norm LIMIT {int(limit)}
            ) found ORDER BY norm, name, entity
        """
        return [(name, entity) for name, entity in self.database.rows(sql, (low, low + _LAST))]

    # Relations

    def relations_held(self, entity: int, *, ended: bool = False) -> list[NameRow]:
        """Return the relations in which an entity has facts, or had some that were retracted or replaced."""
        sql = f"""
            SELECT DISTINCT r.id, r.name FROM fact f JOIN relation r ON r.id = f.relation
            WHERE f.entity = ? AND {self._ended if ended else self._holds} ORDER BY r.id
        """
        return self._names(sql, (entity,))

    def relations_named(self, limit: int) -> list[NameRow]:
        """Return the first relations of all, also those in which no fact holds any more."""
        return self._names("SELECT id, name FROM relation ORDER BY id LIMIT ?", (limit,))

    def relations_spelled(self, relation: str) -> list[NameRow]:
        """Return all relations of this normalised name."""
        sql = """
            SELECT r.id, r.name FROM relation_spelling s JOIN relation r ON r.id = s.target
            WHERE s.norm = ? AND s.alias = 0 ORDER BY r.id
        """
        return self._names(sql, (normalise(relation),))

    def relation_synonyms(self, relation: str) -> set[str]:
        """Return the normalised names that aliases declare to mean the same as a relation's, in either direction."""
        norm = normalise(relation)
        sql = f"""
            SELECT r.name FROM relation_spelling s JOIN relation_alias a ON a.id = s.alias
            JOIN relation r ON r.id = s.target WHERE s.norm = ? AND s.alias > 0 {self._made}
            UNION SELECT a.name FROM relation_spelling s JOIN relation_alias a ON a.target = s.target
            WHERE s.norm = ? AND s.alias = 0 {self._made}
        """
        return {normalise(row[0]) for row in self.database.rows(sql, (norm, norm))} - {norm}

    def spellings(self, relations: Sequence[NameRow]) -> dict[NameRow, list[str]]:
        """Return each relation's name and its aliases."""
        found = {relation: [relation.name] for relation in relations}
        named = {relation.id: relation for relation in relations}
        sql = f"SELECT a.target, a.name FROM relation_alias a WHERE a.target IN (%s) {self._made} ORDER BY a.id"
        for target, name in self.database.rows_in(sql, named):
            found[named[target]].append(name)
        return found

    def inverses(self, relation: str) -> set[str]:
        """Return the normalised names of the relations that are declared the inverse of one."""
        sql = """
            SELECT r.name FROM relation_spelling s JOIN inverse i ON i.relation = s.target
            JOIN relation r ON r.id = i.other WHERE s.norm = ? AND s.alias = 0 AND i.until = 0
        """
        return {normalise(row[0]) for row in self.database.rows(sql, (normalise(relation),))}

    def relation_pairs(self, asked: Sequence[int], held: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Count the entities in which a relation states the same as one that is asked for, and in which it doesn't."""
        if not asked or not held:
            return {}
        sql = f"""
            SELECT b, sum(shared), sum(apart) FROM relation_pair
            WHERE a IN ({",".join("?" * len(asked))}) AND b IN ({",".join("?" * len(held))}) GROUP BY b
        """
        return {row[0]: (int(row[1]), int(row[2])) for row in self.database.rows(sql, (*asked, *held))}

    # Values that are declared to be one

    def has_value_aliases(self) -> bool:
        return self.database.one("SELECT 1 FROM value_alias WHERE until = 0 LIMIT 1") is not None

    def value_target(self, value: str) -> str:
        """Return the normalised value that a value stands for: its own, unless it is an alias."""
        sql, norm = "SELECT target FROM value_alias WHERE norm = ? AND until = 0 ORDER BY id", normalise(value)
        return self.database.scalar(sql, (norm,)) or norm

    def same_values(self, value: str) -> set[str]:
        """Return the normalised values that are the same as a value, itself included."""
        target = self.value_target(value)
        rows = self.database.rows("SELECT norm FROM value_alias WHERE target = ? AND until = 0", (target,))
        return {target, normalise(value), *(row[0] for row in rows)}

    # Aliases

    def aliases(self) -> Iterator[tuple[str, str, str]]:
        """Yield ("entity" or "relation", alias, name) for every alias of what has facts."""
        for table in ("entity", "relation"):
            sql = f"""
                SELECT a.id, a.name, t.name FROM {table}_alias a JOIN {table} t ON t.id = a.target
                WHERE a.id > ? {self._made} AND EXISTS (SELECT 1 FROM fact f WHERE f.{table} = t.id AND {self._holds})
                ORDER BY a.id LIMIT ?
            """
            for rows in self.database.pages(sql):
                yield from ((table, alias, name) for _, alias, name in rows)

    def aliases_of(self, entities: Sequence[int]) -> list[tuple[str, int]]:
        """Return the aliases of some entities, each with the revision that made it, in the order they were made."""
        marks = ",".join("?" * len(entities))
        sql = f"SELECT a.name, a.since FROM entity_alias a WHERE a.target IN ({marks}) {self._made} ORDER BY a.id"
        return [(name, since) for name, since in self.database.rows(sql, entities)]


def _owner(name: str, spelled: Mapping[str, bool], aliased: Mapping[str, bool]) -> str | None:
    """Choose whose name it is among the entities so spelled and so aliased, each with whether it has facts."""
    held, meant = ([owner for owner, holds in owners.items() if holds] for owners in (spelled, aliased))
    if name in spelled and (name in held or not meant):
        return name
    owners = held or meant or list(spelled) or list(aliased)
    return owners[0] if len(owners) == 1 else None
