"""Finds the names that a text mentions, by rule: what the entity of a call may be.

A document's head is what it is about: its title, or else the subject of its first sentence. Too many names are found
rather than too few: which one a value belongs to is left to the model.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from lamlam.kb.names import normalise
from lamlam.text import WORD, title_of

__all__ = ["Name", "names"]

_UPPER = r"[^\W\d_a-zß-öø-ÿ]"
_WORD = rf"(?:{_UPPER}\.)+(?!\w)|(?:{_UPPER}|\d(?=[\w.,]*[ -]{_UPPER}))[^\W_]*(?:[-–’'.&/+][^\W_]+)*"
_JOINT = r"(?:of|the|de|la|le|von|van|der|den|du|di|da|del|des|dos|al|el|bin|ibn|and|for|in|on|at|to|a|&|y|e|und|et|zu)"
_RUN = re.compile(
    rf"(?:{_WORD})(?:(?: {_JOINT}){{0,2}} (?:{_WORD})|, (?:Jr|Sr)\.|,? \d{{1,4}}(?![\w,.%])|(?:'s|’s) (?:{_WORD}))*"
)
_QUOTED = re.compile(r'["“]([^"“”\n]{2,60})["”]')
_SUBJECT = re.compile(r"([^\n]{2,90}?)(?= \(|,? (?:is|was|are|were|refers|may refer|has|had|also known)\b)")
_SENTENCE = re.compile(
    r"(?:\A|(?<=[.!?:;]) |\n\s*)"
    r"(?:(?:The|A|An|In|On|At|For|This|These|Its|Their|Some|Other|Both) (?:the |a )?)?"
)
_PHRASE = re.compile(r"[^\W_]+(?:[-–'’.][^\W_]+)*(?: [^\W_]+(?:[-–'’.][^\W_]+)*){0,3}")
_TAIL = re.compile(r" [a-z][a-z-]+(?: [a-z][a-z-]+)?")
_FUNCTION = frozenset({
    "the", "a", "an", "in", "on", "at", "of", "for", "to", "from", "by", "with", "as", "and", "but", "or", "nor",
    "so", "yet", "if", "when", "while", "where", "after", "before", "since", "until", "during", "although",
    "though", "because", "however", "this", "that", "these", "those", "it", "its", "he", "his", "she", "her",
    "they", "their", "we", "our", "i", "my", "you", "your", "there", "here", "both", "all", "some", "many",
    "most", "several", "each", "every", "other", "another", "such", "no", "not", "one", "two", "three", "who",
    "what", "which", "how", "why", "under", "over", "between", "among", "through", "into", "about", "against",
    "within", "without", "despite", "unlike", "like", "also", "then", "thus", "today",
})  # fmt: skip
_VERBS = frozenset({"is", "was", "are", "were", "has", "had"})
_LONGEST = 6  # words of a run, of which every part from either end may be a name


class Name(NamedTuple):
    """A mention [start, end) of a name; `name` is how a call spells it, `key` under which spellings of it meet.

    The head's characters are those of the title, where there is one: it is known before the text begins (`known` is 0).
    """

    start: int
    end: int
    known: int
    name: str
    key: str
    is_head: bool


def names(text: str, title: str = "") -> list[Name]:
    """The names that `text` mentions, in order of their ends; the head comes first, whole, then without qualifiers.

    Mentions may overlap.
    """
    title = title or title_of(text)
    if title:
        found = [Name(start, end, 0, title[start:end], normalise(title[start:end]), True) for start, end in _cut(title)]
        body = title.replace(" ", "_") + ": "
        spans = dict.fromkeys(_mentions(text, len(body) if text.startswith(body) else 0))
    else:
        head = _subject(text)
        found = [_name(text, start, end, True) for start, end in head]
        spans = dict.fromkeys(span for span in _mentions(text, 0) if span not in head)
    found += sorted(_name(text, start, end, False) for start, end in spans if start < end)
    found.sort(key=lambda name: (not name.is_head, name.end if not name.is_head else -name.end))
    return [name for name in found if name.key]


def _name(text: str, start: int, end: int, is_head: bool) -> Name:
    return Name(start, end, end, text[start:end], normalise(text[start:end]), is_head)


def _cut(title: str) -> list[tuple[int, int]]:
    """A title, whole and without what qualifies it: "Cork" in "Cork (city)"."""
    cuts = [title.find(mark, 1) for mark in (" (", ", ")]
    return [(0, len(title)), *((0, cut) for cut in cuts if cut > 0)]


def _subject(text: str) -> list[tuple[int, int]]:
    """What the first sentence is about, with and without its article."""
    match = _SUBJECT.match(text)
    if match is None or _without_function_words(text, *match.span())[0] == match.end():
        match = _RUN.search(text)
    if match is None:
        return []
    start, end = match.start(), match.end()
    if text[start:end].startswith(('"', "“")):
        start += 1
    while end > start and not (text[end - 1].isalnum() or text[end - 1] in ").!?"):
        end -= 1
    bare, _ = _without_function_words(text, start, end)
    return list(dict.fromkeys([(start, end), (bare, end)]))


def _mentions(text: str, start: int) -> Iterator[tuple[int, int]]:
    for match in _QUOTED.finditer(text, start):
        yield _trimmed(text, *match.span(1))
    for match in _RUN.finditer(text, start):
        first, last = _without_function_words(text, *match.span())
        if first < last:
            yield from _parts(text, first, last)
            if tail := _TAIL.match(text, last):
                yield first, last + len(tail.group().rsplit(" ", 1)[0]) if tail.group().count(" ") > 1 else tail.end()
    for sentence in _SENTENCE.finditer(text, start):
        if phrase := _PHRASE.match(text, sentence.end()):
            yield from _prefixes(text, *phrase.span())


def _parts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A run of capitalised words and its parts from either end: "Spain" in "Ministry of Defence of Spain"."""
    yield _trimmed(text, start, end)
    breaks = [match.span() for match in re.finditer(r",? |'s |’s ", text[start:end])]
    for _, right in breaks[-_LONGEST:]:
        first, last = _without_function_words(text, start + right, end)
        if first < last:
            yield _trimmed(text, first, last)
    for left, _ in breaks[:_LONGEST]:
        word = text[start : start + left].rsplit(" ", 1)[-1]
        if not re.fullmatch(_JOINT, word):
            yield _trimmed(text, start, start + left)


def _prefixes(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """How a sentence begins, up to a word that is in no name: "nonstandard dialect" of "A nonstandard dialect has"."""
    for match in re.finditer(r"\S+", text[start:end]):
        if match.group().casefold() in _FUNCTION or match.group() in _VERBS:
            return
        yield start, start + match.end()


def _without_function_words(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end:
        word = WORD.match(text[start:end])
        if word is None or word.group().casefold() not in _FUNCTION:
            break
        start += word.end()
        while start < end and not text[start].isalnum():
            start += 1
    return start, end


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while end > start and text[end - 1] in " ,;:'’":
        end -= 1
    for ending in ("'s", "’s"):
        if text.endswith(ending, start, end):
            end -= 2
    return start, end
