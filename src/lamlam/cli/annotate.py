"""`lamlam annotate IN`: insert lookup calls into documents; subcommands score, train and clean annotations."""

import importlib

import typer
from typer.core import TyperGroup

__all__ = ["register"]

_DOCUMENTS = "documents"
_VERBS = (
    "annotate_clean",
    "annotate_documents",
    "annotate_score",
    "annotate_train",
)


class _DocumentsByDefault(TyperGroup):
    """`lamlam annotate IN` is `lamlam annotate documents IN`; a file named like a verb is written `./score`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [_DOCUMENTS, *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    verbs = typer.Typer(
        name="annotate",
        cls=_DocumentsByDefault,
        help="Insert lookup calls into documents (lamlam annotate IN --with NAME --out FILE); score and clean them.",
        no_args_is_help=True,
    )
    for verb in _VERBS:
        importlib.import_module(f"lamlam.cli.{verb}").register(verbs)
    app.add_typer(verbs)
