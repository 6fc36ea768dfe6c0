"""Terminal output: characters that the terminal's encoding lacks are escaped instead of raising an error."""

import io
import json
import sys
from typing import Any

import typer

__all__ = ["escape_what_streams_lack", "print_json"]


def escape_what_streams_lack() -> None:
    """Make standard output and standard error escape characters that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(value: Any) -> None:
    """Print a line of JSON, ASCII-only unless the output is UTF-8."""
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
    typer.echo(json.dumps(value, ensure_ascii=encoding != "utf8"))
