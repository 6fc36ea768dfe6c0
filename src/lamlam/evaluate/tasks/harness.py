"""Tasks of lm-evaluation-harness, through its interface for models of others.

Likelihoods are those of text: no lookups, and a softmax over all tokens but the four control tokens. An LMLM writes
with lookups in its knowledge base. A prompt that does not fit loses its beginning. Most tasks download their data; a
YAML file of your own with local data needs no network. Such a file may name Python code, which is run.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lamlam.engine.context import context_of
from lamlam.engine.engine import Engine
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError, LamLamError, needs_extra
from lamlam.evaluate.evaluation import Evaluation
from lamlam.evaluate.results import Result
from lamlam.kb.store import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.likelihood import token_choices
from lamlam.vocab import opened

__all__ = ["harness", "harness_figures", "harness_model"]

_QUICK = 100  # cases of each task
_TOKENS = 64  # to write, if a task does not say


def harness(task: str, evaluation: Evaluation) -> dict[str, Result]:
    """Measure a task by name or by its YAML file; with `quick` on some of its cases.

    Raises `InputError` if the harness knows no such task, `LamLamError` if it is not installed, or the task's data is
    not available.
    """
    with needs_extra("harness", "a task of lm-evaluation-harness"):
        import lm_eval
        from lm_eval.tasks import TaskManager
    is_file = task.endswith((".yaml", ".yml"))
    name = str(Path(task).resolve()) if is_file else task
    manager = TaskManager(include_defaults=not is_file)
    _load(manager, name, task)
    settings = evaluation.settings.model_copy(update={"lookups": evaluation.arm == "lmlm", "force_call": False})
    with KnowledgeBase.open(evaluation.kb_path) as kb:
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
    cases = {name: counts["effective"] for name, counts in found["n-samples"].items()}
    figures = harness_figures(found["results"]) | {"cases": cases, "lm_eval": lm_eval.__version__}
    return {f"harness_{Path(task).stem if is_file else task}": Result("harness", more=figures)}


def harness_figures(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """By task: metrics as the harness names them ("acc", "acc_stderr"), with the filter if there is one."""
    return {
        task: {name.removesuffix(",none"): _number(value) for name, value in metrics.items() if "," in name}
        for task, metrics in results.items()
    }


def harness_model(checkpoint: Checkpoint, engine: Engine, settings: DecodingSettings) -> Any:
    """Wrap a model as the harness needs it, as an `lm_eval.api.model.TemplateLM`."""
    from lm_eval.api.model import TemplateLM

    return type("LamLamModel", (_Model, TemplateLM), {})(checkpoint, engine, settings)


class _Model:
    """What the harness asks of a model. `harness_model` adds the harness's own class as a base."""

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
        """Ids of a text as documents have them, without [bos]; a text that begins with a space keeps it."""
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
            groups.setdefault(self._settings_for(request.args[1]), []).append(index)
        for settings, indices in groups.items():
            prompts = [self._cut(requests[index].args[0], settings.max_tokens) for index in indices]
            for index, generation in zip(indices, self._engine.generate(prompts, settings), strict=True):
                written[index] = generation.text
        return [written[index] for index in range(len(requests))]

    def _settings_for(self, options: Mapping[str, Any]) -> DecodingSettings:
        until = options.get("until") or ()
        temperature = float(options.get("temperature") or 1.0) if options.get("do_sample") else 0.0
        changes = {
            "stop": tuple(stop for stop in ([until] if isinstance(until, str) else until) if stop),
            "max_tokens": int(options.get("max_gen_toks") or options.get("max_tokens") or _TOKENS),
            "temperature": temperature,
        }
        return DecodingSettings.checked(**(self._settings.model_dump() | changes))

    def _cut(self, prompt: str, room: int) -> str:
        """The end of a prompt that leaves room in the context for what is to be written."""
        most = max(context_of(self._checkpoint.model.config) - min(room, _TOKENS) - 1, 1)
        ids = self._vocabulary.encode(opened(prompt))
        return prompt if len(ids) < most else self._vocabulary.decode(ids[1 - most :]).lstrip()

    def _read(self, ids: list[list[int]]) -> list[np.ndarray]:
        vocabulary = self._vocabulary
        return token_choices(self._checkpoint.model, ids, vocabulary.pad_id, without=vocabulary.control_ids)


def _load(manager: Any, name: str, asked: str) -> None:
    """Load a task; errors become one sentence."""
    try:
        manager.load([name])
    except (KeyError, ValueError, TypeError, OSError) as error:
        is_file = asked.endswith((".yaml", ".yml"))
        if isinstance(error, OSError) and not (is_file and isinstance(error, FileNotFoundError)):
            raise LamLamError(f"the data of the task '{asked}' is not available ({error})") from error
        raise InputError(f"lm-evaluation-harness cannot load the task '{asked}' ({error})", field="harness") from error


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) and math.isfinite(value) else None
