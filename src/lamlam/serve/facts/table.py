"""Facts as a CSV table: writing, reading, and applying the changes.

Cells are stored as they are, including those that look like formulas (=, +, -, @): an escape character would become
part of the value on upload. Import the columns into spreadsheets as text.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lamlam.corpus.corpus import FactRecord
from lamlam.errors import InputError, LamLamError, StoreError
from lamlam.kb import Fact, KnowledgeBase
from lamlam.kb.formats.csv import numbered_rows
from lamlam.kb.names import canonical, checked
from lamlam.serve.errors import Fault
from lamlam.serve.facts.messages import MOST, NAME, VALUE, ChangedValue, RefusedRow, Statement, TableReport

__all__ = ["TableRow", "change_by_table", "read_table", "written"]

_COLUMNS = ("id", "entity", "relation", "value")
_LONGEST = {"entity": NAME, "relation": NAME, "value": VALUE}
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row, its line, and the id of its fact; None for a fact to add."""

    line: int
    id: int | None
    entity: str
    relation: str
    value: str


def written(facts: Sequence[Fact]) -> Iterator[str]:
    """Yield the table in pieces, starting with the header."""
    yield _lines([_COLUMNS])
    for start in range(0, len(facts), _AT_ONCE):
        part = facts[start : start + _AT_ONCE]
        yield _lines([(fact.id, fact.entity, fact.relation, fact.value) for fact in part])


def _lines(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


# Reading


def read_table(data: bytes, most: int) -> list[TableRow]:
    """Parse a table. Raises `Fault` (422), with line and field, for an invalid row or more than `most` rows."""
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", errors="surrogateescape", newline="")
    found, places = list[TableRow](), dict[str, int]()
    for row in numbered_rows(text):
        if isinstance(row, InputError):
            raise Fault(422, f"line {row.line}: {row.reason}")
        line, cells = row
        if not places:
            places = _places(line, cells)
        elif len(found) == most:
            raise Fault(422, f"a table is limited to {most} rows")
        else:
            found.append(_row(line, cells, places))
    if not places:
        raise Fault(422, f"the first line must name the columns {', '.join(_COLUMNS)}")
    return found


def _places(line: int, cells: list[str]) -> dict[str, int]:
    if sorted(cells) not in (sorted(_COLUMNS), sorted(_COLUMNS[1:])):
        raise Fault(422, f"line {line}: must name the columns {', '.join(_COLUMNS)}")
    return {name: cells.index(name) for name in cells}


def _row(line: int, cells: list[str], places: dict[str, int]) -> TableRow:
    if len(cells) != len(places):
        raise Fault(422, f"line {line}: has {len(cells)} fields, not {len(places)}")
    texts = {name: cells[place] for name, place in places.items()}
    number = texts.pop("id", "").strip()
    if number and not (number.isascii() and number.isdecimal() and 0 < int(number[:20]) <= MOST):
        raise Fault(422, f"line {line}: is not a fact's id", field="id")
    for name, text in texts.items():
        if len(text) > _LONGEST[name]:
            raise Fault(422, f"line {line}: is longer than {_LONGEST[name]} characters", field=name)
        try:
            checked(text, name)
        except InputError as error:
            raise Fault(422, f"line {line}: {error.reason}", field=name) from None
    return TableRow(line, int(number) if number else None, **texts)


# Applying


class _Rehearsed(Exception):
    """Rolls back a dry run."""


def change_by_table(kb: KnowledgeBase, rows: Sequence[TableRow], dry_run: bool, actor: str, reason: str) -> TableReport:
    """Apply the rows as one revision, or try them in a dry run.

    Raises `Fault` (409), and writes nothing, if a row is refused: its fact has ended, doesn't exist, belongs to another
    entity or relation, or was forgotten. A dry run reports all such rows.
    """
    changes = _Changes(kb)
    try:
        with kb.transaction(actor=actor, reason=reason) as revision:
            for row in rows:
                changes.carry_out(row)
            if dry_run or changes.report.refused or not (changes.report.edited or changes.report.added):
                raise _Rehearsed
            changes.report.revision = revision
    except _Rehearsed:
        pass
    report = changes.report
    if report.refused and not dry_run:
        first, others = report.refused[0], len(report.refused) - 1
        more = f"; {others} more rows are refused" if others else ""
        raise Fault(409, f"line {first.line}: {first.reason}{more}; nothing was written")
    return report


class _Changes:
    """Applies rows in an open transaction and keeps count."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self._kb, self._seen = kb, set[int]()
        self.report = TableReport(edited=[], added=[], unchanged=0, refused=[], revision=None)

    def carry_out(self, row: TableRow) -> None:
        try:
            self._add(row) if row.id is None else self._edit(row, row.id)
        except StoreError:  # not the row's fault
            raise
        except LamLamError as error:
            told = error.reason if isinstance(error, InputError) else str(error)
            self.report.refused.append(RefusedRow(line=row.line, reason=told))

    def _edit(self, row: TableRow, number: int) -> None:
        old = self._kb.fact(number)
        if number in self._seen:
            raise LamLamError(f"fact {number} is already in another row")
        self._seen.add(number)
        if (old.entity, old.relation) != (canonical(row.entity), canonical(row.relation)):
            raise LamLamError(f"fact {number} has another entity or relation; add a new fact instead")
        if old.until is None and old.value == row.value:
            self.report.unchanged += 1
            return
        self._kb.edit(number, value=row.value)
        changed = ChangedValue(id=number, entity=old.entity, relation=old.relation, old=old.value, new=row.value)
        self.report.edited.append(changed)

    def _add(self, row: TableRow) -> None:
        report = self._kb.add([FactRecord(row.entity, row.relation, row.value)])
        if report.refused:
            raise LamLamError("the fact was forgotten")
        if report.known:
            self.report.unchanged += 1
            return
        self.report.added.append(Statement(entity=row.entity, relation=row.relation, value=row.value))
