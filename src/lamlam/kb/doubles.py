"""Facts that were given again in a bulk import: found by sorting, without any index.

Each proposition leaves a digest in `kb.staging` as it comes. Where two digests are the same, the rows themselves are
compared.
"""

import sqlite3
from bisect import bisect_left
from collections.abc import Iterator

import numpy as np

from lamlam.kb.staging import Staging, among, in_order

__all__ = ["drop_doubles", "proposition_digests"]

_KIND = "proposition"
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # of SplitMix64
_COMPARED_AT_ONCE = 10_000


def proposition_digests(entities: list[int], relations: list[int], keys: np.ndarray) -> np.ndarray:
    """From numbers of names and keys of values, [N] int32; [N] uint64."""
    mixed = (np.array(entities, np.uint64) << np.uint64(32)) | np.array(relations, np.uint64)
    mixed = mixed * _MIX[0]
    mixed = (mixed ^ (mixed >> np.uint64(29))) + keys.view(np.uint32).astype(np.uint64)
    mixed = mixed * _MIX[1]
    mixed = (mixed ^ (mixed >> np.uint64(32))) * _MIX[2]
    return mixed ^ (mixed >> np.uint64(29))


def drop_doubles(connection: sqlite3.Connection, staging: Staging) -> None:
    """Delete the facts that were given again, after their sources have gone to the first of them.

    They are left in the table `double`.
    """
    run = connection.execute
    for doubles in _doubles(connection, staging):
        connection.executemany("INSERT INTO double VALUES (?, ?)", doubles)
    staging.drop(_KIND)
    if not run("SELECT 1 FROM double LIMIT 1").fetchone():
        return
    run("UPDATE source SET fact = (SELECT kept FROM double WHERE id = fact) WHERE fact IN (SELECT id FROM double)")
    run("""
        DELETE FROM source WHERE id IN (SELECT id FROM (
            SELECT id, row_number() OVER (PARTITION BY fact, document, start, "end" ORDER BY id) AS nth
            FROM source WHERE fact IN (SELECT kept FROM double)
        ) WHERE nth > 1)
    """)
    run("DELETE FROM fact WHERE id IN (SELECT id FROM double)")


def _doubles(connection: sqlite3.Connection, staging: Staging) -> Iterator[list[tuple[int, int]]]:
    """(fact, the first fact that states the same), in parts."""
    for digests in in_order(lambda: staging.read(_KIND, np.uint64)):
        again = np.unique(digests[1:][digests[1:] == digests[:-1]])
        for numbers in _sharing(again, staging) if len(again) else ():
            yield _same(connection, numbers)


def _sharing(again: np.ndarray, staging: Staging) -> Iterator[list[int]]:
    """The facts that have one of these sorted digests, in parts; those of one digest in one part."""
    pairs, first = [], 1
    for piece in staging.read(_KIND, np.uint64):
        places = np.flatnonzero(among(again, piece))
        pairs.append(np.stack([piece[places], (places + first).astype(np.uint64)]))
        first += len(piece)
    digests, facts = np.concatenate(pairs, axis=1)
    order = np.lexsort((facts, digests))
    digests, facts = digests[order], facts[order]
    ends = [*(np.flatnonzero(digests[1:] != digests[:-1]) + 1).tolist(), len(facts)]
    start = 0
    while start < len(facts):
        end = ends[min(bisect_left(ends, start + _COMPARED_AT_ONCE), len(ends) - 1)]
        yield facts[start:end].tolist()
        start = end


def _same(connection: sqlite3.Connection, numbers: list[int]) -> list[tuple[int, int]]:
    kept: dict[tuple, int] = {}
    doubles = []
    for number in sorted(numbers):
        sql = "SELECT entity, relation, value FROM fact WHERE id = ?"
        first = kept.setdefault(connection.execute(sql, (number,)).fetchone(), number)
        if first != number:
            doubles.append((number, first))
    return doubles
