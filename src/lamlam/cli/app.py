"""The `lamlam` command: registers the commands and turns expected errors into one sentence and exit code 2."""

import errno
import importlib
import os
import sys

import typer

from lamlam.cli.output import escape_what_streams_lack
from lamlam.errors import LamLamError

__all__ = ["app", "main"]

_VERBS = (
    "annotate",
    "audit",
    "demo",
    "evaluate",
    "export",
    "generate",
    "kb",
    "mcp",
    "merge",
    "pretrain",
    "serve",
    "token",
    "world",
)
# Errors of the operating system that any write can meet: read-only, full or not ours.
_FORESEEABLE = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM)

app = typer.Typer(
    name="lamlam",
    help="Limited-memory language models: language in the weights, facts in a knowledge base.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for verb in _VERBS:
    importlib.import_module(f"lamlam.cli.{verb}").register(app)


def main() -> None:
    """Run the command line. Exit codes: 0 done, 2 bad input or usage, 130 interrupted."""
    # Keep the libraries' progress bars and notes out of our output.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    escape_what_streams_lack()
    try:
        app()
    except LamLamError as error:
        typer.echo(f"lamlam: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno not in _FORESEEABLE:
            raise
        where = f"{error.filename}: " if error.filename else ""
        typer.echo(f"lamlam: {where}cannot be written ({error.strerror})", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("lamlam: interrupted", err=True)
        sys.exit(130)
