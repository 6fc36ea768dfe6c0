"""A digest of what a knowledge base holds, whatever the order in which it was written."""

import hashlib
import json
from collections.abc import Iterable

from lamlam.kb.reader import Reader

__all__ = ["content_digest"]

_BITS = 256


def content_digest(reader: Reader) -> str:
    """Hexadecimal, 64 digits: the sum, modulo 2**256, of the BLAKE2b digests of all facts, sources and aliases.

    A sum does not depend on order and needs no sorting, so that the digest is one pass over any number of facts.
    """
    total = 0
    for part in _parts(reader):
        text = json.dumps(part, ensure_ascii=True, separators=(",", ":")).encode()
        total += int.from_bytes(hashlib.blake2b(text, digest_size=_BITS // 8).digest())
    return f"{total % 2**_BITS:064x}"


def _parts(reader: Reader) -> Iterable[list[str | int | None]]:
    for fact in reader.facts():
        proposition = [fact.entity, fact.relation, fact.value]
        yield ["fact", *proposition]
        for source in fact.sources:
            yield ["source", *proposition, source.document, source.start, source.end]
    for kind, name, target in reader.aliases():
        yield ["alias", kind, name, target]
