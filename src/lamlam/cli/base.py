"""The option that says where an adapter's base model is, for all commands that open one."""

from typing import Annotated

import typer

__all__ = ["BaseOption"]

BaseOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="An adapter's base model: a folder, GGUF file or name on the hub."
        "  [default: where it was in training, else $LAMLAM_BASE]",
        show_default=False,
    ),
]
