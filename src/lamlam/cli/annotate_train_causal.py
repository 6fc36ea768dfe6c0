"""`lamlam annotate train-causal`: fine-tune a causal model to annotate like a gold annotation."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    @app.command("train-causal")
    def train_causal(
        gold: Annotated[list[Path], typer.Argument(metavar="GOLD…", help="Annotated documents, preferably cleaned.")],
        model: Annotated[Path, typer.Option(help="Folder of a causal model with a fast tokenizer.")],
        out: Annotated[Path, typer.Option(help="Output folder for the adapter; also holds the state to resume from.")],
        set_: Annotated[
            list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, e.g. epochs=3.")
        ] = None,
        merge: Annotated[Path | None, typer.Option(help="Also write base and adapter, merged, to this folder.")] = None,
    ) -> None:
        """Fine-tune low-rank adapters of a causal model. Rerun the command to resume from the last epoch."""
        from lamlam.annotate.causal.model import CausalModel
        from lamlam.annotate.causal.settings import CausalTraining
        from lamlam.annotate.causal.training import train_causal as train
        from lamlam.checked import checked
        from lamlam.cli.pairs import pairs
        from lamlam.corpus.files import read_documents

        settings = checked(CausalTraining, pairs(set_ or []))
        documents = (document for path in gold for document in read_documents(path))
        summary = train(documents, model, out, settings)
        if merge is not None:
            CausalModel.open(out).save(merge)
        examples, loss = summary["examples"], summary["calibration_loss"]
        told = f", calibration loss {loss:.3f}" if loss is not None else ""
        typer.echo(f"{examples['train']:,} examples, {summary['epochs']:g} epochs{told}. The adapter is in {out}.")
