"""What forgetting leaves behind: tombstones of what was forgotten, and certificates of what was done.

A tombstone is a keyed digest. It lets the knowledge base recognise a forgotten proposition when someone names it, and
reveals nothing to anyone without the key. The key is in the file itself: whoever has the file can test a guess, but
cannot list what was forgotten.

A knowledge base keeps its certificates itself, so every copy has them. The transaction that erases stores what is known
by then; once the files were searched, the finished certificate replaces it. One that stays unfinished shows that the
program ended in between.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lamlam.kb.database import Database, get_meta, set_meta
from lamlam.kb.names import forms, normalise
from lamlam.kb.scan import Scan
from lamlam.kb.similarity import relation_key

__all__ = ["Certificate", "CertificateStore", "Tombstones"]

_DIGEST_BYTES = 16
_UNNAMED = "relation_erased"
_KEY = "certificate:"
_BEYOND = "certificate;"  # the next text after all that begin with the key


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

    def partly_forgotten(self, entity: str) -> bytes:
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
        sql = "SELECT 1 FROM tombstone WHERE digest = ?"
        return any(self._database.one(sql, (digest,)) for digest in digests)

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
        set_meta(self._database, _UNNAMED, str(revision))

    def last_unnamed(self) -> int:
        """Return the last revision in which the name of a relation was erased; 0 if none was."""
        return int(get_meta(self._database, _UNNAMED) or 0)

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


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was asked; the facts erased, and why; what went with them; digests of the file before and after; its search.

    `asked` names the fields of the request, and `request` is its keyed digest: whoever knows the request can prove with
    `KnowledgeBase.request_digest` that this is the answer, and nobody else learns it. `facts` are ids, with their
    `reasons` in the same order; `erased` counts the rows of each table that are gone. `included` names what was to go
    with an entity. `related` are facts that remain although they reveal what is erased, at most a thousand, with their
    reasons, and `left` counts all of these by reason.

    A dry run changes nothing: it has neither a revision nor an "after".

    The knowledge base keeps its certificates, so `after` cannot be of the file as it is later: it is of the file as
    erasing left it, before the finished certificate was stored. If it was no dry run and `after` and `before` are
    missing, the program ended before the files were searched.
    """

    time: str
    dry_run: bool
    asked: tuple[str, ...]
    request: str
    facts: tuple[int, ...]
    reasons: tuple[str, ...]
    related: tuple[int, ...]
    related_reasons: tuple[str, ...]
    left: dict[str, int]
    erased: dict[str, int]
    included: tuple[str, ...] = ()
    before: str | None = None
    after: str | None = None
    revision: int | None = None
    tombstones: int = 0
    scan: Scan | None = None

    @property
    def clean(self) -> bool:
        """Whether the files were searched and nothing erased was found in them."""
        return self.scan is not None and self.scan.clean

    def as_json(self) -> dict[str, Any]:
        lists = {name: list(value) for name, value in asdict(self).items() if isinstance(value, tuple)}
        return {**asdict(self), **lists, "clean": self.clean}


class CertificateStore:
    """Reads certificates, and stores them inside an open transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, certificate: Certificate) -> None:
        text = json.dumps(certificate.as_json(), ensure_ascii=True, separators=(",", ":"))
        set_meta(self._database, f"{_KEY}{certificate.revision}", text)

    def find(self, revision: int) -> dict[str, Any] | None:
        """Return the certificate of a revision as JSON; None if it has none."""
        text = get_meta(self._database, f"{_KEY}{revision}")
        return None if text is None else dict(json.loads(text))

    def revisions(self) -> list[int]:
        """Return the revisions that have one, the newest first."""
        rows = self._database.rows("SELECT key FROM meta WHERE key >= ? AND key < ?", (_KEY, _BEYOND))
        return sorted((int(row[0].removeprefix(_KEY)) for row in rows), reverse=True)
