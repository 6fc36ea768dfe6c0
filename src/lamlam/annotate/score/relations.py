"""Whether two names of relations mean the same, as the knowledge base judges it when it answers a lookup."""

from functools import lru_cache

from lamlam.kb.matching.features import Evidence
from lamlam.kb.matching.matcher import default_matcher
from lamlam.kb.names import normalise
from lamlam.kb.similarity import relation_key

__all__ = ["relation_likeness"]


@lru_cache(maxsize=1 << 17)
def relation_likeness(gold: str, predicted: str, value: str) -> float:
    """How likely a lookup of the relation `predicted` means the fact in the relation `gold` that has this value.

    1.0 for the same name and for the same words in another order; else what `kb.matching` says.
    """
    if normalise(gold) == normalise(predicted) or (relation_key(gold) == relation_key(predicted) != ""):
        return 1.0
    return default_matcher().likelihoods(predicted, [(gold, Evidence(values=(value,)))])[0]
