"""Drops lookup calls that are likely wrong: by rules, and by a model's loss."""

from lamlam.annotate.clean.cleaner import Cleaner, Dropped, Tally
from lamlam.annotate.clean.rules import RULES

__all__ = ["RULES", "Cleaner", "Dropped", "Tally"]
