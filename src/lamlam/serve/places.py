"""The paths of what is served: a run's folder, or the shipped model.

The shipped model's facts and documents are copied once to the user's data folder, where they survive restarts and
package updates. Nothing is written to the installation.
"""

import os
import shutil
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lamlam.corpus.files import read_facts, read_probes
from lamlam.corpus.lines import read_object
from lamlam.errors import InputError, LamLamError
from lamlam.kb.database import Database, connect, connected_to_fill
from lamlam.kb.files import copy_database
from lamlam.kb.store import KnowledgeBase
from lamlam.model.folder import check_ended, holds_checkpoint

__all__ = ["DEMO", "SHIPPED", "ServePaths"]

DEMO = Path("runs/demo/lmlm")
SHIPPED = Path(__file__).parents[1] / "shipped"
_WORLD = "world"
_KNOWLEDGE_BASE, _DOCUMENTS, _EXAMPLES, _TOKENS = "kb.sqlite", "documents.jsonl", "examples.json", "tokens.json"
_MOST_EXAMPLES = 12


@dataclass(frozen=True, slots=True)
class ServePaths:
    """A model's name and folder, knowledge base, documents, token file and example prompts.

    `base` is the path of an adapter's base, if it has moved.
    """

    name: str
    checkpoint: Path
    kb: str
    documents: Path | None
    tokens: Path
    examples: tuple[str, ...] = ()
    base: str | None = None

    @classmethod
    def of_run(cls, run: Path) -> "ServePaths":
        """The paths of a run. Raises `InputError` if it has no checkpoint or its training hasn't finished."""
        check_ended(run)
        if not holds_checkpoint(run):
            there = "has no checkpoint; train one with `lamlam pretrain`" if run.is_dir() else "no such folder"
            raise InputError(there, path=run)
        corpus = run / "corpus"
        return cls(
            name=run.resolve().name,
            checkpoint=run,
            kb=str(run / _KNOWLEDGE_BASE),
            documents=corpus if corpus.is_dir() else None,
            tokens=run / _TOKENS,
            examples=_asked_in(corpus / "probes.jsonl"),
        )

    @classmethod
    def of_shipped(cls, data: Path | None = None, kb: str | None = None, *, shipped: Path = SHIPPED) -> "ServePaths":
        """The paths of the shipped model, with the user's files in `data` (default: the system's data folder).

        `kb`, a path or an address, is used instead of the user's knowledge base, and filled if it was never written.
        Raises `InputError` if the package lacks its model or the folder isn't writable.
        """
        if not holds_checkpoint(shipped):
            raise InputError("the package has no model; train one with `lamlam demo`, then run `lamlam serve`")
        data = data or data_folder()
        world = data / _WORLD
        if not world.exists():
            _make_world(shipped, world)
        if kb is not None:
            _fill(kb, world / _KNOWLEDGE_BASE)
        return cls(
            name="lamlam",
            checkpoint=shipped,
            kb=kb or str(world / _KNOWLEDGE_BASE),
            documents=world / _DOCUMENTS,
            tokens=data / _TOKENS,
            examples=read_object(world / _EXAMPLES).texts("examples"),
        )


def data_folder() -> Path:
    """Return the user's data folder (XDG Base Directory, or the macOS and Windows equivalent)."""
    try:
        if sys.platform == "darwin":
            base = Path.home() / "Library" / "Application Support"
        elif sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        else:
            named = Path(os.environ.get("XDG_DATA_HOME") or ".")
            base = named if named.is_absolute() else Path.home() / ".local" / "share"  # as the standard requires
    except RuntimeError:
        raise InputError("no home folder found; choose a folder with --data") from None
    return base / "lamlam"


def _make_world(shipped: Path, world: Path) -> None:
    """Create the user's facts and documents atomically; if another process was faster, keep its folder."""
    try:
        world.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=world.parent, prefix=".world-") as temporary:
            made = Path(temporary) / _WORLD
            made.mkdir()
            for name in (_DOCUMENTS, _EXAMPLES):
                shutil.copyfile(shipped / name, made / name)
            with KnowledgeBase.open(made / _KNOWLEDGE_BASE, create=True) as kb:
                kb.add(read_facts(shipped / "facts.jsonl"), actor="lamlam", reason="facts shipped with the package")
            try:
                made.rename(world)
            except OSError:
                if not world.exists():
                    raise
    except OSError as error:
        raise InputError(
            f"can't be written ({error.strerror}); choose another folder with --data", path=world
        ) from error


def _fill(address: str, source: Path) -> None:
    """Copy the facts, with history, into a knowledge base that was never written; otherwise do nothing."""
    with connected_to_fill(address) as target:
        if _is_written(target):
            return
        try:
            with closing(connect(source)) as whole:
                copy_database(whole, target)
        except LamLamError:
            if not _is_written(target):  # else another server was faster
                raise


def _is_written(database: Database) -> bool:
    return database.one("SELECT 1 FROM revision LIMIT 1") is not None


def _asked_in(probes: Path) -> tuple[str, ...]:
    """Return the first prompt about each relation, if the run has probes."""
    asked = {probe.relation: probe.prompt for probe in reversed(list(read_probes(probes)))} if probes.exists() else {}
    return tuple(reversed(asked.values()))[:_MOST_EXAMPLES]
