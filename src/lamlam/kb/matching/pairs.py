"""What facts say of two relations: in how many entities they state the same, or something else.

Counted over a sample of the entities, so that it takes as long in a knowledge base of any size. Kept are the pairs that
meet often enough to tell something. Resolution uses them (`kb.matching.candidates`).
"""

import random
from collections import Counter
from itertools import combinations

from lamlam.kb.database import Database
from lamlam.kb.names import normalise

__all__ = ["SEEN_OFTEN", "count_pairs", "sampled_entities"]

SEEN_OFTEN = 5
_FACTS_READ = 200
_RELATIONS_PAIRED = 40
_MOST_PAIRS = 2_000_000


def sampled_entities(database: Database, most: int, seed: int) -> list[int]:
    """Ids of entities, all or about `most` of them, in order."""
    last = int(database.scalar("SELECT max(id) FROM entity") or 0)
    if last <= most:
        return [row[0] for row in database.rows("SELECT id FROM entity ORDER BY id")]
    drawn = sorted(random.Random(seed).sample(range(1, last + 1), most))
    return [number for number in drawn if database.one("SELECT 1 FROM entity WHERE id = ?", (number,))]


def count_pairs(database: Database, most_entities: int, seed: int = 0) -> int:
    """Fill the table `relation_pair` anew; how many pairs it holds. Wants an open transaction."""
    shared: Counter[tuple[int, int]] = Counter()
    apart: Counter[tuple[int, int]] = Counter()
    sql = f"SELECT relation, value FROM fact WHERE entity = ? AND until = 0 LIMIT {_FACTS_READ}"
    for entity in sampled_entities(database, most_entities, seed):
        values: dict[int, set[str]] = {}
        for relation, value in database.rows(sql, (entity,)):
            values.setdefault(relation, set()).add(normalise(value))
        for pair in combinations(sorted(values)[:_RELATIONS_PAIRED], 2):
            (apart if values[pair[0]].isdisjoint(values[pair[1]]) else shared)[pair] += 1
        if len(apart) > _MOST_PAIRS:
            apart = Counter({pair: count for pair, count in apart.items() if count > 1 or pair in shared})
    kept = [pair for pair in apart.keys() | shared.keys() if shared[pair] + apart[pair] >= SEEN_OFTEN]
    database.run("DELETE FROM relation_pair")
    rows = ((a, b, shared[pair], apart[pair]) for pair in sorted(kept) for a, b in (pair, pair[::-1]))
    database.many("INSERT INTO relation_pair (a, b, shared, apart) VALUES (?, ?, ?, ?)", rows)
    return len(kept)
