"""Copying a value that was found: once the model begins one, the rest is written as it was found.

A small model garbles long names, and mixes two values into one. Dates and numbers are left to the model, since a text
may write them in another form, and so is a text that only begins with the same letters.
"""

import re
from collections.abc import Iterable

from lamlam.engine.token_tree import Node, TokenTree
from lamlam.vocab import Vocabulary

__all__ = ["Copy", "forms"]

_IMPROBABLE = -6.0  # log-probability of the rest of the likeliest value below which the model writes something else
_LONGEST = 200  # characters of a name
_QUALIFIER = re.compile(r"\s*\([^()]*\)$")


def forms(value: str) -> list[str]:
    """How a text may write a name: whole, without the brackets at its end, one of its parts between commas; and each
    with a small first letter. None for what has a digit in it, or is too long for a name."""
    if len(value) > _LONGEST or any(character.isdigit() for character in value):
        return []
    whole = [value, *(part.strip() for part in value.split(","))]
    bare = [_QUALIFIER.sub("", form) for form in whole]
    return list(dict.fromkeys(form for name in (*whole, *bare) if name for form in (name, name[0].lower() + name[1:])))


class Copy(TokenTree):
    """A search for the rest of the likeliest of `values`, whose token `first` is written and for which `room` is left.

    `found` is None where the model writes something else; it `is_possible` where `first` begins a value.
    """

    def __init__(self, values: Iterable[str], first: int, vocabulary: Vocabulary, room: int) -> None:
        super().__init__()
        begun = vocabulary.token_bytes()[first]
        written = (space + form for value in values for form in forms(value) for space in (" ", ""))
        begin_so = dict.fromkeys(form for form in written if form.encode().startswith(begun))
        for token, *rest in map(vocabulary.encode, begin_so):
            if token == first and len(rest) <= room:
                self.add(rest).penalty = 0.0

    @property
    def is_possible(self) -> bool:
        return self.root.goes_on

    @property
    def found(self) -> Node | None:
        return self.best if self.best_score >= _IMPROBABLE else None
