"""`lamlam audit RUN`: forget facts on a copy of the knowledge base and measure what is left."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamlam.cli.base import BaseOption

if TYPE_CHECKING:
    from lamlam.evaluate.results import Result

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    @app.command()
    def audit(
        run: Annotated[Path, typer.Argument(help="The run's folder, with its checkpoint.")],
        facts: Annotated[Path, typer.Option(help="The facts to forget (JSON Lines, as for `kb import`).")],
        kb: Annotated[str | None, typer.Option(help="The knowledge base.  [default: RUN/kb.sqlite]")] = None,
        base: BaseOption = None,
        prompts: Annotated[
            Path | None, typer.Option(help="Probes for these facts.  [default: RUN/corpus/probes.jsonl]")
        ] = None,
        neighbours: Annotated[
            int,
            typer.Option(min=0, help="Neighbouring facts to ask about for each shared entity, relation and value."),
        ] = 2,
        seed: Annotated[int, typer.Option(help="Random seed for choosing neighbours.")] = 0,
        max_tokens: Annotated[int, typer.Option(min=1, help="Maximum text tokens per completion.")] = 24,
    ) -> None:
        """Forget facts on a copy of the knowledge base, ask about them before and after, and report what is left."""
        from rich.console import Console

        from lamlam.corpus import Corpus
        from lamlam.corpus.files import read_facts, read_probes
        from lamlam.engine.settings import DecodingSettings
        from lamlam.evaluate.evaluation import Evaluation
        from lamlam.evaluate.results import Provenance, append_results
        from lamlam.evaluate.tasks.audit import audit_listed
        from lamlam.kb.store import KnowledgeBase
        from lamlam.model.checkpoint import Checkpoint
        from lamlam.pretrain.recipe import arm_of

        settings = DecodingSettings.checked(max_tokens=max_tokens)
        listed = list(read_facts(facts))
        asked = prompts or run / "corpus" / "probes.jsonl"
        probes = list(read_probes(asked)) if prompts or asked.exists() else []
        place = kb or run / "kb.sqlite"
        with KnowledgeBase.open(place) as opened:
            digest = opened.digest()
        evaluation = Evaluation(
            Checkpoint.load(run, base=base),
            arm_of(run),
            Corpus([], {}, [], probes),
            place,
            settings,
            seed=seed,
            progress=True,
        )
        result = audit_listed(evaluation, listed, neighbours)
        append_results(run, {"audit_facts": result}, Provenance(seed, settings.model_dump(), digest))
        audited = result.parts["facts"]
        Console().print(_table(audited.parts, audited.more["facts"]))
        typer.echo(f"The figures are in {run / 'results.json'}.")


def _table(callers: Mapping[str, "Result"], facts: int) -> Any:
    """Return a table with a row per measure and a column per caller; n/a for a proportion of zero cases."""
    from rich.table import Table

    table = Table("", *(caller.replace("_", " ") for caller in callers), title=f"facts forgotten: {facts}")
    columns = [result.proportions for result in callers.values()]
    for name in columns[0]:
        values = (proportions[name].value for proportions in columns)
        table.add_row(name, *("n/a" if value != value else f"{value:.3f}" for value in values))
    return table
