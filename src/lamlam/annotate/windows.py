"""Cuts a long text into windows that an annotator can read, at the best borders there are.

How much they can read is the annotators' to say.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from lamlam.markup import AnnotatedDocument

__all__ = ["in_windows", "windows"]

_BORDERS = tuple(map(re.compile, (r"\n\s*\n\s*", r"\n\s*", r"(?<=[.!?])[\"'”’)\]]*\s+", r"\s+")))


def windows(text: str, limit: int) -> list[tuple[int, int]]:
    """Spans [start, end) of at most `limit` characters that together are the text, in order, without overlap.

    A window ends behind a paragraph where one ends within the limit, else behind a line, a sentence, a word, and only
    where there is none of these within a word. An empty text has no windows. Raises `ValueError` for a limit below 1.
    """
    if limit < 1:
        raise ValueError(f"a window holds at least one character, not {limit}")
    spans = []
    start = 0
    while start < len(text):
        end = len(text) if len(text) - start <= limit else _border(text, start, start + limit)
        spans.append((start, end))
        start = end
    return spans


def _border(text: str, start: int, most: int) -> int:
    """The last of the best borders in (start, most]; of paragraphs, lines and sentences only past half of the way."""
    half = (start + most) // 2
    for border in _BORDERS:
        ends = [match.end() for match in border.finditer(text, start, most)]
        if ends and (ends[-1] > half or border is _BORDERS[-1]):
            return ends[-1]
    return most


def in_windows(
    document: AnnotatedDocument, limit: int, annotate: Callable[[AnnotatedDocument], AnnotatedDocument]
) -> AnnotatedDocument:
    """The document with the calls that `annotate` puts into its windows, each of which has its id and title."""
    calls = [
        replace(call, at=start + call.at)
        for start, end in windows(document.text, limit)
        for call in annotate(replace(document, text=document.text[start:end], calls=())).calls
    ]
    return replace(document, calls=tuple(calls))
