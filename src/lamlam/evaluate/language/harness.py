"""Tasks of lm-evaluation-harness, through the interface that it has for models of others.

A model scores and writes with LamLam's own parts. Likelihoods are those of text: no lookups, and a softmax over all
tokens but the four control tokens. What a task lets a model write is written as the arm does: by an LMLM with lookups
in its knowledge base. A prompt that does not fit loses its beginning.

Most of its tasks fetch their data; a YAML file of one's own
with local data needs no network. Such a file may name Python code, which is run.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lamlam.engine.context import context_of
from lamlam.engine.engine import Engine
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError, LamLamError
from lamlam.evaluate.evaluation import Evaluation
from lamlam.kb.store import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.likelihood import token_choices
from lamlam.vocab import opened

__all__ = ["HarnessResult", "harness", "harness_model"]

_QUICK = 100  # cases of each task
_TOKENS = 64  # to write, where a task does not say


@dataclass(frozen=True, slots=True)
class HarnessResult:
    """The metrics of a task, and of each below it where it is a group; `cases` counts what was asked."""

    results: Mapping[str, Mapping[str, Any]]
    cases: Mapping[str, int]
    version: str
    task: str = "harness"

    def figures(self) -> dict[str, Any]:
        """By task: metrics as the harness names them ("acc", "acc_stderr"), and the filter where there is one."""
        metrics = {
            task: {name.removesuffix(",none"): _number(value) for name, value in found.items() if "," in name}
            for task, found in self.results.items()
        }
        return metrics | {"cases": dict(self.cases), "lm_eval": self.version}


def harness(task: str, evaluation: Evaluation) -> dict[str, HarnessResult]:
    """A task by name or by its YAML file; some of its cases for a quick look.

    Raises `InputError` where the harness knows no such task, `LamLamError` where it is not installed, and where the
    task's data cannot be had.
    """
    try:
        import lm_eval
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise LamLamError(
            "tasks of lm-evaluation-harness need the extra 'harness': pip install 'lamlam[harness]'"
        ) from error
    is_file = task.endswith((".yaml", ".yml"))
    name = str(Path(task).resolve()) if is_file else task
    manager = TaskManager(include_defaults=not is_file)
    _load(manager, name, task)
    with ExitStack() as stack:
        kb = stack.enter_context(KnowledgeBase.open(evaluation.kb_path))
        settings = evaluation.settings.model_copy(update={"lookups": evaluation.arm == "lmlm", "force_call": False})
        found = lm_eval.simple_evaluate(
            model=harness_model(evaluation.checkpoint, evaluation.engine_on(kb), settings),
            tasks=[name],
            task_manager=manager,
            limit=_QUICK if evaluation.quick else None,
            bootstrap_iters=1000,
            log_samples=False,
            random_seed=None,
            numpy_random_seed=None,
            torch_random_seed=None,
            fewshot_random_seed=evaluation.seed,
        )
    cases = {each: counts["effective"] for each, counts in found["n-samples"].items()}
    key = f"harness_{Path(task).stem if is_file else task}"
    return {key: HarnessResult(found["results"], cases, lm_eval.__version__)}


def harness_model(checkpoint: Checkpoint, engine: Engine, settings: DecodingSettings) -> Any:
    """A model as the harness wants it, an `lm_eval.api.model.TemplateLM`."""
    from lm_eval.api.model import TemplateLM

    return type("LamLamModel", (_Model, TemplateLM), {})(checkpoint, engine, settings)


class _Model:
    """The questions that the harness has for a model. Made by `harness_model`, which puts the harness's class below."""

    backend = "causal"

    def __init__(self, checkpoint: Checkpoint, engine: Engine, settings: DecodingSettings) -> None:
        super().__init__()
        self._checkpoint, self._engine, self._settings = checkpoint, engine, settings
        self._vocabulary = checkpoint.vocabulary

    @property
    def eot_token_id(self) -> int:
        return self._vocabulary.eos_id

    @property
    def prefix_token_id(self) -> int:
        return self._vocabulary.bos_id

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Ids of a text as documents have them, without [bos]; a text that begins with a space has its own."""
        return self._vocabulary.encode(string if string[:1].isspace() else opened(string))

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], **_: Any
    ) -> list[tuple[float, bool]]:
        bos = self._vocabulary.bos_id
        contexts = [context if context[:1] == [bos] else [bos, *context] for _, context, _ in requests]
        tables = self._read([before + after for before, (_, _, after) in zip(contexts, requests, strict=True)])
        scored = [table[len(before) :] for table, before in zip(tables, contexts, strict=True)]
        return [(float(table[:, 0].sum()), bool(table[:, 1].all())) for table in scored]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """log p of whole texts, without [eos]."""
        ids = [[self._vocabulary.bos_id, *self.tok_encode(request.args[0])] for request in requests]
        return [float(table[1:, 0].sum()) for table in self._read(ids)]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """What is written after each prompt, up to the task's stop strings."""
        written: dict[int, str] = {}
        groups: dict[DecodingSettings, list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault(self._writing(request.args[1]), []).append(index)
        for settings, indices in groups.items():
            prompts = [self._cut(requests[index].args[0], settings.max_tokens) for index in indices]
            for index, generation in zip(indices, self._engine.generate(prompts, settings), strict=True):
                written[index] = generation.text
        return [written[index] for index in range(len(requests))]

    def _writing(self, asked: Mapping[str, Any]) -> DecodingSettings:
        until = asked.get("until") or ()
        temperature = float(asked.get("temperature") or 1.0) if asked.get("do_sample") else 0.0
        changes = {
            "stop": tuple(each for each in ([until] if isinstance(until, str) else until) if each),
            "max_tokens": int(asked.get("max_gen_toks") or asked.get("max_tokens") or _TOKENS),
            "temperature": temperature,
        }
        return DecodingSettings.checked(**(self._settings.model_dump() | changes))

    def _cut(self, prompt: str, room: int) -> str:
        """A prompt's end, as much of it as leaves room in the context for what is to be written."""
        most = max(context_of(self._checkpoint.model.config) - min(room, _TOKENS) - 1, 1)
        ids = self._vocabulary.encode(opened(prompt))
        return prompt if len(ids) < most else self._vocabulary.decode(ids[1 - most :]).lstrip()

    def _read(self, ids: list[list[int]]) -> list[np.ndarray]:
        vocabulary = self._vocabulary
        return token_choices(self._checkpoint.model, ids, vocabulary.pad_id, without=vocabulary.control_ids)


def _load(manager: Any, name: str, asked: str) -> None:
    """Load a task, so that what is wrong with it is told in one sentence."""
    try:
        manager.load([name])
    except (KeyError, FileNotFoundError, ValueError, TypeError) as error:
        if isinstance(error, FileNotFoundError) and not asked.endswith((".yaml", ".yml")):
            raise LamLamError(f"the data of the task '{asked}' cannot be had ({error})") from error
        raise InputError(f"lm-evaluation-harness cannot load the task '{asked}' ({error})", field="harness") from error
    except OSError as error:
        raise LamLamError(f"the data of the task '{asked}' cannot be had ({error})") from error


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) and math.isfinite(value) else None
