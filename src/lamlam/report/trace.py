"""A generated text with the facts behind it: each statement, its facts, and where they were read.

Built only from what the knowledge base returned and the documents that it names; `page.html` shows it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lamlam.engine.generation import Generation, Lookup
from lamlam.errors import InputError
from lamlam.files import atomic_write
from lamlam.kb.fact import Source

__all__ = ["TRACES_FILE", "Passage", "Statement", "Trace", "read_traces", "trace", "write_traces"]

TRACES_FILE = "traces.json"
_AROUND = 160  # characters of a document that are shown on either side of a fact


@dataclass(frozen=True, slots=True)
class Passage:
    """Where a fact was read: a document's id and, if its text is available, the words around the marked span."""

    document: str
    before: str = ""
    marked: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """A lookup as it appears in a text: `[start, end)` states a value; the span is empty if the text states none."""

    start: int
    end: int
    status: str
    entity: str
    relation: str
    values: tuple[str, ...]
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """A prompt, the text generated after it, and the statements in that text, in order."""

    prompt: str
    text: str
    statements: tuple[Statement, ...]


def trace(generation: Generation, documents: Mapping[str, str]) -> Trace:
    """Build the trace of a generation; `documents` maps ids to texts, as far as they are available."""
    statements = [_statement(lookup, documents) for lookup in generation.lookups]
    statements.sort(key=lambda statement: statement.start)
    return Trace(generation.prompt, generation.text, tuple(statements))


def _statement(lookup: Lookup, documents: Mapping[str, str]) -> Statement:
    found = lookup.resolution
    sources = dict.fromkeys(source for fact in found.facts for source in fact.sources)
    return Statement(
        start=lookup.start,
        end=lookup.end,
        status=str(found.status),
        entity=lookup.entity,
        relation=lookup.relation,
        values=found.values,
        passages=tuple(_passage(source, documents) for source in sources),
    )


def _passage(source: Source, documents: Mapping[str, str]) -> Passage:
    text = documents.get(source.document)
    if text is None or source.start is None or source.end is None:
        return Passage(source.document)
    first, last = max(0, source.start - _AROUND), source.end + _AROUND
    before, after = text[first : source.start], text[source.end : last]
    # Cut words at the edges would look like words of the document.
    before = "… " + before.partition(" ")[2] if first else before
    after = after.rpartition(" ")[0] + " …" if last < len(text) else after
    return Passage(source.document, before, text[source.start : source.end], after)


def write_traces(folder: str | Path, traces: Sequence[Trace]) -> None:
    """Write traces to `folder`/traces.json, where the report looks for them."""
    with atomic_write(Path(folder) / TRACES_FILE) as file:
        json.dump([asdict(trace) for trace in traces], file, indent=1, ensure_ascii=False)


def read_traces(folder: str | Path) -> list[Trace]:
    """Read the traces of a run; empty if it has no such file. Raises `InputError` if the file holds no traces."""
    path = Path(folder) / TRACES_FILE
    if not path.exists():
        return []
    try:
        return [_trace(entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError("holds no traces that can be read", path=path) from error


def _trace(entry: dict[str, Any]) -> Trace:
    return Trace(entry["prompt"], entry["text"], tuple(_stated(statement) for statement in entry["statements"]))


def _stated(entry: dict[str, Any]) -> Statement:
    passages = tuple(Passage(**passage) for passage in entry["passages"])
    return Statement(**(entry | {"values": tuple(entry["values"]), "passages": passages}))
