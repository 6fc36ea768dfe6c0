"""Results that carry their counts, their uncertainty and where they came from.

The tasks beside this module compute figures; this one says how a share is stated and writes a run's `results.json`.
"""

import json
import math
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from lamlam import __version__
from lamlam.errors import InputError
from lamlam.files import atomic_write

__all__ = [
    "RESULTS_FILE",
    "Z95",
    "Provenance",
    "Result",
    "Share",
    "append_results",
    "plain_numbers",
    "read_results",
    "stated",
    "written",
]

RESULTS_FILE = "results.json"
_LIBRARIES = ("torch", "transformers", "tokenizers", "numpy")
Z95 = 1.959963984540054
"""How many standard deviations to either side hold 95% of a normal distribution."""


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `n` cases. A share of nothing is NaN in Python and null in JSON, never a quiet 0."""

    hits: int
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.n:
            raise ValueError(f"{self.hits} hits of {self.n} cases")

    @classmethod
    def of(cls, outcomes: "list[bool] | tuple[bool, ...]") -> "Share":
        return cls(sum(outcomes), len(outcomes))

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% Wilson score interval (Wilson 1927, equation for the binomial proportion); (0, 1) for no cases."""
        if not self.n:
            return 0.0, 1.0
        share, z2 = self.value, Z95**2
        centre = share + z2 / (2 * self.n)
        spread = Z95 * math.sqrt(share * (1 - share) / self.n + z2 / (4 * self.n**2))
        scale = 1 + z2 / self.n
        return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)

    def as_json(self, name: str) -> dict[str, Any]:
        """The share under `name`, with its counts and interval beside it."""
        low, high = self.interval
        value = round(self.value, 6) if self.n else None
        return {name: value, "hits": self.hits, "n": self.n, "interval": [round(low, 6), round(high, 6)]}


def stated(shares: Mapping[str, Share]) -> dict[str, Any]:
    """Shares as plain numbers by name, and their counts and intervals under `detail`."""
    detail = {name: share.as_json("share") for name, share in shares.items()}
    return {name: figures["share"] for name, figures in detail.items()} | {"detail": detail}


class Result(Protocol):
    """What an evaluation returns: the name of its task and its figures as JSON."""

    @property
    def task(self) -> str: ...

    def figures(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a figure depends on besides the checkpoint: seed, settings, the knowledge base's digest, the code."""

    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    kb_digest: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "settings": dict(self.settings),
            "knowledge_base": self.kb_digest,
            "code": _code_revision(),
            "versions": {"python": platform.python_version()} | _library_versions(),
        }


def append_results(
    run: str | Path,
    results: Mapping[str, Result],
    provenance: Provenance | None = None,
    more: Mapping[str, Any] | None = None,
) -> Path:
    """Put results into `run`/results.json under their names, all at once, beside those of other tasks.

    A result of the same name is replaced; `more` is written into each entry. Raises `InputError` when the file there is
    not a JSON object.
    """
    path = Path(run) / RESULTS_FILE
    merged = read_results(run)
    common = dict(more or {}) | (provenance or Provenance()).as_json()
    merged |= {name: {"task": result.task, "figures": result.figures()} | common for name, result in results.items()}
    text = json.dumps(merged, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as file:
        file.write(text + "\n")
    return path


def read_results(run: str | Path) -> dict[str, Any]:
    """`run`/results.json; nothing where nothing was measured. Raises `InputError` when it is no JSON object."""
    path = Path(run) / RESULTS_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path) from error
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8", path=path) from error
    except json.JSONDecodeError as error:
        raise InputError(f"is not JSON ({error.msg})", path=path, line=error.lineno) from error
    if not isinstance(content, dict):
        raise InputError("does not hold a JSON object", path=path)
    return content


def plain_numbers(figures: Mapping[str, Any], above: str = "", *, detail: bool = True) -> list[tuple[str, int | float]]:
    """The plain numbers of a result in their order, nested names joined by dots; lists are left out.

    Without `detail`, counts and intervals of shares that are told anyhow are left out too.
    """
    rows: list[tuple[str, int | float]] = []
    for name, value in figures.items():
        if not detail and (name == "detail" or name.endswith("_detail")):
            continue
        if isinstance(value, Mapping):
            rows += plain_numbers(value, f"{above}{name}.", detail=detail)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            rows.append((above + name, value))
    return rows


def written(number: int | float) -> str:
    """A figure as it is shown: counts whole, all else with four places."""
    return f"{number:,}" if isinstance(number, int) else f"{number:.4f}"


def _code_revision() -> str:
    """The commit of the code, with "+" where the working tree differs; the package's version outside of git."""
    here = Path(__file__).resolve().parent
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.strip()
        tracked = subprocess.run(
            ["git", "ls-files", "--error-unmatch", Path(__file__).name], cwd=here, capture_output=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return __version__
    return described if described and tracked.returncode == 0 else __version__


def _library_versions() -> dict[str, str]:
    versions = {"lamlam": __version__}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
