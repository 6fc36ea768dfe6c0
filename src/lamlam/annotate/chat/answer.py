"""What a chat model answered, read as far as it can be: a list of calls, or a copy of the text with marks.

Models wrap answers in fences, think aloud before them, and break off. Where the calls go is left to `quotes` and
`transfer`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rapidfuzz import fuzz

from lamlam.annotate.transfer import QuotedCall, propose_copied, propose_quoted
from lamlam.annotate.vetting import Vetting

__all__ = ["Answer", "propose", "unwrapped"]

_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_FENCE = re.compile(r"\A\s*```\w*\s*\n(.*?)\n?\s*(?:```\s*)?\Z", re.DOTALL)
_OPENED = re.compile(r"\{")
_ALIKE = 50.0  # per cent that a copy has in common with its text
_MARK = "dblookup("


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server gave for a request: the model's words, why it stopped, and the tokens that were counted."""

    content: str
    finish: str | None = None
    refused: bool = False
    tokens_in: int = 0
    tokens_out: int = 0


def propose(vetting: Vetting, text: str, content: str, offset: int = 0) -> bool:
    """Offer the calls of an answer about `text` for a document; whether it is an answer at all.

    Words that are neither a list nor a copy are none: an apology, a question, nothing.
    """
    content = unwrapped(content)
    listed = _listed(content)
    if listed is not None:
        calls = [call for call in map(_call, listed) if call is not None]
        vetting.malformed(len(listed) - len(calls))
        propose_quoted(vetting, text, calls, offset)
        return True
    if _MARK not in content and fuzz.ratio(text, content) < _ALIKE:
        return False
    propose_copied(vetting, text, content, offset)
    return True


def unwrapped(content: str) -> str:
    """An answer without the thoughts before it and the fence around it."""
    content = _THOUGHT.sub("", content)
    fenced = _FENCE.match(content)
    return fenced[1] if fenced else content


def _listed(content: str) -> list[Any] | None:
    """The objects of a list of calls, those that are whole where it is broken; None where there is no list."""
    if content.lstrip().startswith("[" + _MARK):
        return None
    start = min((place for place in (content.find("{"), content.find("[")) if place >= 0), default=-1)
    if start < 0 or content.find(_MARK, 0, start) >= 0:
        return None
    try:
        said, _ = json.JSONDecoder().raw_decode(content, start)
    except (ValueError, RecursionError):
        return list(_whole_objects(content)) or None
    if isinstance(said, dict):
        said = said.get("calls", [said] if "entity" in said else None)
    elif said == [] and content.strip() != "[]":  # brackets in a text
        return None
    return said if isinstance(said, list) and all(isinstance(each, dict) for each in said) else None


def _whole_objects(content: str) -> Iterator[dict[str, Any]]:
    """The calls that can be read out of broken JSON."""
    decoder, position = json.JSONDecoder(), 0
    while opened := _OPENED.search(content, position):
        position = opened.end()
        try:
            said, end = decoder.raw_decode(content, opened.start())
        except (ValueError, RecursionError):
            continue
        if "entity" in said:
            yield said
            position = end


def _call(said: dict[str, Any]) -> QuotedCall | None:
    fields = [said.get(name) for name in ("entity", "relation", "value", "before")]
    if any(isinstance(field, bool) or not isinstance(field, str | int | float) for field in fields):
        return None
    return QuotedCall(*map(str, fields))
