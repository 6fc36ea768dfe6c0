"""How much a knowledge base holds."""

from dataclasses import dataclass

from lamlam.kb.database import Database

__all__ = ["Stats", "count_relations", "gather_stats"]

_FREQUENT = 10


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts. `facts` hold now, `past` ones did; names are counted whether or not their facts still hold.

    `frequent` has the relations with the most facts, past ones too, and how many."""

    facts: int
    past: int
    entities: int
    relations: int
    documents: int
    sources: int
    aliases: int
    revisions: int
    tombstones: int
    bytes: int
    frequent: tuple[tuple[str, int], ...]


def gather_stats(database: Database) -> Stats:
    """Counts of the rows of each table, and the size of the file in bytes."""

    def count(table: str, where: str = "") -> int:
        return int(database.scalar(f"SELECT count(*) FROM {table} {where}"))

    past = count("fact", "WHERE until > 0")
    frequent = database.rows(f"""
        SELECT r.name, n.facts FROM (
            SELECT relation, count(*) AS facts FROM fact
            GROUP BY relation ORDER BY facts DESC, relation LIMIT {_FREQUENT}
        ) n JOIN relation r ON r.id = n.relation ORDER BY n.facts DESC, r.id
    """)
    return Stats(
        facts=count("fact") - past,
        past=past,
        entities=count("entity"),
        relations=count("relation"),
        documents=count("document"),
        sources=count("source"),
        aliases=count("entity_alias") + count("relation_alias"),
        revisions=count("revision"),
        tombstones=count("tombstone"),
        bytes=database.size(),
        frequent=tuple((name, int(facts)) for name, facts in frequent),
    )


def count_relations(database: Database) -> list[tuple[str, int]]:
    """Every relation in which facts hold, and how many; the most frequent first.

    Two passes over indexes, which read no fact: all facts by relation, and those of them that ended.
    """
    with database.snapshot():
        names = dict(database.rows("SELECT id, name FROM relation"))
        counts = dict(database.rows("SELECT relation, count(*) FROM fact GROUP BY relation"))
        # The plus keeps SQLite to the few that ended: it would look up every fact by relation.
        past = dict(database.rows("SELECT +relation, count(*) FROM fact WHERE until > 0 GROUP BY +relation"))
    held = [(name, counts.get(number, 0) - past.get(number, 0)) for number, name in names.items()]
    return sorted((each for each in held if each[1]), key=lambda each: (-each[1], each[0]))
