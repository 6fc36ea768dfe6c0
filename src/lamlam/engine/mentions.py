"""Which names of the knowledge base a text mentions.

Words are what stands between white space. Nothing here resolves a call: a mention is a candidate, no more.
"""

import re
import string
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from lamlam.engine.source import FactSource

__all__ = ["Mentions", "mentions"]

_LONGEST = 10  # words of a name
_LONGEST_OPENING = 5  # words of a name's beginning
_MOST = 8  # names that one beginning may stand for: with more it tells nothing
_POINTS = ".,;:!?\"'’”“‘…"
_MARKS = re.escape(string.punctuation + _POINTS)
_OPENING = re.compile(f"([{_MARKS}]*)([^{_MARKS}]*)")


def mentions(text: str, kb: FactSource) -> list[str]:
    """Names that `text` mentions and `kb` holds, in the order of their first mention; each once.

    A mention is a run of words that names an entity, which yields the canonical name and the alias that was used, or
    a capitalised run with which a few names begin ("Addiction" for "Addiction (journal)", "Akron Summit" for "Akron
    Summit Assault"), unless the text goes on with another name: "Kingdom of" in "Kingdom of Sweden" does not stand for
    "Kingdom of Spain", whether or not Sweden is known.
    """
    return Mentions(kb).update(text)


class Mentions:
    """The mentions of one growing text: at each length what `mentions` finds in it, whatever was asked before.

    Only what is new is read, and the last words once more: what follows them says what they mention.
    """

    def __init__(self, kb: FactSource) -> None:
        self._names = _Names(kb)
        self._settled: dict[str, None] = {}
        self._at = 0  # where in the text the first word begins of which more may be said yet
        self._length, self._found = 0, list[str]()

    def update(self, text: str) -> list[str]:
        """The mentions of `text`, which must begin with the text of the call before."""
        if len(text) != self._length:
            words = list(re.finditer(r"\S+", text[self._at :]))
            found = list(_mentioned([word.group() for word in words], self._names))
            settled = max(len(words) - _LONGEST - 1, 0)  # words; of the last of them more may come
            self._settled.update((name, None) for start, name in found if start < settled)
            rest = {name: None for start, name in found if start >= settled}
            self._at += words[settled].start() if words else 0
            self._length, self._found = len(text), list(self._settled | rest)
        return list(self._found)


class _Run(NamedTuple):
    """Words `start` to `end` of a text, as they are compared with names."""

    text: str
    start: int
    end: int

    @property
    def may_open(self) -> bool:
        return self.text[0].isupper() and self.text.count(" ") < _LONGEST_OPENING


class _Names:
    """What a text asks of the names in a knowledge base; each question is put once."""

    def __init__(self, kb: FactSource) -> None:
        self._kb = kb
        self._begins: dict[str, bool] = {}
        self._named: dict[str, str | None] = {}
        self._opened: dict[tuple[str, bool], list[str]] = {}

    def begin(self, word: str) -> bool:
        """Whether a name begins with `word` up to its first point, with the points before it or without."""
        opening, core = _OPENING.match(word).groups()  # type: ignore[union-attr]
        return not core or any(self._any(start) for start in dict.fromkeys((core, opening + core)))

    def go_on(self, run: str) -> bool:
        """Whether a name begins with a run of words, with the points before it or without."""
        return any(self._any(start) for start in dict.fromkeys((run, run.lstrip(string.punctuation + _POINTS))))

    def named(self, runs: Iterable[str]) -> Mapping[str, str | None]:
        """The canonical names of those that are names; holds None, or nothing, for others."""
        if unknown := [run for run in dict.fromkeys(runs) if run not in self._named]:
            self._named |= dict.fromkeys(unknown) | dict(self._kb.entities_named(unknown))
        return self._named

    def opened(self, run: str, qualified: bool) -> list[str]:
        """Names for which `run` may stand, if they are few; `qualified` ones alone where it breaks off in a name."""
        if (run, qualified) not in self._opened:
            starting = self._kb.entities_starting(run, 4 * _MOST)
            names = [name for name in starting if _is_opening(run, name[len(run) :], qualified)]
            self._opened[run, qualified] = names if len(names) <= _MOST else []
        return self._opened[run, qualified]

    def _any(self, start: str) -> bool:
        if start not in self._begins:
            self._begins[start] = bool(self._kb.entities_starting(start, 1))
        return self._begins[start]


def _mentioned(words: list[str], names: _Names) -> Iterator[tuple[int, str]]:
    """Names, and the number of the word with which the mention begins."""
    runs = list(dict.fromkeys(_runs(words, names)))
    named = names.named(run.text for run in runs)
    longest = {run.start: run.end for run in runs if named[run.text]}  # a start's runs come in order of their ends
    for run in runs:
        if canonical := named[run.text]:
            yield run.start, canonical
            if run.text.casefold() != canonical.casefold():
                yield run.start, run.text
        elif run.end > longest.get(run.start, 0) and run.may_open:
            yield from ((run.start, name) for name in names.opened(run.text, _is_cut(run, words)))


def _runs(words: list[str], names: _Names) -> Iterator[_Run]:
    """Runs of words, as written and without the punctuation around them; none goes on where no name does."""
    for start, word in enumerate(words):
        if names.begin(word):
            for end in range(start + 1, min(start + _LONGEST, len(words)) + 1):
                run = " ".join(words[start:end])
                yield from (_Run(variant, start, end) for variant in _bare(run))
                if end > start + 1 and not names.go_on(run):
                    break


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


def _is_opening(run: str, rest: str, qualified: bool) -> bool:
    """Whether `run` may stand for the name that goes on with `rest`: "Antioch" for "Antioch, California".

    One word of a name says too little ("American" for every "American ..."), unless only a qualifier follows. So does
    a run that must be `qualified`.
    """
    if " " not in run or qualified:
        return rest.lstrip().startswith(("(", ","))
    return not rest[:1].isalnum()
