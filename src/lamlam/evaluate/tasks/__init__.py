"""The tasks of `lamlam evaluate`. Each module here registers its own with `@task`; all modules are imported by name."""

import pkgutil
from collections.abc import Mapping
from importlib import import_module

from lamlam.errors import InputError
from lamlam.evaluate.evaluation import REGISTERED, Evaluation, Task
from lamlam.evaluate.results import Result

__all__ = ["HARNESS", "LOOP", "TASKS", "run_task"]

HARNESS = "harness:"
"""Before a name: a task of lm-evaluation-harness. These run on demand alone."""

LOOP = ("completion", "perplexity", "editing", "forgetting")
"""What the demo measures, and `lamlam evaluate` measures first."""

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

TASKS: Mapping[str, Task] = {name: REGISTERED[name] for name in (*LOOP, *sorted(REGISTERED.keys() - set(LOOP)))}
"""All tasks by name."""


def run_task(name: str, evaluation: Evaluation) -> dict[str, Result]:
    """Run a task and return its results by name.

    Raises `InputError` for an unknown task, `NotApplicable` or `MissingData` if it can't be measured.
    """
    if name.startswith(HARNESS):
        from lamlam.evaluate.tasks.harness import harness

        return dict(harness(name.removeprefix(HARNESS), evaluation))
    if name not in TASKS:
        raise InputError(f"there is no task '{name}': choose among {', '.join(TASKS)}", field="task")
    if evaluation.arm not in TASKS[name].arms:
        evaluation.lmlm_only(name)
    measured = TASKS[name].run(evaluation)
    return {name: measured} if isinstance(measured, Result) else dict(measured)
