"""The formats of facts, one module each, by name and by the ending of a file; and the files that an import reads."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lamlam.corpus.lines import PACKED
from lamlam.errors import InputError
from lamlam.kb.fact import Fact
from lamlam.kb.formats.csv import read_csv, write_csv
from lamlam.kb.formats.jsonl import read_jsonl, write_jsonl
from lamlam.kb.formats.mapping import Mapping, load_mapping
from lamlam.kb.formats.nested import read_nested
from lamlam.kb.formats.ntriples import read_ntriples
from lamlam.kb.formats.paper import read_paper, write_paper
from lamlam.kb.formats.parquet import read_parquet, write_parquet
from lamlam.kb.formats.row import ImportContext, InputFile, Row, Rows

if TYPE_CHECKING:
    from lamlam.kb.view import View

__all__ = [
    "FORMATS",
    "Format",
    "ImportContext",
    "InputFile",
    "Mapping",
    "Row",
    "Rows",
    "find_files",
    "format_of",
    "load_mapping",
]


@dataclass(frozen=True, slots=True)
class Format:
    """How facts of one format are read, in how many passes, and how they are written, if they can be."""

    read: Callable[[InputFile, ImportContext], Rows]
    write: Callable[["View", Iterator[Fact], Path], None] | None = None
    passes: int = 1


FORMATS = {
    "jsonl": Format(read_jsonl, write_jsonl),
    "csv": Format(read_csv, write_csv),
    "json": Format(read_paper, write_paper),
    "parquet": Format(read_parquet, write_parquet),
    "nt": Format(read_ntriples, passes=2),
    "nested": Format(read_nested),
}
_ENDINGS = tuple(name for name in FORMATS if name != "nested")


def format_of(path: Path, format: str | None = None, *, written: bool = False) -> str:
    """Return the format that is named, or that the ending says. Raises `InputError` for an unknown one."""
    known = [name for name, known in FORMATS.items() if known.write or not written]
    ending = _ending(path, packed=not written)
    if format is None and ending not in known:
        endings = [f".{name}" for name in _ENDINGS if name in known]
        raise InputError(f"must end in {', '.join(endings)}, or its format must be given", path=path)
    if (format or ending) not in known:
        raise InputError(f"unknown format '{format}'; use {', '.join(known)}", field="format")
    return format or ending


def find_files(places: Iterable[Path], format: str | None, mapping: Mapping | None) -> list[InputFile]:
    """Return the files that are named, and those in folders that are named, in the order of their names.

    In a folder, files with another ending are skipped; with a mapping, those that it does not choose. Raises
    `InputError` if a file is missing, or a folder contains nothing to read.
    """
    files = []
    for place in places:
        files += list(_in_folder(place, format, mapping)) if place.is_dir() else [_single(place, format, mapping)]
    return files


def _single(path: Path, format: str | None, mapping: Mapping | None) -> InputFile:
    chosen = format_of(path, format or ("nested" if mapping else None))
    if not path.exists():
        raise InputError("no such file", path=path)
    return InputFile(path, path.name, chosen)


def _in_folder(folder: Path, format: str | None, mapping: Mapping | None) -> Iterator[InputFile]:
    format = format or ("nested" if mapping else None)
    endings = (format,) if format else _ENDINGS
    found = False
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        chosen = mapping.chooses(path) if mapping else _ending(path) in endings
        if chosen and path.is_file() and not any(part.startswith(".") for part in name.split("/")):
            found = True
            yield InputFile(path, name, format_of(path, format))
    if not found:
        raise InputError("holds no file that can be read", path=folder)


def _ending(path: Path, *, packed: bool = True) -> str:
    """Return the ending, without that of a packed file."""
    name = Path(path.stem) if packed and path.suffix in PACKED else path
    return "" if name.suffix == ".nested" else name.suffix.removeprefix(".").lower()
