"""Where what is served stands: the folder of a run, or the model that the package brings along.

What can be changed of the latter is the user's own: a knowledge base, made once of the shipped facts, with the texts in
which they were read. It outlives restarts and newer versions of the package, whose model asks it as well. Nothing is
written where the package is installed.
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
    """A model's name and folder, its facts' address, their texts if there are any, the tokens' file, and prompts.

    `base` is where an adapter's base is, if not where it was.
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
        """Those of a run. Raises `InputError` when the folder holds no checkpoint, or its training has not ended."""
        check_ended(run)
        if not holds_checkpoint(run):
            there = "holds no checkpoint: `lamlam pretrain` makes one" if run.is_dir() else "no such folder"
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
        """The shipped model's, with what is the user's under `data`, by default where the system keeps such things.

        With `kb`, a file or an address, the facts stand there, and are put there where nothing was ever written.
        Raises `InputError` when the package was stripped of its model, or the place cannot be written.
        """
        if not holds_checkpoint(shipped):
            raise InputError("the package has no model: `lamlam demo` makes one, which `lamlam serve` then serves")
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
    """Where the user's programs keep what is theirs (XDG Base Directory; Apple's and Microsoft's likewise)."""
    try:
        if sys.platform == "darwin":
            base = Path.home() / "Library" / "Application Support"
        elif sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        else:
            named = Path(os.environ.get("XDG_DATA_HOME") or ".")
            base = named if named.is_absolute() else Path.home() / ".local" / "share"  # the standard wants it so
    except RuntimeError:
        raise InputError("there is no home folder to keep facts in: name a folder with --data") from None
    return base / "lamlam"


def _make_world(shipped: Path, world: Path) -> None:
    """The user's own facts and their texts. The folder appears whole; where another process was faster its is kept."""
    try:
        world.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=world.parent, prefix=".world-") as temporary:
            made = Path(temporary) / _WORLD
            made.mkdir()
            for name in (_DOCUMENTS, _EXAMPLES):
                shutil.copyfile(shipped / name, made / name)
            with KnowledgeBase.open(made / _KNOWLEDGE_BASE, create=True) as kb:
                kb.add(read_facts(shipped / "facts.jsonl"), actor="lamlam", reason="facts that come with the package")
            try:
                made.rename(world)
            except OSError:
                if not world.exists():
                    raise
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror}): name another folder with --data", path=world
        ) from error


def _fill(address: str, source: Path) -> None:
    """Copy facts to where nothing was ever written, history included; elsewhere leave all as it is."""
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
    """The first prompt about each relation, where a run has prompts."""
    asked = {probe.relation: probe.prompt for probe in reversed(list(read_probes(probes)))} if probes.exists() else {}
    return tuple(reversed(asked.values()))[:_MOST_EXAMPLES]
