"""LamLam: limited-memory language models, with facts in a knowledge base instead of the weights."""

__version__ = "0.1.0"
