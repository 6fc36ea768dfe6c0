"""The tasks of `lamlam evaluate`, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar, get_args

from lamlam.errors import InputError
from lamlam.evaluate.audit.task import audit_countries, audit_world
from lamlam.evaluate.completion import CompletionResult
from lamlam.evaluate.counterfact.counterfact import counterfact_task
from lamlam.evaluate.editing import EditingResult, edit_facts
from lamlam.evaluate.evaluation import Evaluation
from lamlam.evaluate.factscore.biographies import factscore
from lamlam.evaluate.forgetting import ForgettingResult, forget_facts
from lamlam.evaluate.heldout import perplexities
from lamlam.evaluate.language.harness import harness
from lamlam.evaluate.language.pairs import blimp
from lamlam.evaluate.memorisation import memorisation
from lamlam.evaluate.new_knowledge import new_knowledge_task
from lamlam.evaluate.offloading import offloading
from lamlam.evaluate.results import Result
from lamlam.evaluate.slots.pararel import pararel
from lamlam.evaluate.slots.popqa import popqa
from lamlam.evaluate.slots.trex import trex
from lamlam.evaluate.tofu import tofu
from lamlam.vocab import Arm

__all__ = ["HARNESS", "TASKS", "Task", "run_task"]

HARNESS = "harness:"

_Outcome = TypeVar("_Outcome")


@dataclass(frozen=True, slots=True)
class Task:
    """A name on the command line, what it measures, for which arms, and the function that does.

    Results are returned by the names that they take in `results.json`.
    """

    name: str
    about: str
    run: Callable[[Evaluation], Mapping[str, Result]]
    arms: tuple[Arm, ...] = get_args(Arm)


def run_task(name: str, evaluation: Evaluation) -> dict[str, Result]:
    """The results of a task. Raises `InputError` for an unknown task, `Unfit` or `MissingData` where it has none.

    `HARNESS` before a name leads to the tasks of lm-evaluation-harness, which are run on demand alone.
    """
    if name.startswith(HARNESS):
        return dict(harness(name.removeprefix(HARNESS), evaluation))
    if name not in TASKS:
        raise InputError(f"there is no task '{name}': choose among {', '.join(TASKS)}", field="task")
    if evaluation.arm not in TASKS[name].arms:
        evaluation.lmlm_only(name)
    return dict(TASKS[name].run(evaluation))


def _completion(evaluation: Evaluation) -> dict[str, CompletionResult]:
    """As the arm is meant to be used, and for the LMLM with lookups forbidden too."""
    answered = {"completion": evaluation.answered()}
    if evaluation.arm == "standard":
        return answered
    return answered | {"completion_db_off": evaluation.answered_without_lookups()}


def _editing(evaluation: Evaluation) -> dict[str, EditingResult]:
    return {"editing": _on_a_copy(evaluation, edit_facts)}


def _forgetting(evaluation: Evaluation) -> dict[str, ForgettingResult]:
    return {"forgetting": _on_a_copy(evaluation, forget_facts)}


def _on_a_copy(evaluation: Evaluation, task: Callable[..., _Outcome]) -> _Outcome:
    return task(
        evaluation.engine_on,
        evaluation.kb_path,
        evaluation.corpus.probes,
        evaluation.settings,
        before=evaluation.answered(),
        number=evaluation.facts,
        seed=evaluation.seed,
        progress=evaluation.progress,
    )


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task("completion", "facts that the model says, with and without lookups", _completion),
        Task("perplexity", "static, normalized and dynamic, by class of token", perplexities),
        Task("editing", "changed facts: said at once, and nothing else altered", _editing, ("lmlm",)),
        Task("memorisation", "what the weights know, beside the same model without the mask", memorisation, ("lmlm",)),
        Task("offloading", "how it goes as more of the facts are looked up", offloading, ("lmlm",)),
        Task("forgetting", "erased facts: gone, and nothing put in their place", _forgetting, ("lmlm",)),
        Task("trex", "sentences of Wikipedia up to an object, with and without a forced call", trex),
        Task("pararel", "the same facts in several wordings: right, and answered alike", pararel),
        Task("popqa", "questions, by how popular their entities are", popqa),
        Task("factscore", "open texts about entities, claim by claim", factscore),
        Task("blimp", "acceptable sentences against unacceptable ones", blimp),
        Task("tofu", "a set of authors unlearnt, and what is still known (TOFU)", tofu),
        Task("audit", "what is left of erased facts: in the weights, by way of lookups, beside them", audit_world),
        Task("audit_countries", "the same on hostile databases of countries", audit_countries),
        Task(
            "counterfact", "one edit, 100 and 10,000: reworded, beside others, followed on", counterfact_task, ("lmlm",)
        ),
        Task("new_knowledge", "facts and entities added after training", new_knowledge_task),
    )
}
