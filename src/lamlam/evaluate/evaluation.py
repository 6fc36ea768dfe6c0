"""What a task is given, how it is registered, and a copy of the knowledge base for tasks that change facts.

A task is a function from an `Evaluation` to its result. It never writes to the user's knowledge base.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, get_args

from lamlam.corpus import Corpus
from lamlam.engine.engine import Engine
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError
from lamlam.evaluate.completion import Completions, complete
from lamlam.evaluate.judges import JudgeSettings
from lamlam.evaluate.results import Result
from lamlam.kb.database import connect
from lamlam.kb.files import copy_database
from lamlam.kb.sqlite import SQLiteDatabase
from lamlam.kb.store import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.vocab import Arm

__all__ = [
    "REGISTERED",
    "Evaluation",
    "MissingData",
    "NotApplicable",
    "NothingToChange",
    "Task",
    "scratch_copy",
    "task",
]


class MissingData(InputError):
    """A task's data is missing, or its folder was not named."""


class NotApplicable(InputError):
    """A task doesn't apply to the arm, or the run has nothing to measure it on."""


class NothingToChange(NotApplicable):
    """No probe is answered right, so that no change could show."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A checkpoint, what it is asked, and how.

    `facts` is how many facts are edited, and forgotten; `sample` how many held-out documents of each group are read for
    the dynamic perplexity. `quick` asks for a part of each task's data. `data` is the folder with the benchmarks' data,
    `folder` the run's own, with its recipe; tasks that train keep their models under `folder`/evaluation. Biographies
    are judged by the facts of `reference` instead of the run's own, and by a chat model, if these are given.
    """

    checkpoint: Checkpoint
    arm: Arm
    corpus: Corpus
    kb_path: str | Path
    settings: DecodingSettings
    facts: int = 50
    sample: int = 100
    seed: int = 0
    progress: bool = False
    quick: bool = False
    data: Path | None = None
    folder: Path | None = None
    reference: str | Path | None = None
    judge: JudgeSettings | None = None
    _memory: dict[bool, Completions] = field(default_factory=dict, init=False, repr=False, compare=False)

    def size(self, full: int, quick: int) -> int:
        """How many cases to take."""
        return quick if self.quick else full

    def data_at(self, *parts: str) -> Path:
        """A file or folder of the benchmarks' data. Raises `MissingData` if it is not there."""
        if self.data is None:
            raise MissingData(f"{'/'.join(parts)} is needed: say with --data where the benchmarks' data is")
        path = self.data.joinpath(*parts)
        if not path.exists():
            raise MissingData("is not there", path=path)
        return path

    @property
    def run_folder(self) -> Path:
        """The run's own folder. Raises `NotApplicable` for a checkpoint without one."""
        if self.folder is None:
            raise NotApplicable("models must be trained for this: it takes the folder of a run")
        return self.folder

    def workspace(self, name: str) -> Path:
        """The folder for a task's models. Raises `NotApplicable` for a checkpoint without a run's folder."""
        return self.run_folder / "evaluation" / name

    def lmlm_only(self, task: str) -> None:
        """Raises `NotApplicable` for the standard arm."""
        if self.arm == "standard":
            raise NotApplicable(f"a standard model makes no lookups: {task} is for an LMLM alone")

    @property
    def settings_off(self) -> DecodingSettings:
        """The settings with lookups forbidden."""
        return self.settings.model_copy(update={"lookups": False})

    def answered(self, *, lookups: bool = True) -> Completions:
        """What the model answers to the corpus's probes, with lookups if its arm makes any; asked once."""
        lookups = lookups and self.arm == "lmlm"
        if lookups not in self._memory:
            if not self.corpus.probes:
                raise NotApplicable("the corpus has no probes to complete")
            settings = self.settings if lookups else self.settings_off
            with KnowledgeBase.open(self.kb_path) as kb:
                answered = complete(self.engine_on(kb), self.corpus.probes, settings, progress=self.progress)
            self._memory[lookups] = answered
        return self._memory[lookups]

    def engine_on(self, kb: KnowledgeBase) -> Engine:
        return Engine(self.checkpoint.model, self.checkpoint.vocabulary, kb, batch_size=64)


Measurement = Result | Mapping[str, Result]
_Run = TypeVar("_Run", bound=Callable[[Evaluation], Measurement])


@dataclass(frozen=True, slots=True)
class Task:
    """A task of `lamlam evaluate`: its name, what it measures, the function that measures it, and for which arms.

    The function returns the result of the task, or several results by the names they take in `results.json`.
    """

    name: str
    about: str
    run: Callable[[Evaluation], Measurement]
    arms: tuple[Arm, ...] = get_args(Arm)


REGISTERED: dict[str, Task] = {}
"""The tasks whose modules have been imported; `evaluate.tasks.TASKS` has all of them."""


def task(name: str, about: str, arms: tuple[Arm, ...] = get_args(Arm)) -> Callable[[_Run], _Run]:
    """Register a function of a module in `evaluate.tasks` as a task."""

    def register(run: _Run) -> _Run:
        REGISTERED[name] = Task(name, about, run, arms)
        return run

    return register


@contextmanager
def scratch_copy(path: str | Path) -> Iterator[KnowledgeBase]:
    """Copy the knowledge base at `path` into a temporary folder, which is removed when the block ends.

    Raises what `KnowledgeBase.open` raises for a file that is missing or not a knowledge base.
    """
    with closing(connect(path)) as original, tempfile.TemporaryDirectory(prefix="lamlam-") as folder:
        copy = Path(folder) / "kb.sqlite"
        if isinstance(original, SQLiteDatabase):
            original.back_up(copy)
        else:
            with closing(connect(copy, create=True)) as target:
                copy_database(original, target)
        original.close()
        with KnowledgeBase.open(copy) as kb:
            yield kb
