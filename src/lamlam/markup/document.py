"""A plain text and the lookup calls that belong into it.

Nothing here knows a notation: `dblookup` and `tokens` parse and render them.
"""

from dataclasses import dataclass

from lamlam.errors import LamLamError

__all__ = ["UNKNOWN", "AnnotatedDocument", "Call", "MarkupError"]

UNKNOWN = "unknown"
"""What enters a text as the value of a call that found nothing."""


class MarkupError(LamLamError):
    """Text that is not well-formed markup; `position` is a character offset into it."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"character {position}: {reason}")
        self.reason, self.position = reason, position


@dataclass(frozen=True, slots=True)
class Call:
    """A lookup (entity, relation) -> value that stands before character `at` of a plain text."""

    entity: str
    relation: str
    value: str
    at: int


@dataclass(frozen=True, slots=True)
class AnnotatedDocument:
    """A plain text and its calls, ordered by position; several calls may stand at one position.

    `title` is what the text is about, where that is known; it need not stand in the text.
    Raises `MarkupError` when a call lies outside the text.
    """

    id: str
    text: str
    calls: tuple[Call, ...] = ()
    title: str = ""

    def __post_init__(self) -> None:
        for call in self.calls:
            if not 0 <= call.at <= len(self.text):
                raise MarkupError(f"a call stands outside the text of {len(self.text)} characters", call.at)
        object.__setattr__(self, "calls", tuple(sorted(self.calls, key=lambda call: call.at)))
