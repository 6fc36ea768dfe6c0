"""`lamlam evaluate RUN`: measure a trained run and write the figures into its `results.json`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lamlam.vocab import Arm

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    @app.command()
    def evaluate(
        run: Annotated[Path, typer.Argument(help="The run's folder, with its checkpoint.")],
        kb: Annotated[str | None, typer.Option(help="The knowledge base.  [default: RUN/kb.sqlite]")] = None,
        corpus: Annotated[Path | None, typer.Option(help="The corpus folder.  [default: RUN/corpus]")] = None,
        task: Annotated[
            list[str] | None,
            typer.Option(help="completion, perplexity, editing, forgetting or all; can be repeated.  [default: all]"),
        ] = None,
        facts: Annotated[int, typer.Option(min=1, help="How many facts to edit, and to forget.")] = 50,
        sample: Annotated[int, typer.Option(min=1, help="Documents a group read for dynamic perplexity.")] = 100,
        seed: Annotated[int, typer.Option(help="Of what is chosen: facts and documents.")] = 0,
        max_tokens: Annotated[int, typer.Option(min=1, help="Text tokens a completion may have.")] = 24,
        entities: Annotated[str, typer.Option(help="Names a call may ask for: context, known or free.")] = "context",
        relations: Annotated[str, typer.Option(help="Relations a call may ask for: known or free.")] = "free",
        on_miss: Annotated[str, typer.Option(help="On a miss: unknown, drop or nearest.")] = "unknown",
    ) -> None:
        """Measure completion, perplexity, edits and forgetting."""
        from rich.console import Console

        from lamlam.corpus.files import load_corpus
        from lamlam.engine.settings import DecodingSettings
        from lamlam.evaluate.tasks import TASKS, Evaluation
        from lamlam.model.checkpoint import Checkpoint

        settings = DecodingSettings.checked(
            max_tokens=max_tokens, entities=entities, relations=relations, on_miss=on_miss
        )
        arm = _arm(run)
        tasks = _chosen(task or ["all"], list(TASKS), arm)
        evaluation = Evaluation(
            Checkpoint.load(run),
            arm,
            load_corpus(corpus or run / "corpus"),
            kb or run / "kb.sqlite",
            settings,
            facts=facts,
            sample=sample,
            seed=seed,
            progress=True,
        )
        for name in tasks:
            results = evaluation.run(name)
            evaluation.write(run, results)
            for result_name, result in results.items():
                Console().print(_table(result_name, result.figures()))
        typer.echo(f"The figures stand in {run / 'results.json'}.")


def _chosen(asked: list[str], known: list[str], arm: "Arm") -> list[str]:
    """The tasks asked for; "all" are those that the arm can be given."""
    everything = known if arm == "lmlm" else [name for name in known if name in ("completion", "perplexity")]
    return list(dict.fromkeys(name for each in asked for name in (everything if each == "all" else [each])))


def _arm(run: Path) -> "Arm":
    """As the run's recipe says; a checkpoint without one is taken for an LMLM."""
    from lamlam.pretrain.recipe import load_recipe

    recipe = run / "recipe.yaml"
    return load_recipe(recipe).arm if recipe.exists() else "lmlm"


def _table(name: str, figures: dict[str, Any]) -> Any:
    """The plain numbers of a result, nested names joined by dots."""
    from rich.table import Table

    table = Table("figure", "value", title=name.replace("_", " "), title_justify="left")
    table.columns[1].justify = "right"
    for path, value in _flat(figures):
        table.add_row(path, f"{value:,}" if isinstance(value, int) else f"{value:.4f}")
    return table


def _flat(figures: dict[str, Any], above: str = "") -> list[tuple[str, int | float]]:
    rows: list[tuple[str, int | float]] = []
    for name, value in figures.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{above}{name}.")
        elif isinstance(value, int | float):
            rows.append((above + name, value))
    return rows
