"""What a task is given: a checkpoint, what it is asked, and how.

A task is a function from this to results. It reads the user's knowledge base and never writes into it.
"""

from dataclasses import dataclass, field
from pathlib import Path

from lamlam.corpus import Corpus
from lamlam.engine.engine import Engine
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError
from lamlam.evaluate.completion import CompletionResult, complete
from lamlam.evaluate.factscore.settings import JudgeSettings
from lamlam.kb.store import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.vocab import Arm

__all__ = ["Evaluation", "MissingData", "Unfit"]


class MissingData(InputError):
    """A task's data is not there, or nobody has said where it is."""


class Unfit(InputError):
    """A task does not fit the arm, or the run has nothing to measure it on."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A checkpoint, what it is asked, and how.

    `facts` is how many facts are edited, and forgotten; `sample` how many held-out documents of a group are read for
    the dynamic perplexity. `quick` asks for a part of each task's data. `data` is the folder with the benchmarks' data,
    `folder` the run's own, with its recipe; tasks that train keep their models under `folder`/evaluation. Biographies
    are judged by the facts of `reference`, another knowledge base than the run's own, and by a chat model, where the
    one and the other are named.
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
    _memory: dict[str, CompletionResult] = field(default_factory=dict, init=False, repr=False, compare=False)

    def size(self, full: int, quick: int) -> int:
        """How many cases to take: all that a task has, or as few as say something."""
        return quick if self.quick else full

    def data_at(self, *parts: str) -> Path:
        """A file or folder of the benchmarks' data. Raises `MissingData` where it is not there."""
        if self.data is None:
            raise MissingData(f"{'/'.join(parts)} is needed: say with --data where the benchmarks' data stands")
        path = self.data.joinpath(*parts)
        if not path.exists():
            raise MissingData("is not there", path=path)
        return path

    @property
    def run_folder(self) -> Path:
        """The run's own folder. Raises `Unfit` for a checkpoint without one."""
        if self.folder is None:
            raise Unfit("models must be trained for this: it takes the folder of a run")
        return self.folder

    def workspace(self, name: str) -> Path:
        """The folder in which a task keeps what it makes. Raises `Unfit` for a checkpoint without a run's folder."""
        return self.run_folder / "evaluation" / name

    def lmlm_only(self, task: str) -> None:
        """Raises `Unfit` for the standard arm."""
        if self.arm == "standard":
            raise Unfit(f"a standard model makes no lookups: {task} is for an LMLM alone")

    @property
    def settings_off(self) -> DecodingSettings:
        """The settings with lookups forbidden."""
        return self.settings.model_copy(update={"lookups": False})

    def answered(self) -> CompletionResult:
        """What the model says to the probes, used as it is meant to be; asked once."""
        if "answered" not in self._memory:
            settings = self.settings_off if self.arm == "standard" else self.settings
            self._memory["answered"] = self._complete(settings)
        return self._memory["answered"]

    def answered_without_lookups(self) -> CompletionResult:
        """The same with lookups forbidden; asked once."""
        if "off" not in self._memory:
            self._memory["off"] = self._complete(self.settings_off)
        return self._memory["off"]

    def _complete(self, settings: DecodingSettings) -> CompletionResult:
        if not self.corpus.probes:
            raise Unfit("the corpus has no probes to complete")
        with KnowledgeBase.open(self.kb_path) as kb:
            return complete(self.engine_on(kb), self.corpus.probes, settings, progress=self.progress)

    def engine_on(self, kb: KnowledgeBase) -> Engine:
        return Engine(self.checkpoint.model, self.checkpoint.vocabulary, kb, batch_size=64)
