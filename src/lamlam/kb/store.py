"""The knowledge base: facts with an identity, in an SQLite file.

`KnowledgeBase` is the interface that the rest of LamLam knows. It owns the transactions and the revisions; reading,
resolving, writing and forgetting are done by the modules of those names.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lamlam.corpus.corpus import FactRecord
from lamlam.errors import InputError, LamLamError
from lamlam.kb.certificate import Certificate
from lamlam.kb.database import Database
from lamlam.kb.fact import Fact, Resolution, Source
from lamlam.kb.forget import Forgetter
from lamlam.kb.log import Revision, read_log
from lamlam.kb.reader import Reader
from lamlam.kb.resolve import Resolver
from lamlam.kb.sqlite import SQLiteDatabase
from lamlam.kb.stats import Stats, gather_stats
from lamlam.kb.tombstones import Tombstones
from lamlam.kb.verify import problems
from lamlam.kb.view import View
from lamlam.kb.writer import AddReport, Writer

if TYPE_CHECKING:
    from lamlam.kb.matching.calibration import Calibration

__all__ = ["KnowledgeBase"]


class KnowledgeBase(View):
    """Facts that can be read, edited and erased. A context manager; to be used by the thread that opened it.

    Each public call that writes is one transaction and one revision; `transaction` groups several.
    """

    def __init__(self, database: Database) -> None:
        """`open` is the way to get one."""
        self._database = database
        self._tombstones = Tombstones(database)
        self._open_revision: int | None = None
        reader = Reader(database)
        super().__init__(reader, Resolver(reader, self._tombstones))

    @classmethod
    def open(cls, path: str | Path, *, create: bool = False) -> Self:
        """Open a file, or make it where it is missing and `create` says so. ":memory:" needs no file.

        Raises `InputError` when there is no such file, or it is damaged or no knowledge base.
        """
        if str(path).startswith(("postgresql://", "postgres://")):
            raise LamLamError("a knowledge base on PostgreSQL is not supported: name a file instead")
        return cls(SQLiteDatabase(path, create=create))

    @property
    def path(self) -> Path | None:
        """The file; None for one in memory."""
        return self._database.path

    def close(self) -> None:
        self._database.close()

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
        actor: str = "",
        reason: str = "",
    ) -> AddReport:
        """Add facts: records, or (entity, relation, value). What is known already gains a source, not a double.

        `source` is that of the records that name no document of their own. What was forgotten is refused and told.
        Raises `InputError` on a blank field; nothing is added then.
        """
        records = (fact if isinstance(fact, FactRecord) else FactRecord(*fact) for fact in facts)
        with self._writer("add", actor, reason) as writer:
            return writer.add(records, source)

    def edit(
        self, fact_id: int, *, value: str, source: Source | None = None, actor: str = "", reason: str = ""
    ) -> Fact:
        """End a fact and state another value in its place. Returns the new fact, which supersedes the old one.

        Raises `LamLamError` when the fact does not hold any more, or when the new proposition was forgotten.
        """
        with self._writer("edit", actor, reason) as writer:
            old = self._held(fact_id)
            if writer.forgotten([old.entity], [old.relation], value, source):
                raise LamLamError(f"fact {fact_id} cannot take this value: it was forgotten")
            if value == old.value:
                return old
            writer.end(fact_id)
            new, _ = writer.fact(old.entity, old.relation, value, supersedes=fact_id)
            if source is not None:
                writer.source(new, source)
        return self.fact(new)

    def retract(self, fact_id: int, *, actor: str = "", reason: str = "") -> Fact:
        """End a fact; its history stays. Raises `LamLamError` when it does not hold any more."""
        with self._writer("retract", actor, reason) as writer:
            self._held(fact_id)
            writer.end(fact_id)
        return self.fact(fact_id)

    def alias(
        self, name: str, *, entity: str | None = None, relation: str | None = None, actor: str = "", reason: str = ""
    ) -> bool:
        """Let `name` stand for an entity or for a relation as well; False when it does already.

        Raises `InputError` when the knowledge base has no such entity or relation.
        """
        if (entity is None) == (relation is None):
            raise InputError("an alias points at either an entity or a relation")
        table, target = ("entity", entity) if entity is not None else ("relation", relation or "")
        with self._writer("alias", actor, reason) as writer:
            number = writer.find(table, target)
            if number is None:
                raise InputError(f"there is no {table} '{target}'", field=table)
            return writer.alias(table, name, number)

    def forget(
        self,
        fact_id: int | None = None,
        *,
        entity: str | None = None,
        relation: str | None = None,
        value: str | None = None,
        source: str | None = None,
        dry_run: bool = False,
        actor: str = "",
        reason: str = "",
    ) -> Certificate:
        """Erase facts for good: a fact by its id, or all of an entity, relation and value, or what a document states.

        With a fact go the facts that it superseded and those that state the same under other names, past ones too.
        Sources, names that nothing else uses, and mentions in the log go as well; the file is rewritten and searched.
        Tombstones remain: the proposition is refused from now on, and a lookup for it answers `forgotten`. Where
        another program's reading keeps the log from being emptied, the certificate is not clean, and the next opening
        empties it.

        Raises `InputError` when nothing is so described, `LamLamError` inside a transaction.
        """
        described = (fact_id, entity or relation or value, source)
        if sum(part is not None for part in described) != 1:
            raise InputError("say what to forget: a fact's id, or entity, relation and value, or a source")
        if self._open_revision is not None:
            raise LamLamError("forgetting rewrites the file, which a transaction cannot: call forget by itself")
        forgetter = Forgetter(self._database, self._tombstones)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        if dry_run:
            chosen = forgetter.select(fact_id, entity, relation, value, source)
            counts = {"fact": len(chosen.facts), "source": chosen.sources}
            return Certificate(now, True, tuple(chosen.facts), counts, self._database.digest())
        self._database.settle()
        with self._revision("forget", actor, reason) as revision:
            chosen = forgetter.select(fact_id, entity, relation, value, source)
            erased = forgetter.erase(chosen, revision)
            self._database.run("INSERT INTO meta VALUES ('erasing', '1') ON CONFLICT DO NOTHING")
        before = self._database.digest()
        found = self._database.erase(erased.strings, forgetter.remains)
        after = self._database.digest()
        return Certificate(
            now, False, tuple(chosen.facts), erased.counts, before, after, revision, erased.tombstones, found
        )

    def calibrate(
        self,
        rate: float = 0.03,
        *,
        rewordings: str | Path | None = None,
        matcher: str | Path | None = None,
        entities: int = 4_000,
        dry_run: bool = False,
        seed: int = 0,
        seen: Callable[[], None] = lambda: None,
        actor: str = "",
        reason: str = "",
    ) -> "Calibration":
        """Find from which likeness on a reworded relation is answered, so that at most a share of `rate` of what the
        entities do not have is; keep it, and count which relations state the same.

        `rewordings` is a table of names that mean the same (`kb.matching.rewordings`), `matcher` a classifier to be
        used from now on. Facts of so many `entities` are tried. Raises `InputError` when `rate` is no share, a file is
        not what it should be, or there are too few facts to tell.
        """
        from lamlam.kb.matching.calibration import calibrate, sampled_facts
        from lamlam.kb.matching.matcher import Matcher
        from lamlam.kb.matching.rewordings import read_rewordings

        if not 0 < rate < 1:
            raise InputError(f"{rate} is no share between 0 and 1", field="rate")
        meanings = () if rewordings is None else read_rewordings(rewordings)
        given = None if matcher is None else Matcher.load(matcher)
        facts = sampled_facts(self._reader, entities, seed)
        start = self._resolver.settings()
        found = calibrate(facts, rate, start=start, meanings=meanings, matcher=given, seed=seed, seen=seen)
        if dry_run:
            return found
        with self._revision("calibrate", actor, reason):
            self._keep("matching", found.settings.as_json())
            if matcher is not None:
                self._keep("matcher", Path(matcher).read_text(encoding="utf-8"))
            return replace(found, pairs=self.learn(seed=seed))

    def _keep(self, key: str, text: str) -> None:
        sql = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        self._database.run(sql, (key, text.encode()))

    def learn(self, *, entities: int = 100_000, seed: int = 0) -> int:
        """Count which relations state the same of an entity, over a sample of the entities; how many pairs tell.

        What is added later counts when this is called again; `calibrate` calls it.
        """
        from lamlam.kb.matching.pairs import count_pairs

        with self._database.transaction():
            return count_pairs(self._database, entities, seed)

    # Reading, beyond what a view reads

    def at(self, revision: int) -> View:
        """The knowledge base as it stood after a revision; read-only. What was forgotten since is in no view."""
        reader = Reader(self._database, revision)
        return View(reader, Resolver(reader, self._tombstones))

    def nearest(self, entity: str, relation: str) -> Resolution:
        """The most similar fact by string, whatever it is: what others do. For comparison only."""
        return self._resolver.nearest(entity, relation)

    def history(
        self, fact_id: int | None = None, *, entity: str | None = None, relation: str | None = None
    ) -> list[Fact]:
        """What stood in a fact's place before and after it, or all that an entity ever had in a relation; by id.

        Raises `InputError` when there is no such fact or entity.
        """
        if fact_id is not None:
            return self._reader.lineage(self.fact(fact_id).id)
        if entity is None or relation is None:
            raise InputError("say whose history: a fact's id, or entity and relation")
        found = self._reader.entities_spelled(entity) or self._reader.entities_aliased(entity)
        if not found:
            raise InputError(f"there is no entity '{entity}'", field="entity")
        return self._reader.ever([row.id for row in found], relation)

    def stats(self) -> Stats:
        return gather_stats(self._database)

    def log(self) -> list[Revision]:
        """All writes, the oldest first."""
        return read_log(self._database)

    def verify(self) -> list[str]:
        """What is wrong with the knowledge base, a sentence each; nothing for a sound one."""
        return problems(self._database, self._tombstones)

    @contextmanager
    def _revision(self, action: str, actor: str, reason: str) -> Iterator[int]:
        """A transaction and the number of the revision that it makes, or joins."""
        with self._database.transaction():
            if self._open_revision is not None:
                yield self._open_revision
                return
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            sql = "INSERT INTO revision (time, actor, action, reason) VALUES (?, ?, ?, ?) RETURNING id"
            yield self._database.scalar(sql, (now, actor, action, reason))

    @contextmanager
    def _writer(self, action: str, actor: str, reason: str) -> Iterator[Writer]:
        with self._revision(action, actor, reason) as revision:
            yield Writer(self._database, self._tombstones, revision)

    def _held(self, fact_id: int) -> Fact:
        fact = self.fact(fact_id)
        if fact.until is not None:
            raise LamLamError(f"fact {fact_id} ended with revision {fact.until}")
        return fact
