"""Tombstones: keyed digests of what was forgotten.

A digest lets the knowledge base recognise a forgotten proposition when someone names it, and reveals nothing to anyone
without the key. The key is in the file itself: whoever has the file can test a guess, but cannot list what was
forgotten.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping

from lamlam.kb.database import Database, keep, kept
from lamlam.kb.names import forms, normalise
from lamlam.kb.similarity import relation_key

__all__ = ["Tombstones"]

_DIGEST_BYTES = 16
_UNNAMED = "relation_erased"


class Tombstones:
    """Digests of forgotten propositions, slots (entity and relation), entities forgotten whole or in part, and
    documents."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._key, self._for_good = b"", False
        self._read_key()

    def _read_key(self) -> None:
        """Read the key. It is final from the first write on; before that, a copy may bring its own."""
        self._for_good = self._database.one("SELECT 1 FROM revision LIMIT 1") is not None
        self._key = bytes(self._database.scalar("SELECT value FROM meta WHERE key = 'tombstone_key'"))

    def any(self) -> bool:
        return self._database.one("SELECT 1 FROM tombstone LIMIT 1") is not None

    def propositions(self, entity: str, relation: str, value: str) -> list[bytes]:
        """Return a proposition's digests: under its relation as spelled, and under any spelling of the same words."""
        keys = self._keys(entity, relation)
        return [self._digest("proposition", *key, form) for key in keys for form in forms(value)]

    def slots(self, entity: str, relation: str) -> list[bytes]:
        """Return a slot's digests, likewise."""
        return [self._digest("slot", *key) for key in self._keys(entity, relation)]

    def entity(self, entity: str) -> bytes:
        """Return the digest of an entity of which everything was forgotten."""
        return self._digest("entity", normalise(entity))

    def lessened(self, entity: str) -> bytes:
        """Return the digest of an entity of which something was forgotten."""
        return self._digest("lessened", normalise(entity))

    def document(self, document: str) -> bytes:
        return self._digest("document", document)

    def request(self, asked: Mapping[str, str | int]) -> str:
        """Return the digest of a request to forget, in hexadecimal, for its certificate."""
        parts = (f"{field}={normalise(str(value))}" for field, value in sorted(asked.items()))
        return self._digest("request", *parts).hex()

    def hold(self, *digests: bytes) -> bool:
        """Whether one of the digests is a tombstone."""
        return bool(self.held_of(digests))

    def since(self, *digests: bytes) -> int | None:
        """Return the first revision in which one of the digests became a tombstone; None if none is one."""
        sql = f"SELECT min(revision) FROM tombstone WHERE digest IN ({','.join('?' * len(digests))})"
        first: int | None = self._database.scalar(sql, digests)
        return first

    def held_of(self, digests: Iterable[bytes]) -> set[bytes]:
        """Return those of many digests that are tombstones."""
        sql = "SELECT digest FROM tombstone WHERE digest IN (%s)"
        return {row[0] for row in self._database.rows_in(sql, set(digests))}

    def put(self, digest: bytes, revision: int) -> None:
        self._database.run("INSERT INTO tombstone VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, revision))

    def unnamed(self, revision: int) -> None:
        """Note that the name of a relation was erased in this revision."""
        keep(self._database, _UNNAMED, str(revision))

    def last_unnamed(self) -> int:
        """Return the last revision in which the name of a relation was erased; 0 if none was."""
        return int(kept(self._database, _UNNAMED) or 0)

    def lift(self, digests: Iterable[bytes]) -> None:
        """Let what was forgotten come back."""
        self._database.many("DELETE FROM tombstone WHERE digest = ?", ((digest,) for digest in digests))

    def _keys(self, entity: str, relation: str) -> list[tuple[str, str, str]]:
        words = (("spelled", form) for form in forms(relation))
        keys = [*words, ("words", relation_key(relation))]
        return [(name, *key) for name in forms(entity) for key in keys]

    def _digest(self, *parts: str) -> bytes:
        if not self._for_good:
            self._read_key()
        text = json.dumps(parts, ensure_ascii=True).encode()
        return hashlib.blake2b(text, key=self._key, digest_size=_DIGEST_BYTES).digest()
