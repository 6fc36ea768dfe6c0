"""What readers of files yield, what they share, what makes a row good; and the records that facts make in a file.

A reader yields a row, or an `InputError` in place of a bad one, and continues; it raises if it cannot read on. Whether
a bad row stops an import or is skipped is left to `kb.files`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lamlam.corpus.corpus import FactRecord
from lamlam.errors import InputError
from lamlam.kb.fact import Fact
from lamlam.kb.names import checked

if TYPE_CHECKING:
    from lamlam.kb.formats.mapping import Mapping
    from lamlam.kb.formats.survey import Survey
    from lamlam.kb.view import View

__all__ = ["ImportContext", "InputFile", "Row", "Rows", "records", "unread_field", "vetted"]

Row = tuple[int | None, FactRecord]  # the line, from 1, where there are lines
Rows = Iterator[Row | InputError]

_FIELDS_NAMED = 20
_LAST_CHARACTER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to read. `name` is what sources call it: its place in the folder that was named, or its own name."""

    path: Path
    name: str
    format: str


@dataclass(slots=True)
class ImportContext:
    """What the readers of one import share. `ignored` counts what is well-formed but states no fact."""

    files: Sequence[InputFile] = ()
    mapping: "Mapping | None" = None
    language: str = "en"
    on_progress: Callable[[int], object] = lambda read: None
    ignored: Counter[str] = field(default_factory=Counter)
    survey: "Survey | None" = None

    def close(self) -> None:
        """Drop what was kept for a second pass."""
        if self.survey is not None:
            self.survey.close()


def unread_field(name: str, ignored: Counter[str]) -> str:
    """Return what `ignored` calls a field that is no part of a fact: its name, for the first ones of many."""
    label = f"the field '{name}'" if name else "a field without a name"
    return label if label in ignored or len(ignored) < _FIELDS_NAMED else "other fields"


def vetted(path: Path, line: int | None, record: FactRecord, prefix: str = "") -> Row | InputError:
    """Return a record as a row, or the reason why a knowledge base would refuse it; `prefix` leads to the error's
    fields."""
    try:
        checked(record.entity, "entity")
        checked(record.relation, "relation")
        checked(record.value, "value")
        if record.document is not None or record.start is not None or record.end is not None:
            _check_place(record)
        for kind, names in (("entity", record.entity_aliases), ("relation", record.relation_aliases)):
            for name in names:
                checked(name, f"aliases.{kind}")
    except InputError as error:
        return InputError(error.reason, path=path, line=line, field=f"{prefix}{error.field}")
    return line, record


def _check_place(record: FactRecord) -> None:
    start, end = record.start, record.end
    if record.document is None:
        raise InputError("is missing, though a span is given", field="source.document")
    checked(f"x{record.document}", "source.document")  # which may be blank
    if (start is None) != (end is None):
        raise InputError("is missing: a span has both ends", field="source.end" if end is None else "source.start")
    if start is not None and end is not None and not 0 <= start <= end <= _LAST_CHARACTER:
        raise InputError(f"is not a valid span: {start} to {end}", field="source.end")


def records(kb: "View", facts: Iterable[Fact]) -> Iterator[FactRecord]:
    """Yield a record for each source of a fact, or one without; aliases go with the first record of what they name."""
    aliases: dict[tuple[str, str], list[str]] = {}
    for kind, alias, name in kb.aliases():
        aliases.setdefault((kind, name), []).append(alias)
    for fact in facts:
        for source in fact.sources or (None,):
            yield FactRecord(
                fact.entity,
                fact.relation,
                fact.value,
                document=source.document if source else None,
                start=source.start if source else None,
                end=source.end if source else None,
                entity_aliases=tuple(aliases.pop(("entity", fact.entity), ())),
                relation_aliases=tuple(aliases.pop(("relation", fact.relation), ())),
            )
