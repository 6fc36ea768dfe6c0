"""The relations that a tagger can name: those of its training documents, spellings of one name folded into one."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from lamlam.kb.names import normalise
from lamlam.markup import AnnotatedDocument

__all__ = ["Inventory"]


@dataclass(frozen=True, slots=True)
class Inventory:
    """Names of relations, the most frequent first, and how many calls have each."""

    names: list[str]
    counts: list[int]
    _numbers: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_numbers", {normalise(name): number for number, name in enumerate(self.names)})

    @classmethod
    def of(cls, documents: Iterable[AnnotatedDocument]) -> "Inventory":
        """The relations of all calls; of the spellings that `normalise` folds, the most frequent one is the name."""
        spellings: dict[str, Counter[str]] = defaultdict(Counter)
        for document in documents:
            for call in document.calls:
                spellings[normalise(call.relation)][call.relation] += 1
        ordered = sorted(spellings.values(), key=lambda each: (-each.total(), min(each)))
        return cls([each.most_common(1)[0][0] for each in ordered], [each.total() for each in ordered])

    def number(self, relation: str) -> int:
        """The number of a relation by any of its spellings; -1 for one that is not here."""
        return self._numbers.get(normalise(relation), -1)
