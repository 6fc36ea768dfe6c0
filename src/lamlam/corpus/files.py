"""Reads and writes files of facts and probes, and the folder of a corpus.

Readers are iterators, so a corpus need not fit into memory; files are written whole or not at all. Bad input raises an
`InputError` that names file, line and field. Files of documents are read by `documents`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from lamlam.corpus.corpus import Corpus, FactRecord, Probe
from lamlam.corpus.documents import (
    documents_from_paper,
    documents_to_paper,
    read_documents,
    read_lines,
    write_documents,
)
from lamlam.corpus.lines import Entry, read_entries, write_objects
from lamlam.corpus.rows import Columns, Ids
from lamlam.errors import InputError, LamLamError
from lamlam.markup import AnnotatedDocument

__all__ = [
    "documents_from_paper",
    "documents_to_paper",
    "fact_of",
    "load_corpus",
    "read_documents",
    "read_facts",
    "read_probes",
    "save_corpus",
    "write_documents",
    "write_facts",
    "write_probes",
]

_HELDOUT = "heldout-"
_FACT = frozenset(("entity", "relation", "value", "source", "aliases"))
_SOURCE = frozenset(("document", "start", "end"))
_ALIASES = frozenset(("entity", "relation"))
_PROBE = frozenset(field.name for field in fields(Probe))


def read_facts(path: str | Path) -> Iterator[FactRecord]:
    """Yield the facts of a JSON Lines file.

    An object is `{"entity", "relation", "value"}` and optionally `"source": {"document", "start", "end"}` (a character
    span, both or neither) and `"aliases": {"entity": [...], "relation": [...]}`. Raises `InputError`.
    """
    return (fact_of(entry) for entry in read_entries(path))


def read_probes(path: str | Path) -> Iterator[Probe]:
    """Yield the probes of a JSON Lines file, whose objects have the fields of `Probe`. Raises `InputError`."""
    return (_probe(entry) for entry in read_entries(path))


def write_facts(facts: Iterable[FactRecord], path: str | Path) -> int:
    """Write facts as JSON Lines and return how many. Raises `LamLamError` for a span without a document or an end."""
    return write_objects(map(_fact_object, facts), path)


def write_probes(probes: Iterable[Probe], path: str | Path) -> int:
    """Write probes as JSON Lines and return how many."""
    return write_objects(map(asdict, probes), path)


def load_corpus(folder: str | Path) -> Corpus:
    """Read a corpus folder: `train.jsonl` and `facts.jsonl`, with optional `probes.jsonl` and `heldout-<group>.jsonl`.

    Raises `InputError` if the folder or a file is missing or bad, or there is nothing to train on.
    """
    source = Path(folder)
    if not source.is_dir():
        raise InputError("no such folder", path=source)
    heldout = {path.stem.removeprefix(_HELDOUT): _group(path) for path in sorted(source.glob(f"{_HELDOUT}*.jsonl"))}
    probes = source / "probes.jsonl"
    return Corpus(
        train=list(read_documents(source / "train.jsonl")),
        heldout=heldout,
        facts=list(read_facts(source / "facts.jsonl")),
        probes=list(read_probes(probes)) if probes.exists() else [],
    )


def _group(path: Path) -> list[AnnotatedDocument]:
    """Return held-out documents; there may be none."""
    with Ids() as ids:
        return list(read_lines(path, Columns(), lambda read: None, ids))


def save_corpus(corpus: Corpus, folder: str | Path) -> None:
    """Write a corpus into a folder, created if missing; held-out groups of an earlier corpus are removed.

    Raises `InputError` if a group's name cannot be part of a file's name.
    """
    target = Path(folder)
    for group in corpus.heldout:
        if not group.replace("-", "").replace("_", "").isalnum():
            raise InputError(f"the held-out group '{group}' must be named in letters, digits, - and _", path=target)
    write_documents(corpus.train, target / "train.jsonl")
    for group, documents in corpus.heldout.items():
        write_documents(documents, target / f"{_HELDOUT}{group}.jsonl")
    for path in target.glob(f"{_HELDOUT}*.jsonl"):
        if path.stem.removeprefix(_HELDOUT) not in corpus.heldout:
            path.unlink()
    write_facts(corpus.facts, target / "facts.jsonl")
    write_probes(corpus.probes, target / "probes.jsonl")


def fact_of(entry: Entry, unread: Callable[[str], object] = lambda field: None) -> FactRecord:
    """Return the fact in an object of a JSON Lines file; see `read_facts`. Raises `InputError`.

    `unread` is called with each field that is not part of a fact; a misspelt part is an error.
    """
    source = entry.entry("source") if entry.has("source") else None
    aliases = entry.entry("aliases") if entry.has("aliases") else None
    parts = (entry, _FACT), (source, _SOURCE), (aliases, _ALIASES)
    for part, known in ((part, known) for part, known in parts if part is not None):
        for field in part.others(known):
            unread(part.prefix + field)
    start, end = _span(source) if source else (None, None)
    return FactRecord(
        entity=entry.text("entity", empty=False),
        relation=entry.text("relation", empty=False),
        value=entry.text("value", empty=False),
        document=source.text("document") if source else None,
        start=start,
        end=end,
        entity_aliases=aliases.texts("entity") if aliases and aliases.has("entity") else (),
        relation_aliases=aliases.texts("relation") if aliases and aliases.has("relation") else (),
    )


def _span(source: Entry) -> tuple[int, int] | tuple[None, None]:
    if not source.has("start") and not source.has("end"):
        return None, None
    start = source.number("start", least=0)
    return start, source.number("end", least=start)


def _fact_object(fact: FactRecord) -> dict[str, Any]:
    if (fact.start is None) != (fact.end is None) or (fact.document is None and fact.start is not None):
        raise LamLamError(f"the fact {fact.relation} of {fact.entity} has a span without a document or an end")
    source = {"document": fact.document, "start": fact.start, "end": fact.end}
    aliases = {"entity": list(fact.entity_aliases), "relation": list(fact.relation_aliases)}
    parts = {
        "source": {key: part for key, part in source.items() if part is not None},
        "aliases": {key: names for key, names in aliases.items() if names},
    }
    triple = {"entity": fact.entity, "relation": fact.relation, "value": fact.value}
    return triple | {name: part for name, part in parts.items() if part}


def _probe(entry: Entry) -> Probe:
    entry.others(_PROBE)
    answers = entry.texts("answers")
    if not answers:
        raise entry.error("must hold at least one answer", "answers")
    return Probe(
        id=entry.text("id"),
        prompt=entry.text("prompt"),
        entity=entry.text("entity"),
        relation=entry.text("relation"),
        answers=answers,
        group=entry.text("group"),
        mentions=entry.number("mentions", least=0) if entry.has("mentions") else 0,
    )
