"""Lookup calls in text, in both notations."""

from lamlam.markup import dblookup, tokens
from lamlam.markup.document import UNKNOWN, AnnotatedDocument, Call, MarkupError

__all__ = ["UNKNOWN", "AnnotatedDocument", "Call", "MarkupError", "dblookup", "tokens"]
