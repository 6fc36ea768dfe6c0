"""A table of names of relations that mean the same: a meaning a line, its names parted by bars.

`date:` or `place:` in front says that the meaning holds for facts with such a value alone: "Founded In" is a date or a
place. Lines that begin with # are remarks.
"""

from dataclasses import dataclass
from pathlib import Path

from lamlam.corpus.lines import read_text
from lamlam.errors import InputError
from lamlam.kb.matching.phrase import kind_of_value
from lamlam.kb.names import normalise

__all__ = ["Meaning", "read_rewordings"]

_KINDS = {"date": {"date", "year"}, "place": {"name"}, "number": {"number", "year"}}


@dataclass(frozen=True, slots=True)
class Meaning:
    """Normalised names, the first of which stands for all."""

    names: tuple[str, ...]
    kind: str = ""

    def holds_for(self, value: str) -> bool:
        return not self.kind or kind_of_value(value) in _KINDS[self.kind]


def read_rewordings(path: str | Path) -> list[Meaning]:
    """The meanings of a file. Raises `InputError` where a line has no two names, or an unknown kind of value."""
    meanings = []
    for number, line in enumerate(read_text(Path(path)).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        kind, _, names = line.rpartition(": ")
        if kind and kind not in _KINDS:
            raise InputError(f"'{kind}' is no kind of value; there are {', '.join(_KINDS)}", path=path, line=number)
        told = tuple(dict.fromkeys(filter(None, map(normalise, names.split("|")))))
        if len(told) < 2:
            raise InputError("a meaning has two names or more, parted by |", path=path, line=number)
        meanings.append(Meaning(told, kind))
    return meanings
