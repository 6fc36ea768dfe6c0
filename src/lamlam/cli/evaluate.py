"""`lamlam evaluate RUN`: measure a trained run and write the figures into its `results.json`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamlam.cli.base import BaseOption

if TYPE_CHECKING:
    from lamlam.evaluate.judges import JudgeSettings

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    @app.command()
    def evaluate(
        run: Annotated[Path, typer.Argument(help="The run's folder, or a folder with the runs lmlm and standard.")],
        standard: Annotated[Path | None, typer.Option(help="The standard arm's run, to compare.")] = None,
        kb: Annotated[str | None, typer.Option(help="The knowledge base.  [default: RUN/kb.sqlite]")] = None,
        base: BaseOption = None,
        corpus: Annotated[Path | None, typer.Option(help="The corpus folder.  [default: RUN/corpus]")] = None,
        task: Annotated[list[str] | None, typer.Option(help="A task, or all; repeatable.  [default: all]")] = None,
        harness: Annotated[
            list[str] | None,
            typer.Option(help="A task of lm-evaluation-harness, by name or YAML file; repeatable."),
        ] = None,
        quick: Annotated[bool, typer.Option("--quick", help="Use part of each task's data; takes minutes.")] = False,
        again: Annotated[bool, typer.Option("--again", help="Measure again even if results exist.")] = False,
        data: Annotated[
            Path | None,
            typer.Option(help="Folder with the benchmarks' data.  [default: $LAMLAM_DATA or ../shared/data]"),
        ] = None,
        reference: Annotated[
            str | None, typer.Option(help="factscore: the reference knowledge base.  [default: that of --kb]")
        ] = None,
        judge: Annotated[
            str | None, typer.Option(help="factscore: an OpenAI-compatible chat server as judge.  [default: none]")
        ] = None,
        judge_model: Annotated[str | None, typer.Option(help="The judge's model; required with --judge.")] = None,
        facts: Annotated[int, typer.Option(min=1, help="Number of facts to edit, and to forget.")] = 50,
        sample: Annotated[int, typer.Option(min=1, help="Documents per group for dynamic perplexity.")] = 100,
        seed: Annotated[int, typer.Option(help="Random seed for choosing facts and documents.")] = 0,
        max_tokens: Annotated[int, typer.Option(min=1, help="Maximum text tokens per completion.")] = 24,
        entities: Annotated[
            str, typer.Option(help="Entities that a call may name: context, known or free.")
        ] = "context",
        relations: Annotated[str, typer.Option(help="Relations that a call may name: known or free.")] = "free",
        on_miss: Annotated[str, typer.Option(help="What a miss returns: unknown, drop or nearest.")] = "unknown",
    ) -> None:
        """Measure a run, task by task. Existing results are kept unless --again is given."""
        from rich.console import Console

        from lamlam.corpus.files import load_corpus
        from lamlam.engine.settings import DecodingSettings
        from lamlam.errors import needs_extra
        from lamlam.evaluate.evaluation import Evaluation
        from lamlam.evaluate.suite import Suite
        from lamlam.evaluate.tasks import HARNESS
        from lamlam.evaluate.tasks.blimp import write_parity
        from lamlam.model.checkpoint import Checkpoint
        from lamlam.model.folder import is_adapter
        from lamlam.pretrain.recipe import arm_of
        from lamlam.report.run import RunResults

        with needs_extra("report", "a report"):
            from lamlam.report.report import write_report
        settings = DecodingSettings.checked(
            max_tokens=max_tokens, entities=entities, relations=relations, on_miss=on_miss
        )
        known = _known(task or ([] if harness else ["all"]))
        demanded = [HARNESS + name for name in harness or []]
        folders = _folders(run, standard)
        first = folders[0]
        asked = load_corpus(corpus or first / "corpus")
        for folder in folders:
            evaluation = Evaluation(
                Checkpoint.load(folder, base=base if is_adapter(folder) else None),
                arm_of(folder),
                asked,
                kb or first / "kb.sqlite",
                settings,
                facts=facts,
                sample=sample,
                seed=seed,
                progress=True,
                quick=quick,
                data=_data(data),
                folder=folder,
                reference=reference,
                judge=_judge(judge, judge_model, folder),
            )
            suite = Suite(evaluation, folder)
            for outcome in suite.run(_chosen(known, suite.tasks(), alone=len(folders) == 1) + demanded, again=again):
                for name, figures in outcome.results.items():
                    Console().print(_table(f"{name} ({evaluation.arm})", figures, outcome.seconds))
            if (folder / "results.json").exists():  # the requested tasks may apply to the other arm only
                typer.echo(f"The figures are in {folder / 'results.json'}.")
        if len(folders) == 2 and (compared := write_parity(*folders)) is not None:
            Console().print(_table("parity", compared.figures(), None))
        report = run / "report.html"
        write_report(RunResults.read(run, standard), report)
        typer.echo(f"The report is {report}.")


def _known(asked: list[str]) -> list[str]:
    """Return the requested tasks without duplicates. Raises `InputError` for an unknown one."""
    from lamlam.errors import InputError
    from lamlam.evaluate.tasks import TASKS

    for name in asked:
        if name not in (*TASKS, "all"):
            raise InputError(f"unknown task '{name}'; use all or one of {', '.join(TASKS)}", field="task")
    return list(dict.fromkeys(name for each in asked for name in (TASKS if each == "all" else [each])))


def _chosen(asked: list[str], fitting: list[str], *, alone: bool) -> list[str]:
    """Choose the tasks for an arm. With two arms, each runs its own; a single run gets what was requested."""
    from lamlam.evaluate.tasks import TASKS

    return asked if alone and len(asked) < len(TASKS) else [name for name in asked if name in fitting]


def _folders(run: Path, standard: Path | None) -> list[Path]:
    """Return the runs to measure, the LMLM first."""
    from lamlam.model.folder import holds_checkpoint

    pair = [run / "lmlm", run / "standard"]
    if standard is None and all(map(holds_checkpoint, pair)):
        return pair
    return [run] if standard is None else [run, standard]


def _data(folder: Path | None) -> Path | None:
    """Return the folder of the benchmarks' data, if it exists."""
    from lamlam.pretrain.recipe import data_folder

    place = folder or Path(data_folder())
    return place if folder or place.is_dir() else None


def _judge(url: str | None, model: str | None, folder: Path) -> "JudgeSettings | None":
    """Return the settings of the chat judge; its answers are cached in the run's folder."""
    from lamlam.checked import checked
    from lamlam.errors import InputError
    from lamlam.evaluate.judges import JudgeSettings

    if url is None and model is None:
        return None
    if url is None or model is None:
        raise InputError("give both --judge and --judge-model", field="judge")
    return checked(JudgeSettings, {"url": url, "model": model, "cache": folder / "evaluation" / "judge.sqlite"})


def _table(name: str, figures: dict[str, Any], seconds: float | None) -> Any:
    """Return a table of a result's numbers, nested names joined by dots; a sentence for a skipped task."""
    from rich.table import Table

    from lamlam.evaluate.results import format_number, plain_numbers

    if "skipped" in figures:
        return f"{name.replace('_', ' ')} was skipped: {figures['skipped']}."
    when = "measured before" if seconds is None else f"{seconds:.0f} s"
    table = Table("figure", "value", title=f"{name.replace('_', ' ')}, {when}", title_justify="left")
    table.columns[1].justify = "right"
    for path, value in plain_numbers(figures, detail=False):
        table.add_row(path, format_number(value))
    return table
