"""Names of fields that are nearly right: what they stand for would be lost if they were passed over."""

import re
from collections.abc import Iterable

from rapidfuzz.distance import OSA

__all__ = ["meant"]

_LONG = 5  # letters, from which on one wrong letter is a slip
_PLURALS = (("ies", "y"), ("es", ""), ("s", ""))


def meant(name: str, known: Iterable[str]) -> str | None:
    """The known field that a name is a misspelling of: by case, signs, plural, or one letter; None where it is none."""
    return next((field for field in known if _alike(_letters(name), _letters(field))), None)


def _alike(a: str, b: str) -> bool:
    if _forms(a) & _forms(b):
        return True
    return min(len(a), len(b)) >= _LONG and OSA.distance(a, b, score_cutoff=1) <= 1


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _forms(name: str) -> set[str]:
    """A name, and what it may be the plural of."""
    return {name, *(name.removesuffix(plural) + single for plural, single in _PLURALS if name.endswith(plural))}
