"""The knowledge base: facts with an identity, in an SQLite file or a PostgreSQL database.

`KnowledgeBase` is the interface that the rest of LamLam knows. It owns the transactions and the revisions; reading,
resolving, writing and forgetting are done by the modules of those names.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from lamlam.corpus.corpus import FactRecord
from lamlam.errors import InputError, LamLamError
from lamlam.kb.bulk import bulk_import, can_bulk_import
from lamlam.kb.changes import Changes
from lamlam.kb.closure import Closure, Description, Selection
from lamlam.kb.database import Database, connect, connected_to_fill, set_meta
from lamlam.kb.fact import Fact, Source
from lamlam.kb.forget import Forgetter
from lamlam.kb.reader import FactReader
from lamlam.kb.remains import Certificate, CertificateStore, Tombstones
from lamlam.kb.resolve import Resolver
from lamlam.kb.respelling import respell
from lamlam.kb.summary import LogEntry, Revision, Stats, count_relations, gather_stats, read_entries, read_log
from lamlam.kb.verify import Namesakes, find_namesakes, problems
from lamlam.kb.view import View
from lamlam.kb.writer import AddReport, Writer

if TYPE_CHECKING:
    from lamlam.kb.matching.training import MatchCalibration

__all__ = ["KnowledgeBase"]


class KnowledgeBase(View):
    """Facts that can be read, edited and erased. A context manager, for the thread that opened it only.

    Each public call that writes is one transaction and one revision; `transaction` groups several.
    """

    def __init__(self, database: Database) -> None:
        """Use `open` to get a knowledge base."""
        self._database = database
        self._tombstones = Tombstones(database)
        self._open_revision: int | None = None
        self.written: int | None = None  # the last revision that was begun through this object
        self._certificates = CertificateStore(database)
        reader = FactReader(database)
        super().__init__(reader, Resolver(reader, self._tombstones))

    @classmethod
    def open(cls, path: str | Path, *, create: bool = False) -> Self:
        """Open a file; with `create`, make it if it is missing. ":memory:" needs no file.

        A URL, postgresql://user@host/database, opens a knowledge base on a server. Raises `InputError` if the file is
        missing, damaged or no knowledge base, `LamLamError` if the server cannot be reached.
        """
        database = connect(path, create=create)
        try:
            respell(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    @classmethod
    @contextmanager
    def open_to_fill(cls, path: str | Path) -> Iterator[Self]:
        """Open with `create`, for a block that adds the first facts.

        If the block fails, a file that was made for it is removed, unless another program has begun to use it.
        """
        with connected_to_fill(path) as database:
            yield cls(database)

    @property
    def path(self) -> Path | None:
        """The file; None for a knowledge base in memory or on a server."""
        return self._database.path

    def close(self) -> None:
        self._database.close()

    def answers(self) -> bool:
        """Whether the database can be asked; if the connection to a server was lost, only opening it again helps."""
        try:
            self._database.one("SELECT 1")
        except LamLamError:
            if self._database.broken:
                return False
            raise
        return True

    def expect_writes(self) -> None:
        """Prepare for writes to come; otherwise the first write to a file waits for whoever is just reading."""
        self._database.expect_writes()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Writing

    @contextmanager
    def transaction(self, actor: str = "", reason: str = "") -> Iterator[int]:
        """Group writes into one revision, whose number it yields: all of them happen, or none."""
        if self._open_revision is not None:
            raise LamLamError("a transaction of this knowledge base is open already")
        with self._revision("transaction", actor, reason) as revision:
            self._open_revision = revision
            try:
                yield revision
            finally:
                self._open_revision = None

    def add(
        self,
        facts: Iterable[FactRecord | tuple[str, str, str]],
        *,
        source: Source | None = None,
        allow: bool = False,
        actor: str = "",
        reason: str = "",
    ) -> AddReport:
        """Add facts: records, or (entity, relation, value). A fact that is known already gains a source.

        `source` is for the records that name no document of their own. What was forgotten is refused and reported; with
        `allow` it is let in, and its tombstone lifted. Raises `InputError` on a blank field, and adds nothing.
        """
        records = (fact if isinstance(fact, FactRecord) else FactRecord(*fact) for fact in facts)
        with self._writer("add", actor, reason) as writer:
            return writer.add(records, source, allow)

    def load(
        self,
        records: Iterable[FactRecord],
        *,
        identity: str | None = None,
        allow: bool = False,
        actor: str = "",
        reason: str = "",
    ) -> AddReport:
        """Add many facts; into an empty knowledge base they are stored in bulk (`kb.bulk`), which is much faster.

        A bulk import that was killed continues where it was when one of the same `identity` is started.
        """
        database = self._database
        if self._open_revision is None and can_bulk_import(database) and database.take_alone():
            return bulk_import(database, records, identity=identity, actor=actor, reason=reason)
        return self.add(records, allow=allow, actor=actor, reason=reason)

    def edit(
        self, fact_id: int, *, value: str, source: Source | None = None, actor: str = "", reason: str = ""
    ) -> Fact:
        """End a fact and state another value in its place. Return the new fact, which supersedes the old one.

        Raises `LamLamError` if the fact does not hold any more, or the new proposition was forgotten.
        """
        if source is None and (same := self.fact(fact_id)).until is None and same.value == value:
            return same
        with self._writer("edit", actor, reason) as writer:
            old = self._held(fact_id)
            if writer.tombstones_for([old.entity], [old.relation], value, source):
                raise LamLamError(f"fact {fact_id} cannot take this value: it was forgotten")
            if value == old.value:
                return old
            writer.end(fact_id)
            new, _ = writer.fact(old.entity, old.relation, value, supersedes=fact_id)
            if source is not None:
                writer.source(new, source)
        return self.fact(new)

    def retract(self, fact_id: int, *, actor: str = "", reason: str = "") -> Fact:
        """End a fact; its history stays. Raises `LamLamError` if it does not hold any more."""
        with self._writer("retract", actor, reason) as writer:
            self._held(fact_id)
            writer.end(fact_id)
        return self.fact(fact_id)

    def alias(
        self,
        name: str,
        *,
        entity: str | None = None,
        relation: str | None = None,
        value: str | None = None,
        actor: str = "",
        reason: str = "",
    ) -> bool:
        """Let `name` stand for an entity, a relation or a value as well; return False if it does already.

        Two values that are the same state one fact, and are forgotten together. Raises `InputError` if the knowledge
        base has no such entity or relation.
        """
        targets = {"entity": entity, "relation": relation, "value": value}
        given = [(table, name) for table, name in targets.items() if name is not None]
        if len(given) != 1:
            raise InputError("an alias points at an entity, or a relation, or a value")
        ((table, target),) = given
        with self._writer("alias", actor, reason) as writer:
            if table == "value":
                return writer.value_alias(name, target)
            return writer.alias(table, name, self._number(writer, table, target))

    def inverse(self, relation: str, other: str, *, actor: str = "", reason: str = "") -> bool:
        """Declare that two relations are inverse ("Parent", "Child"); return False if that is known.

        A fact is then forgotten in both directions. Raises `InputError` if the knowledge base lacks either.
        """
        with self._writer("inverse", actor, reason) as writer:
            return writer.inverse(*(self._number(writer, "relation", name) for name in (relation, other)))

    def merge(self, entity: str, *, into: str, actor: str = "", reason: str = "") -> int:
        """Make two entities one, and return how many facts moved; the first one's name becomes an alias.

        Raises `InputError` if either is missing, `LamLamError` if a fact of the first was forgotten of the other.
        """
        with self._writer("merge", actor, reason) as writer:
            return Changes(self._database, writer).merge(entity, into)

    def split(self, entity: str, *, actor: str = "", reason: str = "") -> int:
        """Give an entity that was merged into another its facts back, as they are now, and return how many.

        Facts that the other gained since stay with it. Raises `InputError` if the entity was not merged.
        """
        with self._writer("split", actor, reason) as writer:
            return Changes(self._database, writer).split(entity)

    def undo(self, revision: int, *, actor: str = "", reason: str = "") -> int:
        """Revert an edit, a retraction, or another change, by a new revision; return how many facts and names changed.

        Raises `InputError` if there is no such revision; `LamLamError` if it forgot facts, which cannot be undone, or
        if its facts were changed again since.
        """
        with self._writer("undo", actor, reason) as writer:
            return Changes(self._database, writer).undo(revision)

    def forget(
        self,
        fact_id: int | None = None,
        *,
        entity: str | None = None,
        relation: str | None = None,
        value: str | None = None,
        source: str | None = None,
        include: Collection[str] = (),
        dry_run: bool = False,
        actor: str = "",
        reason: str = "",
    ) -> Certificate:
        """Erase facts for good: a fact by its id, or all of an entity, relation and value, or what a document states.

        With a fact go the facts that it superseded and those that state the same under other names or the other way
        round, past ones too; also sources, names that nothing else uses, and mentions in the log. Free bytes of the
        file are blanked, and all files are searched. Tombstones remain: the proposition is refused from now on, and a
        lookup for it answers `forgotten`. If another program's reading keeps the log from being emptied, the
        certificate is not clean, and the next opening empties it.

        Facts of others that mention a forgotten entity stay, and the certificate counts them by reason, unless
        `include` says otherwise: "values" (facts whose value it is), "mentions" (within their value), "lookalikes"
        (facts of entities whose names look the same), "documents" (what only documents named after it state).

        The knowledge base keeps the certificate (`certificate`): the transaction that erases stores what is known then,
        and the rest is added before this returns. Raises `InputError` if nothing matches, `LamLamError` inside a
        transaction.
        """
        described = Description(fact_id, entity, relation, value, source, tuple(sorted(set(include))))
        if self._open_revision is not None:
            raise LamLamError("forgetting works on the file as well, which no transaction holds: call it by itself")
        closure = Closure(self._database, self._resolver)
        if dry_run:
            with self._database.snapshot():
                chosen = closure.select(described)
            counts = {"fact": len(chosen.facts), "source": chosen.sources}
            return self._certificate(described, chosen, counts, dry_run=True, before=self._database.digest())
        self._database.settle()
        with self._revision("forget", actor, reason) as revision:
            chosen = closure.select(described)
            erased = Forgetter(self._database, self._tombstones, closure).erase(chosen, revision)
            certificate = self._certificate(
                described, chosen, erased.counts, revision=revision, tombstones=erased.tombstones
            )
            self._certificates.put(certificate)
        # From here on no lookup finds it; the first digest is of the file without what was just committed (`settle`).
        before = self._database.digest()
        scan = self._database.erase(erased.strings)
        certificate = replace(certificate, before=before, scan=scan, after=self._database.digest())
        with self._database.transaction():
            self._certificates.put(certificate)
        return certificate

    def _certificate(
        self, described: Description, chosen: Selection, erased: dict[str, int], *, dry_run: bool = False, **known: Any
    ) -> Certificate:
        return Certificate(
            time=_now(),
            dry_run=dry_run,
            asked=tuple(described.asked),
            request=self.request_digest(**described.asked),
            facts=tuple(chosen.facts),
            reasons=tuple(map(str, chosen.facts.values())),
            related=tuple(chosen.related),
            related_reasons=tuple(chosen.related.values()),
            left=dict(chosen.left),
            included=described.include,
            erased=erased,
            **known,
        )

    def finish_erasing(self) -> bool:
        """Finish an erasure that another program's reading cut short; return whether none waits any more.

        A connection that cannot write leaves it to others.
        """
        return self._database.erased() or (self._database.writable and self._database.finish_erasing())

    def request_digest(self, **asked: str | int) -> str:
        """Return the digest that certificates have for a request: the arguments of `forget` (`fact` for an id)."""
        return self._tombstones.request(asked)

    def calibrate(
        self,
        rate: float = 0.03,
        *,
        rewordings: str | Path | None = None,
        matcher: str | Path | None = None,
        entities: int = 4_000,
        dry_run: bool = False,
        seed: int = 0,
        on_progress: Callable[[], None] = lambda: None,
        actor: str = "",
        reason: str = "",
    ) -> "MatchCalibration":
        """Find the likeness from which a reworded relation is answered, and keep it.

        At most `rate` of what the entities don't have is answered then. Also counts which relations state the same.
        `rewordings` is a table of names that mean the same (`kb.matching.mining`), `matcher` a classifier to use from
        now on; facts of so many `entities` are tried. Raises `InputError` if `rate` is not between 0 and 1, a file is
        invalid, or there are too few facts.
        """
        from lamlam.kb.matching.matcher import Matcher
        from lamlam.kb.matching.mining import read_rewordings
        from lamlam.kb.matching.training import calibrate, sampled_facts

        if not 0 < rate < 1:
            raise InputError(f"must be between 0 and 1, not {rate}", field="rate")
        meanings = () if rewordings is None else read_rewordings(rewordings)
        given = None if matcher is None else Matcher.load(matcher)
        facts = sampled_facts(self._reader, entities, seed)
        start = self._resolver.settings()
        found = calibrate(
            facts, rate, start=start, meanings=meanings, matcher=given, seed=seed, on_progress=on_progress
        )
        if dry_run:
            return found
        with self._revision("calibrate", actor, reason):
            set_meta(self._database, "matching", found.settings.as_json())
            if matcher is not None:
                set_meta(self._database, "matcher", Path(matcher).read_text(encoding="utf-8"))
            return replace(found, pairs=self.learn(seed=seed))

    def learn(self, *, entities: int = 100_000, seed: int = 0) -> int:
        """Count which relations state the same, over a sample of the entities; return how many pairs met often enough.

        Facts that are added later count once this is called again; `calibrate` calls it.
        """
        from lamlam.kb.matching.mining import count_pairs

        with self._database.transaction():
            return count_pairs(self._database, entities, seed)

    # Reading, beyond what a view reads

    @property
    def revision(self) -> int:
        """The number of the latest revision; 0 before anything was written."""
        return int(self._database.scalar("SELECT max(id) FROM revision") or 0)

    def at(self, revision: int) -> View:
        """Return the knowledge base as it was after a revision; read-only, and without what was forgotten since."""
        reader = FactReader(self._database, revision)
        return View(reader, Resolver(reader, self._tombstones))

    def history(
        self, fact_id: int | None = None, *, entity: str | None = None, relation: str | None = None
    ) -> list[Fact]:
        """Return what was in a fact's place before and after it, or all that an entity ever had in a relation; by id.

        Raises `InputError` if there is no such fact or entity.
        """
        if fact_id is not None:
            return self._reader.lineage(self.fact(fact_id).id)
        if entity is None or relation is None:
            raise InputError("say whose history: a fact's id, or entity and relation")
        found = [*self._reader.entities_spelled(entity), *self._reader.entities_aliased(entity)]
        if not found:
            raise InputError(f"there is no entity '{entity}'", field="entity")
        return self._reader.ever([row.id for row in found], relation)

    def namesakes(self, since: int) -> tuple[Namesakes, ...]:
        """Return entities that may be several of one name, by what was added after revision `since`."""
        return find_namesakes(self._database, since)

    def stats(self) -> Stats:
        return gather_stats(self._database)

    def relation_counts(self) -> list[tuple[str, int]]:
        """Return every relation in which facts hold, and how many; the most frequent first."""
        return count_relations(self._database)

    def log(self) -> list[Revision]:
        """Return all writes, the oldest first."""
        return read_log(self._database)

    def log_page(self, before: int | None = None, limit: int = 50) -> list[LogEntry]:
        """Return the last writes, or the last before a revision; the newest first."""
        with self._database.snapshot():
            return read_entries(self._database, self.revision + 1 if before is None else before, limit)

    def changes_of(self, revision: int, limit: int = 500) -> tuple[list[Fact], list[Fact]]:
        """Return the first facts that began with a revision, and the first that ended with it; by id."""
        with self._database.snapshot():
            return list(islice(self._reader.began(revision), limit)), self._reader.ended(revision, limit)

    def certificate(self, revision: int) -> dict[str, Any] | None:
        """Return the certificate of a revision that forgot, as JSON; None if it has none."""
        return self._certificates.find(revision)

    def certified(self) -> list[int]:
        """Return the revisions that have a certificate, the newest first."""
        return self._certificates.revisions()

    def verify(self) -> list[str]:
        """Return what is wrong with the knowledge base, a sentence each; nothing for a sound one."""
        return problems(self._database, self._tombstones)

    @contextmanager
    def _revision(self, action: str, actor: str, reason: str) -> Iterator[int]:
        """Open a transaction; yield the number of the revision that it makes, or joins."""
        with self._database.transaction():
            if self._open_revision is not None:
                yield self._open_revision
                return
            sql = "INSERT INTO revision (time, actor, action, reason) VALUES (?, ?, ?, ?) RETURNING id"
            self.written = int(self._database.scalar(sql, (_now(), actor, action, reason)))
            yield self.written

    @contextmanager
    def _writer(self, action: str, actor: str, reason: str) -> Iterator[Writer]:
        with self._revision(action, actor, reason) as revision:
            yield Writer(self._database, self._tombstones, revision)

    def _number(self, writer: Writer, table: str, name: str) -> int:
        number = writer.find(table, name)
        if number is None:
            raise InputError(f"there is no {table} '{name}'", field=table)
        return number

    def _held(self, fact_id: int) -> Fact:
        fact = self.fact(fact_id)
        if fact.until is not None:
            raise LamLamError(f"fact {fact_id} ended with revision {fact.until}")
        return fact


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
