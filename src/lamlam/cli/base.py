"""The `--base` option, shared by the commands that open an adapter."""

from typing import Annotated

import typer

__all__ = ["BaseOption"]

BaseOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="The adapter's base model: a folder, GGUF file or hub name."
        "  [default: its path in training, else $LAMLAM_BASE]",
        show_default=False,
    ),
]
