"""What was annotated how: a file beside or among the annotated documents, which a run that was cut off goes on by.

Nothing in it depends on when or how fast a run was, or how often it was cut off.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lamlam import __version__
from lamlam.annotate.annotator import Annotator
from lamlam.annotate.blocks import Counts
from lamlam.annotate.shards import is_one_file
from lamlam.corpus.lines import read_object
from lamlam.errors import InputError
from lamlam.files import atomic_write

__all__ = ["Ledger", "ledger_file"]

_ANEW = "name another place, or give --anew to make it again"


def ledger_file(out: Path) -> Path:
    """Where it stands: `OUT.annotation.json` beside one file, `annotation.json` in a folder."""
    return out.with_name(f"{out.name}.annotation.json") if is_one_file(out) else out / "annotation.json"


class Ledger:
    """Annotator, version and settings, and each finished shard with a digest of its input and its counts.

    While a run goes on, finished shards stand in a log beside it, a line each.
    """

    def __init__(self, out: Path, annotator: Annotator) -> None:
        self._path = ledger_file(out)
        self._log = self._path.with_name(f".{self._path.name}.log")
        self._out = out
        settings = json.loads(json.dumps(dict(annotator.settings)))
        self._head = {"annotator": annotator.name, "version": __version__, "settings": settings}
        self._shards: dict[str, dict[str, Any]] = {}

    def begin(self, names: Iterable[str], *, anew: bool) -> None:
        """Take up what stands there. Raises `InputError` where it is another annotator's, or holds other shards."""
        if anew:
            self._path.unlink(missing_ok=True)
            self._log.unlink(missing_ok=True)
        if not self._path.exists():
            self._write(complete=False)
            return
        stored = dict(read_object(self._path).value)
        if others := [key for key in self._head if stored.get(key) != self._head[key]]:
            raise InputError(f"{self._told(stored, others)}: {_ANEW}", path=self._out)
        self._shards = {**stored.get("shards", {}), **self._logged()}
        if gone := sorted(self._shards.keys() - set(names)):
            raise InputError(f"holds {gone[0]}, which the input lacks: {_ANEW}", path=self._out)

    def finished(self, name: str, digest: str) -> Counts | None:
        """The counts of a shard that is made. Raises `InputError` where its input has changed since."""
        entry = self._shards.get(name)
        if entry is None:
            return None
        if entry["input"] != digest:
            raise InputError(f"was made of {name} as it was before it changed: {_ANEW}", path=self._out)
        return Counts.from_json(entry)

    def finish(self, name: str, digest: str, counts: Counts) -> None:
        """Note that a shard is made."""
        self._shards[name] = {"input": digest, **counts.as_json()}
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({name: self._shards[name]}, ensure_ascii=False) + "\n")

    def complete(self, total: Counts) -> None:
        """Note that all shards are made."""
        self._write(complete=True, **total.as_json(), shards=dict(sorted(self._shards.items())))
        self._log.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Leave nothing behind where no shard was finished."""
        if not self._shards:
            self._path.unlink(missing_ok=True)
            self._log.unlink(missing_ok=True)

    def _told(self, stored: dict[str, Any], others: list[str]) -> str:
        if others == ["settings"]:
            mine, theirs = self._head["settings"], stored.get("settings") or {}
            keys = sorted(key for key in {*mine, *theirs} if mine.get(key) != theirs.get(key))
            return f"was begun by {stored['annotator']} with other settings ({', '.join(keys)})"
        return f"was begun by {stored.get('annotator')} of version {stored.get('version')}"

    def _write(self, **more: Any) -> None:
        with atomic_write(self._path) as file:
            json.dump({**self._head, **more}, file, ensure_ascii=False, indent=1)
            file.write("\n")

    def _logged(self) -> dict[str, dict[str, Any]]:
        """The lines of the log; one that was torn off counts for nothing."""
        shards: dict[str, dict[str, Any]] = {}
        lines = self._log.read_text(encoding="utf-8").split("\n")[:-1] if self._log.exists() else []
        for line in lines:
            shards |= json.loads(line)
        return shards
