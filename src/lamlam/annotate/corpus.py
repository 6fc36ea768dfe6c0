"""Annotates whole corpora: shards in, shards out, and their facts into a knowledge base.

An interrupted run continues where it was, and leaves the same bytes as one that was not interrupted.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from lamlam import __version__
from lamlam.annotate.annotator import Annotator, BringsFacts
from lamlam.annotate.engines import processes, run_on_ray
from lamlam.annotate.shard_work import AnnotationCounts, Progress, ShardWork
from lamlam.annotate.shards import Shard, is_one_file
from lamlam.annotate.spans import facts_in
from lamlam.corpus import FactRecord
from lamlam.corpus.documents import read_documents
from lamlam.corpus.lines import read_object
from lamlam.errors import InputError
from lamlam.files import atomic_write, remove_torn
from lamlam.kb import AddReport, KnowledgeBase
from lamlam.kb.database import is_url
from lamlam.kb.names import normalise

__all__ = ["CorpusTally", "Ledger", "annotate_corpus", "ledger_file"]

_NO_FOLDERS = (".json", ".txt", ".md", ".csv", ".gz", ".bz2")
_START_OVER = "choose another place, or give --anew to start over"
_LARGE = 1 << 22  # bytes of documents from which on facts are added in bulk, by another process


@dataclass(slots=True)
class CorpusTally:
    """The counts of all shards, and the knowledge base's report on the facts, if one was given."""

    counts: AnnotationCounts = field(default_factory=AnnotationCounts)
    knowledge_base: AddReport | None = None


def annotate_corpus(
    shards: Sequence[Shard],
    out: Path,
    annotator: Annotator,
    *,
    workers: int = 1,
    engine: Literal["local", "ray"] = "local",
    knowledge_base: str | Path | None = None,
    anew: bool = False,
    progress: Progress | None = None,
) -> CorpusTally:
    """Annotate shards into `out`: one file if its name ends like one, else a folder with a file for each shard.

    Finished shards are skipped unless `anew`. The work is done by `workers` processes on this machine, or by those of
    Ray. Facts go into `knowledge_base`, created if missing: those that the calls state, with document and span, and
    those that the annotator was given. Raises `InputError` for input that cannot be read, and if `out` holds what
    another annotator, other settings or other input made.
    """
    ledger, tally = Ledger(out, annotator), CorpusTally()
    works = _works(shards, out, ledger.maker)
    if knowledge_base is not None and (is_url(knowledge_base) or Path(knowledge_base).exists()):
        KnowledgeBase.open(knowledge_base, create=True).close()  # fails before the work if it can't be opened
    progress = progress or Progress()
    ledger.begin([work.shard.name for work in works], anew=anew)
    try:
        missing = []
        for work in works:
            made = ledger.finished(work.shard.name, work.digest) if work.out.exists() else None
            if made is None:
                missing.append(work)
                continue
            tally.counts.add(made)
            progress.read(work.shard.bytes)
            work.clear()
        for work, counts in _run(missing, annotator, workers, engine, progress):
            ledger.finish(work.shard.name, work.digest, counts)
            tally.counts.add(counts)
            work.clear()
    except InputError:
        ledger.abandon()
        raise
    ledger.complete(tally.counts)
    if knowledge_base is not None:
        progress.stage("adding facts")
        tally.knowledge_base = _add_facts(works, annotator, knowledge_base)
    return tally


def _run(
    works: Sequence[ShardWork], annotator: Annotator, workers: int, engine: str, progress: Progress
) -> Iterator[tuple[ShardWork, AnnotationCounts]]:
    if engine == "ray":
        yield from run_on_ray(works, annotator, workers, progress)
        return
    try:
        with processes(annotator, workers) as made:
            for work in works:
                yield work, work.run(made, progress)
    except InputError:
        work.clear()  # corrected input is other input
        raise


def _works(shards: Sequence[Shard], out: Path, maker: str) -> list[ShardWork]:
    """Return the work on each shard. Raises `InputError` if its output has no place, or is the input."""
    if is_one_file(out):
        if len(shards) > 1:
            raise InputError(f"is one file, but there are {len(shards)} to write: name a folder", path=out)
        places = [out]
    else:
        places = [out / shard.name for shard in shards]
        if out.is_file() or out.suffix in _NO_FOLDERS:
            raise InputError("is not a folder, and does not end in .jsonl, .jsonl.gz or .parquet", path=out)
        if any(path.is_file() for path in out.rglob("*")) and not ledger_file(out).exists():
            raise InputError("holds other files: name another folder, or an empty one", path=out)
    for shard, place in zip(shards, places, strict=True):
        if any(place.resolve() == path.resolve() for path in shard.files):
            raise InputError("would be overwritten: name another place for the output", path=place)
    return [ShardWork(shard, place, maker) for shard, place in zip(shards, places, strict=True)]


def _add_facts(works: Sequence[ShardWork], annotator: Annotator, place: str | Path) -> AddReport:
    """Add the facts of all shards to a knowledge base, created if missing, in one transaction.

    A source names the document by its id, after the shard's name if there are several: `a.jsonl#17`.
    """
    facts = _facts(works, annotator)
    with KnowledgeBase.open_to_fill(place) as kb:
        if sum(work.out.stat().st_size for work in works) < _LARGE:
            return kb.add(facts, actor="annotate", reason=annotator.name)
        identity = " ".join(work.digest for work in works)
        return kb.load(facts, identity=identity, actor="annotate", reason=annotator.name)


def _facts(works: Sequence[ShardWork], annotator: Annotator) -> Iterator[FactRecord]:
    if isinstance(annotator, BringsFacts):
        yield from annotator.facts or ()
        yield from (fact for work in works for document in work.shard.read() for fact in annotator.brought(document))
    for work in works:
        prefix = f"{work.shard.name}#" if len(works) > 1 else ""
        for document in read_documents(work.out):
            for fact in facts_in(document):
                if all(map(normalise, (fact.entity, fact.relation, fact.value))):
                    yield replace(fact, document=prefix + document.id)


def ledger_file(out: Path) -> Path:
    """Return the ledger's path: `OUT.annotation.json` beside one file, `annotation.json` in a folder."""
    return out.with_name(f"{out.name}.annotation.json") if is_one_file(out) else out / "annotation.json"


class Ledger:
    """How shards were annotated: annotator, version, settings, and for each shard its input's digest and its counts.

    During a run, finished shards are in a log beside the file, a line each. Nothing in the file depends on when or how
    fast a run was, or how often it was interrupted.
    """

    def __init__(self, out: Path, annotator: Annotator) -> None:
        self._path = ledger_file(out)
        self._log = self._path.with_name(f".{self._path.name}.log")
        self._out = out
        settings = json.loads(json.dumps(dict(annotator.settings)))
        self._head = {"annotator": annotator.name, "version": __version__, "settings": settings}
        self._shards: dict[str, dict[str, Any]] = {}

    @property
    def maker(self) -> str:
        """Annotator, version and settings in one text."""
        return json.dumps(self._head, sort_keys=True)

    def begin(self, names: Iterable[str], *, anew: bool) -> None:
        """Continue an earlier run. Raises `InputError` if it was another annotator's, or of other shards."""
        if anew:
            self._remove()
        if not self._path.exists():
            self._write(complete=False)
            return
        stored = dict(read_object(self._path).value)
        if different := [key for key in self._head if stored.get(key) != self._head[key]]:
            raise InputError(f"{self._difference(stored, different)}: {_START_OVER}", path=self._out)
        self._shards = {**stored.get("shards", {}), **self._logged()}
        if gone := sorted(self._shards.keys() - set(names)):
            raise InputError(f"holds {gone[0]}, which the input lacks: {_START_OVER}", path=self._out)

    def finished(self, name: str, digest: str) -> AnnotationCounts | None:
        """Return the counts of a finished shard. Raises `InputError` if its input has changed since."""
        entry = self._shards.get(name)
        if entry is None:
            return None
        if entry["input"] != digest:
            raise InputError(f"was made from {name} before it changed: {_START_OVER}", path=self._out)
        return AnnotationCounts.from_json(entry)

    def finish(self, name: str, digest: str, counts: AnnotationCounts) -> None:
        """Record a finished shard."""
        self._shards[name] = {"input": digest, **counts.as_json()}
        with self._log.open("a", encoding="ascii") as file:
            file.write("\n" + json.dumps({name: self._shards[name]}) + "\n")  # the line before may be torn

    def complete(self, total: AnnotationCounts) -> None:
        """Record that all shards are finished."""
        self._write(complete=True, **total.as_json(), shards=dict(sorted(self._shards.items())))
        self._log.unlink(missing_ok=True)
        remove_torn(self._path)

    def abandon(self) -> None:
        """Leave nothing behind if no shard was finished."""
        if not self._shards:
            self._remove()

    def _remove(self) -> None:
        self._path.unlink(missing_ok=True)
        self._log.unlink(missing_ok=True)

    def _difference(self, stored: dict[str, Any], different: list[str]) -> str:
        if different == ["settings"]:
            mine, theirs = self._head["settings"], stored.get("settings") or {}
            keys = sorted(key for key in {*mine, *theirs} if mine.get(key) != theirs.get(key))
            return f"was begun by {stored['annotator']} with other settings ({', '.join(keys)})"
        return f"was begun by {stored.get('annotator')} of version {stored.get('version')}"

    def _write(self, **more: Any) -> None:
        with atomic_write(self._path) as file:
            json.dump({**self._head, **more}, file, ensure_ascii=False, indent=1)
            file.write("\n")

    def _logged(self) -> dict[str, dict[str, Any]]:
        """Return the shards in the log; torn lines are ignored."""
        shards: dict[str, dict[str, Any]] = {}
        for line in self._log.read_text(encoding="ascii").splitlines() if self._log.exists() else ():
            with suppress(json.JSONDecodeError):
                shards |= json.loads(line)
        return shards
