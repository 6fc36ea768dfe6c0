"""Lookup calls in text, in both notations."""

from lamlam.markup import dblookup, tokens
from lamlam.markup.document import AnnotatedDocument, Call, MarkupError

__all__ = ["AnnotatedDocument", "Call", "MarkupError", "dblookup", "tokens"]
