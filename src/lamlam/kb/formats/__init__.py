"""The formats in which facts are read and written, one module each; `registry` lists them."""

from lamlam.kb.formats.mapping import Mapping, load_mapping
from lamlam.kb.formats.registry import FORMATS, Format, find_files, format_of
from lamlam.kb.formats.row import InputFile, Reading, Row, Rows

__all__ = [
    "FORMATS",
    "Format",
    "InputFile",
    "Mapping",
    "Reading",
    "Row",
    "Rows",
    "find_files",
    "format_of",
    "load_mapping",
]
