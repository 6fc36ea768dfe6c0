"""Annotates questions and their answers by rule: what an answer adds to its question is the value of a call.

A document's text has the form of `corpus.prompts`, its title is whom or what the pair is about. The call's entity is
the one quoted title in the question, else the document's title if the question names it, else the longest name in the
question; else the document's title, for what the answer says after its name. The relation is made of the question's
content words without the entity. Values are the names, dates and titles in the answer that the question lacks, or else
the longest run of words that it lacks. If that is too long to be a value, there is no call.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from lamlam.annotate.tagger.names import Name, names
from lamlam.corpus.prompts import pair_of
from lamlam.markup import AnnotatedDocument, Call
from lamlam.text import Word, words

__all__ = ["QuestionAnnotator"]

_QUOTED = re.compile(r'["“]([^"“”\n]{2,80}?)[,.]?["”]')
_YEAR = re.compile(r"\d{4}")
_DATES = re.compile(
    r"\d{1,2}(?:st|nd|rd|th)?(?: of)? [A-Z][a-z]+,?(?: (?:in the year )?\d{4})?"  # 8th of September, 1956
    r"|\b[A-Z][a-z]+ \d{1,2}, \d{4}|\b\d{4}s?\b|\b\d+(?:[/.,]\d+)+\b"  # July 28, 1942; 1980s; 03/06/1985
)
_STOPS = ".!?;"
_WORDS_OF_RELATION, _WORDS_OF_VALUE = 4, 12
_IDLE = frozenset({
    "a", "an", "the", "of", "in", "on", "at", "to", "from", "by", "with", "as", "and", "or", "for", "about", "into",
    "what", "which", "who", "whom", "whose", "when", "where", "why", "how", "is", "are", "was", "were", "be", "been",
    "being", "do", "does", "did", "done", "has", "have", "had", "can", "could", "would", "will", "may", "might",
    "shall", "should", "you", "your", "me", "us", "tell", "give", "name", "list", "describe", "share", "provide",
    "mention", "identify", "explain", "please", "some", "any", "one", "two", "few", "there", "this", "that", "these",
    "those", "their", "his", "her", "its", "he", "she", "they", "it", "i", "we", "author", "authors", "writer",
    "writers", "fictitious", "full", "known", "called", "s", "also", "other", "another", "apart", "besides", "not",
    "if", "so", "such", "more", "most", "kind", "type", "during", "get", "got", "made", "make", "regarding",
})  # fmt: skip
_EDGES = _IDLE | {"including", "include", "includes", "like", "yes", "no", "indeed", "named", "titled"}


class _Span(NamedTuple):
    start: int
    end: int


class QuestionAnnotator:
    """An `Annotator` for texts in the form of `corpus.prompts`; others are returned without calls."""

    name = "questions"

    @property
    def settings(self) -> Mapping[str, object]:
        return {}

    def annotate_many(self, documents: Iterable[AnnotatedDocument]) -> Iterator[AnnotatedDocument]:
        return map(self.annotate, documents)

    def annotate(self, document: AnnotatedDocument) -> AnnotatedDocument:
        """Return the document with a call before each of its values, as far as the rules find them."""
        pair = pair_of(document.text)
        if pair is None:
            return replace(document, calls=())
        question, answer = pair
        at = len(document.text) - len(answer)
        entity, known_at = _entity(question, answer, document.title)
        relation = _relation(question, f"{entity} {document.title}")
        values = _values(question, answer, entity) if entity and relation else []
        calls = (
            Call(entity, relation, answer[span.start : span.end], at + span.start)
            for span in values
            if span.start >= known_at
        )
        return replace(document, calls=tuple(calls))


def _entity(question: str, answer: str, title: str) -> tuple[str, int]:
    """Return what a call asks about, and the character of the answer from which on it is known."""
    if len(quoted := _QUOTED.findall(question)) == 1:
        return quoted[0], 0
    if title and _names_all(question, title):
        return title, 0
    dates = list(_DATES.finditer(question))
    mentions = (name for name in names(question) if not any(_meet(name, date) for date in dates))
    found = [name.name for name in mentions if _is_name(question, name.start, name.end)]
    if found:
        return max(found, key=len), 0
    place = answer.find(title) if title else -1
    return (title, place + len(title)) if place >= 0 else ("", 0)


def _names_all(text: str, name: str) -> bool:
    """Return whether a text has all words of a name."""
    return {word.key for word in words(name)} <= {word.key for word in words(text)}


def _is_name(text: str, start: int, end: int) -> bool:
    """Return whether a mention is a name's, and not just the capital letter that begins a sentence."""
    inside = words(text[start:end])
    capitals = all(text[start + word.start].isupper() or text[start + word.start].isdigit() for word in inside)
    return capitals and (len(inside) > 1 or not _begins_sentence(text, start)) and inside[0].key not in _IDLE


def _begins_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip(' "“')
    return not before or before[-1] in _STOPS


def _relation(question: str, named: str) -> str:
    """Return the question's first content words, without those `named`, in title case."""
    skipped = {word.key for word in words(named)} | _IDLE
    asked = [question[word.start : word.end] for word in words(question) if word.key not in skipped]
    asked = [re.sub(r"['’]s?$", "", word).strip(".") for word in asked]
    return " ".join(word[:1].upper() + word[1:] for word in asked[:_WORDS_OF_RELATION])


def _values(question: str, answer: str, entity: str) -> list[_Span]:
    """Return the spans of an answer that its question lacks, in order and without overlap."""
    known = {word.key for word in words(question)} | {word.key for word in words(entity)}
    return _named(answer, known) or _longest(answer, known)


def _named(answer: str, known: set[str]) -> list[_Span]:
    """Return quoted titles, dates and names; of nested ones the longest."""
    spans = [_Span(*match.span(1)) for match in _QUOTED.finditer(answer)]
    dates = list(_DATES.finditer(answer))
    spans += [_Span(*match.span()) for match in dates if not known & set(_YEAR.findall(match.group()))]
    spans += [
        _Span(name.start, name.end)
        for name in names(answer)
        if _is_whole_name(answer, name.start, name.end) and not any(_meet(name, date) for date in dates)
    ]
    chosen: list[_Span] = []
    for span in sorted(spans, key=lambda span: span.start - span.end):
        keys = {word.key for word in words(answer[span.start : span.end])}
        if not keys <= known and all(span.end <= other.start or other.end <= span.start for other in chosen):
            chosen.append(span)
    return sorted(chosen)


def _meet(name: Name, date: re.Match[str]) -> bool:
    return name.start < date.end() and date.start() < name.end


def _is_whole_name(text: str, start: int, end: int) -> bool:
    """Return whether a mention is a name from its first letter to its last, not a longer span that begins with one."""
    last = text[start:end].split()[-1]
    clean = text[start].isalnum() and text[end - 1].isalnum() and not set('"“”,') & set(text[start:end])
    return clean and (last[0].isupper() or last[0].isdigit()) and _is_name(text, start, end)


def _longest(answer: str, known: set[str]) -> list[_Span]:
    """Return the longest run of words in one clause that the question lacks, without small words at its edges."""
    runs: list[list[Word]] = [[]]
    past = 0
    for word in _all_words(answer):
        if any(mark in answer[past : word.start] for mark in (*_STOPS, ",")):
            runs.append([])
        if word.key in known:
            runs.append([])
        else:
            runs[-1].append(word)
        past = word.end
    best = max((_without_edges(run) for run in runs), key=len)
    return [_Span(best[0].start, best[-1].end)] if 0 < len(best) <= _WORDS_OF_VALUE else []


def _all_words(text: str) -> list[Word]:
    """Return the words of a text, with small ones."""
    return [
        Word(next(iter(words(m.group()))).key, *m.span()) for m in re.finditer(r"[^\W_]+(?:[-'’+][^\W_]+)*\+?", text)
    ]


def _without_edges(run: list[Word]) -> list[Word]:
    while run and run[0].key in _EDGES:
        run = run[1:]
    while run and run[-1].key in _EDGES:
        run = run[:-1]
    return run
