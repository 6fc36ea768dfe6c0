"""Which names of the knowledge base a text mentions.

Words are what stands between white space. Nothing here resolves a call: a mention is a candidate, no more.
"""

import re
import string
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lamlam.engine.source import FactSource

__all__ = ["Mentions", "mentions"]

_LONGEST = 10  # words of a name
_LONGEST_OPENING = 5  # words of a name's beginning
_MOST = 8  # names that one beginning may stand for: with more it tells nothing
_POINTS = ".,;:!?\"'’”“‘…"
_MARKS = re.escape(string.punctuation + _POINTS)
_OPENING = re.compile(f"([{_MARKS}]*)([^{_MARKS}]*)")


def mentions(text: str, kb: FactSource, read: int = 0, begins: dict[str, bool] | None = None) -> list[str]:
    """Names that `text` mentions and `kb` holds, in the order of their first mention; each once.

    A mention is a run of words that names an entity, which yields the canonical name and the alias that was used, or
    a capitalised run with which a few names begin ("Addiction" for "Addiction (journal)", "Akron Summit" for "Akron
    Summit Assault"), unless the text goes on with another name: "Kingdom of" in "Kingdom of Sweden" does not stand for
    "Kingdom of Spain", whether or not Sweden is known. Runs within the first `read` words are left out. `begins` keeps
    what begins a name.
    """
    words = text.split()
    runs = list(dict.fromkeys(_runs(words, kb, read, {} if begins is None else begins)))
    named = kb.entities_named(list(dict.fromkeys(run.text for run in runs)))
    longest = {run.start: run.end for run in runs if run.text in named}  # a start's runs come in order of their ends
    found: dict[str, None] = {}
    tried: set[tuple[str, bool]] = set()
    for run in runs:
        if run.text in named:
            canonical = named[run.text]
            found[canonical] = None
            if run.text.casefold() != canonical.casefold():
                found[run.text] = None
        elif run.end > longest.get(run.start, 0) and run.may_open:
            opening = run.text, _is_cut(run, words)
            if opening not in tried:
                tried.add(opening)
                found.update(dict.fromkeys(_names_beginning_with(*opening, kb)))
    return list(found)


class _Run(NamedTuple):
    """Words `start` to `end` of a text, as they are compared with names."""

    text: str
    start: int
    end: int

    @property
    def may_open(self) -> bool:
        return self.text[0].isupper() and self.text.count(" ") < _LONGEST_OPENING


class Mentions:
    """The mentions of one growing text, of which only what is new is read."""

    def __init__(self, kb: FactSource) -> None:
        self._kb = kb
        self._names: dict[str, None] = {}
        self._begins: dict[str, bool] = {}
        self._read = 0

    def update(self, text: str) -> list[str]:
        """The mentions of `text`, which must begin with the text of the call before."""
        if len(text) > self._read:
            # A name may begin in the last words of what was read before, and the last of them may have grown.
            parts = text[: self._read].rsplit(maxsplit=_LONGEST)
            start = len(parts[0]) if len(parts) > _LONGEST else 0
            known = text[start : self._read].split()
            fresh = mentions(text[start:], self._kb, read=max(len(known) - 1, 0), begins=self._begins)
            self._names.update(dict.fromkeys(fresh))
            self._read = len(text)
        return list(self._names)


def _runs(words: list[str], kb: FactSource, read: int, begins: dict[str, bool]) -> Iterator[_Run]:
    """Runs of words, as written and without the punctuation around them; none goes on where no name does."""
    for start, word in enumerate(words):
        if word not in begins:
            begins[word] = _begins_a_name(word, kb)
        if begins[word]:
            for end in range(start + 1, min(start + _LONGEST, len(words)) + 1):
                run = " ".join(words[start:end])
                if end > read:
                    yield from (_Run(variant, start, end) for variant in _bare(run))
                if end > start + 1 and not _goes_on(run, kb, begins):
                    break


def _begins_a_name(word: str, kb: FactSource) -> bool:
    """False where no name begins with `word` up to its first point, with the points before it or without."""
    opening, core = _OPENING.match(word).groups()  # type: ignore[union-attr]
    return not core or any(kb.entities_starting(start, 1) for start in dict.fromkeys((core, opening + core)))


def _goes_on(run: str, kb: FactSource, begins: dict[str, bool]) -> bool:
    """Whether a name begins with a run of words, with the points before it or without."""
    if run not in begins:
        starts = dict.fromkeys((run, run.lstrip(string.punctuation + _POINTS)))
        begins[run] = any(kb.entities_starting(start, 1) for start in starts)
    return begins[run]


def _bare(run: str) -> Iterable[str]:
    """`run`, and what is left without points, possessive or brackets: "(Rome)." -> "(Rome)", "Rome"."""
    light = run.strip(_POINTS)
    bare = run.strip(string.punctuation + _POINTS)
    variants = (run, light, bare, bare.removesuffix("'s").removesuffix("’s"))
    return (variant for variant in variants if variant)


def _is_cut(run: _Run, words: list[str]) -> bool:
    """Whether a run breaks off within a name: "Kingdom of", or "Government of United" before "Emirates"."""
    if run.text.rsplit(maxsplit=1)[-1][0].islower():
        return True
    ends = words[run.end - 1][-1] in _POINTS or run.end == len(words)
    return not ends and words[run.end][0].isupper()


def _names_beginning_with(run: str, qualified: bool, kb: FactSource) -> list[str]:
    """Names for which `run` may stand, if they are few; `qualified` ones alone where it breaks off within a name."""
    names = [name for name in kb.entities_starting(run, 4 * _MOST) if _is_opening(run, name[len(run) :], qualified)]
    return names if len(names) <= _MOST else []


def _is_opening(run: str, rest: str, qualified: bool) -> bool:
    """Whether `run` may stand for the name that goes on with `rest`: "Antioch" for "Antioch, California".

    One word of a name says too little ("American" for every "American ..."), unless only a qualifier follows. So does
    a run that must be `qualified`.
    """
    if " " not in run or qualified:
        return rest.lstrip().startswith(("(", ","))
    return not rest[:1].isalnum()
