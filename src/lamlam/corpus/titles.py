"""The title that a text bears at its start."""

import re
from urllib.parse import unquote

__all__ = ["title_of"]

_PREFIX = re.compile(r"\s*(?P<title>[^\s:]{2,120}): ")  # Pope_Paul_VI: He reminded
_LINE = re.compile(r"\s*(?:#+ +)?(?P<title>[^\n]{2,120}?)\s*\n\s*\n")  # a line by itself
_NO_TITLE = (".", ",", ";", ":", "!")


def title_of(text: str) -> str:
    """The one word before a colon (underscores are spaces), or a first line by itself that is no sentence; else ""."""
    if match := _PREFIX.match(text):
        return unquote(match["title"]).replace("_", " ")
    match = _LINE.match(text)
    return match["title"] if match and not match["title"].endswith(_NO_TITLE) else ""
