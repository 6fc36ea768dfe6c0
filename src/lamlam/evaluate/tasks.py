"""The tasks of `lamlam evaluate`, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TypeVar, get_args

from lamlam.errors import InputError
from lamlam.evaluate.audit.task import audit_task
from lamlam.evaluate.completion import CompletionResult
from lamlam.evaluate.counterfact.counterfact import counterfact_task
from lamlam.evaluate.dynamic import dynamic_perplexity
from lamlam.evaluate.editing import EditingResult, edit_facts
from lamlam.evaluate.evaluation import Evaluation, Unfit
from lamlam.evaluate.forgetting import ForgettingResult, forget_facts
from lamlam.evaluate.memorisation import memorisation
from lamlam.evaluate.new_knowledge import new_knowledge_task
from lamlam.evaluate.offloading import offloading
from lamlam.evaluate.perplexity import PerplexityResult, perplexity
from lamlam.evaluate.results import Result
from lamlam.kb.store import KnowledgeBase
from lamlam.vocab import Arm

__all__ = ["TASKS", "Task", "run_task"]

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
    """The results of a task. Raises `InputError` for an unknown task, `Unfit` or `MissingData` where it has none."""
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


def _perplexity(evaluation: Evaluation) -> dict[str, PerplexityResult]:
    """On each group of held-out documents and on all of them."""
    groups = {group: documents for group, documents in evaluation.corpus.heldout.items() if documents}
    if not groups:
        raise Unfit("the corpus has no held-out documents to measure perplexity on")
    checkpoint, progress = evaluation.checkpoint, evaluation.progress
    results = {
        f"perplexity_{group}": perplexity(
            checkpoint.model, checkpoint.vocabulary, documents, evaluation.arm, progress=progress
        )
        for group, documents in groups.items()
    }
    if evaluation.arm == "lmlm":
        with KnowledgeBase.open(evaluation.kb_path) as kb:
            engine = evaluation.engine_on(kb)
            for group, documents in groups.items():
                dynamic = dynamic_perplexity(
                    engine,
                    documents,
                    evaluation.settings,
                    sample=evaluation.sample,
                    seed=evaluation.seed,
                    progress=progress,
                )
                results[f"perplexity_{group}"] = replace(results[f"perplexity_{group}"], dynamic=dynamic)
    return {"perplexity": reduce(add, results.values())} | results


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
        Task("perplexity", "static, normalized and dynamic, by class of token", _perplexity),
        Task("editing", "changed facts: said at once, and nothing else altered", _editing, ("lmlm",)),
        Task("memorisation", "what the weights know, beside the same model without the mask", memorisation, ("lmlm",)),
        Task("offloading", "how it goes as more of the facts are looked up", offloading, ("lmlm",)),
        Task("forgetting", "erased facts: gone, and nothing put in their place", _forgetting, ("lmlm",)),
        Task("audit", "what is left of erased facts: in the weights, by way of lookups, beside them", audit_task),
        Task(
            "counterfact", "one edit, 100 and 10,000: reworded, beside others, followed on", counterfact_task, ("lmlm",)
        ),
        Task("new_knowledge", "facts and entities added after training", new_knowledge_task),
    )
}
