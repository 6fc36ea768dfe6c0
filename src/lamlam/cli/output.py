"""What goes to the screen, whatever characters the screen has: what it lacks is escaped, and never ends a command."""

import io
import json
import sys
from typing import Any

import typer

__all__ = ["escape_what_streams_lack", "print_json"]


def escape_what_streams_lack() -> None:
    """Let standard output and errors escape the characters that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(value: Any) -> None:
    """Print a line of JSON, in characters that every encoding has where output is not UTF-8."""
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
    typer.echo(json.dumps(value, ensure_ascii=encoding != "utf8"))
