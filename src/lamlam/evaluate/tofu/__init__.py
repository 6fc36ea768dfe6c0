"""TOFU: is a set of invented authors forgotten, and is everything else still known? (arXiv 2401.06121)"""

from lamlam.evaluate.tofu.task import tofu

__all__ = ["tofu"]
