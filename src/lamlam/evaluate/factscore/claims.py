"""What judges of biographies say: a text's claims, each supported by the reference or not."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

__all__ = ["Claim", "Judge"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that a text says of its subject, and whether the reference says so too."""

    text: str
    supported: bool
    sentence: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Judge(Protocol):
    """Splits texts into claims and judges each."""

    name: str

    def judge(self, entity: str, text: str) -> Sequence[Claim] | None:
        """The claims of a text about `entity`; None where the judge gave no verdict that can be read."""
        ...
