"""From which likeness on a lookup is answered, and from which on it is left open.

The defaults were calibrated on data that no reported figure is measured on (docs/results/resolution.md); `calibrate`
(`kb.matching.calibration`) finds those of a knowledge base of one's own, which are then kept in it.
"""

import json
from dataclasses import asdict, dataclass, fields
from typing import Self

from lamlam.errors import InputError

__all__ = ["MatchSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchSettings:
    """Shares from 0 to 1. Raises `InputError` naming the field that is none."""

    entity: float = 0.9
    """Spelled less alike, two names are two entities."""
    entity_margin: float = 0.04
    """A second entity this close to the best one leaves the choice open."""
    relation: float = 0.2
    """Less likely of one meaning, two relations are two."""
    relation_margin: float = 0.1
    """A second relation this close to the best one, with other values, leaves the choice open."""
    relation_doubt: float = 0.1
    """From here on a relation is worth naming as what may have been meant."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise InputError(f"{value!r} is no number from 0 to 1", field=each.name)

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises `InputError` where the text is not what `as_json` writes, or names a setting that there is not."""
        try:
            stored = json.loads(text)
        except ValueError as error:
            raise InputError(f"settings of matching are no JSON: {error}") from error
        if not isinstance(stored, dict):
            raise InputError("settings of matching are no object")
        if unknown := set(stored) - {each.name for each in fields(cls)}:
            raise InputError("there is no such setting of matching", field=sorted(unknown)[0])
        return cls(**stored)
