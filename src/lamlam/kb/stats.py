"""How much a knowledge base holds."""

from dataclasses import dataclass

from lamlam.kb.database import Database

__all__ = ["Stats", "gather_stats"]


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts. `facts` hold now, `past` ones did; names are counted whether or not their facts still hold."""

    facts: int
    past: int
    entities: int
    relations: int
    values: int
    documents: int
    sources: int
    aliases: int
    revisions: int
    tombstones: int
    bytes: int


def gather_stats(database: Database) -> Stats:
    """Counts of the rows of each table, and the size of the file in bytes."""

    def count(table: str, where: str = "") -> int:
        return int(database.scalar(f"SELECT count(*) FROM {table} {where}"))

    return Stats(
        facts=count("fact", "WHERE until = 0"),
        past=count("fact", "WHERE until > 0"),
        entities=count("entity"),
        relations=count("relation"),
        values=count("value"),
        documents=count("document"),
        sources=count("source"),
        aliases=count("entity_alias") + count("relation_alias"),
        revisions=count("revision"),
        tombstones=count("tombstone"),
        bytes=database.scalar("PRAGMA page_count") * database.scalar("PRAGMA page_size"),
    )
