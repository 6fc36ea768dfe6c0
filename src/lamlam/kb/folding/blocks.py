"""Which names of relations are worth comparing: those of one key, and those that share values.

Names are never compared all with all. Names of one key (`meaning_key`, or the same letters) stand in one block; in a
large block each is compared with its commonest names only.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

from lamlam.kb.folding.inventory import Inventory, Pair
from lamlam.kb.folding.judgement import meaning_key
from lamlam.kb.similarity import relation_key

__all__ = ["candidate_pairs"]

_LARGE = 64
_SEEN = 2  # entities in which a value is shared


def candidate_pairs(inventory: Inventory) -> set[Pair]:
    """Pairs of normal forms, each in order."""
    blocks: dict[object, list[str]] = defaultdict(list)
    for norm, relation in inventory.relations.items():
        blocks[meaning_key(relation.name)].append(norm)
        blocks[relation_key(relation.name)].append(norm)
    pairs = {pair for block in blocks.values() for pair in _pairs(block, inventory)}
    return pairs | {pair for pair, count in inventory.sharing.items() if count >= _SEEN}


def _pairs(block: list[str], inventory: Inventory) -> Iterator[Pair]:
    if len(block) <= _LARGE:
        yield from combinations(sorted(block), 2)
        return
    common = sorted(block, key=lambda norm: (-inventory.relations[norm].facts, norm))[:_LARGE]
    yield from {(min(a, b), max(a, b)) for a in common for b in block if a != b}
