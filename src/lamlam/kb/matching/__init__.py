"""How a relation that is worded otherwise is recognised: features, and a small classifier over them."""

from lamlam.kb.matching.matcher import MatchSettings

__all__ = ["MatchSettings"]
