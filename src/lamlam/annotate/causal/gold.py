"""Annotated documents to learn from, each with the style of its source and the places that nobody decided.

A source is named STYLE=PATH. Styles with a collection's own format are `redocred`, `webnlg` and `table`; the files of
all others hold annotated documents. Where a text states a fact that its source may have left out, a call is neither
right nor wrong there.
"""

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lamlam.annotate.align import Aligner, UnplacedReason
from lamlam.annotate.forms import Strength
from lamlam.annotate.mentions import MentionFinder
from lamlam.annotate.public_corpora import annotated_introductions, read_redocred_mentions
from lamlam.annotate.score import Split, gold_split
from lamlam.annotate.spans import Introductions, value_span
from lamlam.corpus.files import read_documents
from lamlam.corpus.split import read_webnlg
from lamlam.errors import InputError
from lamlam.markup import AnnotatedDocument, Call

__all__ = ["GoldCall", "GoldDocument", "GoldSource", "read_gold"]

_MOST = 3000  # documents of a large collection
_CAPITAL_OR_NUMBER = re.compile(r"(?<!\w)(?=[A-Z0-9]|(?:the|an?) )")


@dataclass(frozen=True, slots=True)
class GoldCall:
    """A call whose value is the characters [start, end) of the text; `entity` None: its name isn't to be learnt."""

    start: int
    end: int
    entity: str | None
    call: Call


@dataclass(frozen=True, slots=True)
class GoldDocument:
    """A document, its placed calls, which don't overlap, and the spans in which nobody decided about calls."""

    document: AnnotatedDocument
    style: str
    calls: tuple[GoldCall, ...] = ()
    undecided: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, document: AnnotatedDocument, style: str, undecided: Iterable[tuple[int, int]] = ()) -> "GoldDocument":
        """Place a document's calls. Where a call has no place or comes before its entity, nothing is decided."""
        names = _Names(document)
        calls: list[GoldCall] = []
        left_open = list(undecided)
        for call in document.calls:
            span = value_span(document.text, call.value, call.at)
            start, end = span or (call.at, call.at + len(call.value))
            taken = any(start < other.end and other.start < end for other in calls)
            if span is None or taken or not names.precede(replace(call, at=start)):
                left_open.append((min(call.at, start), end))
            else:
                calls.append(GoldCall(start, end, names.written(call.entity, start), call))
        return cls(document, style, tuple(sorted(calls, key=lambda call: call.start)), tuple(left_open))

    @property
    def split(self) -> Split:
        return gold_split(self.document)


@dataclass(frozen=True, slots=True)
class GoldSource:
    """A file or folder of documents in one style; `weight` is its share of what a model learns from."""

    style: str
    path: Path
    weight: float = 1.0

    @classmethod
    def parse(cls, written: str) -> "GoldSource":
        """Read `STYLE=PATH`, or `PATH`, whose style is then the name of the file. `STYLE*2=PATH` weighs twice."""
        style, equals, path = written.rpartition("=")
        if not equals:
            return cls(Path(path).name.partition(".")[0], Path(path))
        style, times, weight = style.partition("*")
        try:
            share = float(weight) if times else 1.0
        except ValueError:
            share = -1.0
        if not style.strip() or not share > 0:
            raise InputError(f"'{written}' isn't of the form STYLE=PATH or STYLE*WEIGHT=PATH", field="gold")
        return cls(style, Path(path), share)

    @property
    def is_partial(self) -> bool:
        """Whether documents state more than what is annotated, so that they can't tell a threshold."""
        return self.style == "table"


def read_gold(source: GoldSource) -> Iterator[GoldDocument]:
    """Yield the documents of a source. Raises `InputError` for files that are missing or can't be read."""
    return _READERS.get(source.style, _annotated)(source)


def _annotated(source: GoldSource) -> Iterator[GoldDocument]:
    return (GoldDocument.of(document, source.style) for document in read_documents(source.path))


def _redocred(source: GoldSource) -> Iterator[GoldDocument]:
    """A tail that is mentioned again, or whose pair of entities has a call elsewhere, is undecided there."""
    for document, mentions in read_redocred_mentions(source.path):
        places = {call.at for call in document.calls}
        yield GoldDocument.of(document, source.style, [span for span in mentions if span[0] not in places])


def _webnlg(source: GoldSource) -> Iterator[GoldDocument]:
    """Texts whose facts were all found; one that is stated before its entity is named has no call."""
    aligner, every = Aligner(), list(read_webnlg(source.path))
    for stated in random.Random(0).sample(every, min(_MOST, len(every))):
        alignment = aligner.annotate(stated.text, stated.facts, stated.id)
        if all(reason is UnplacedReason.BEFORE_ENTITY for _, reason in alignment.unplaced):
            yield GoldDocument.of(alignment.document, source.style)


def _table(source: GoldSource) -> Iterator[GoldDocument]:
    """Introductions with table facts: wherever a name or number begins, a fact may be stated that no table has."""
    for document in annotated_introductions(source.path, _MOST):
        spans = [(match.start(), match.start() + 1) for match in _CAPITAL_OR_NUMBER.finditer(document.text)]
        yield GoldDocument.of(document, source.style, spans)


_READERS: Mapping[str, Callable[[GoldSource], Iterator[GoldDocument]]] = {
    "redocred": _redocred,
    "webnlg": _webnlg,
    "table": _table,
}


class _Names:
    """How a document's title, or its text before a place, writes an entity."""

    def __init__(self, document: AnnotatedDocument) -> None:
        self._text, self._title = document.text, document.title
        self._finder, self._in_title = MentionFinder(document.text), MentionFinder(document.title)
        self._introductions = Introductions(document)

    def precede(self, call: Call) -> bool:
        return self._introductions.precede(call)

    def written(self, entity: str, at: int) -> str | None:
        """Return the entity as it is written, whole or by a usual part of its name; None if only a word of it is."""
        whole = re.compile(rf"(?<!\w){re.escape(entity)}(?!\w)", re.IGNORECASE)
        if match := whole.search(self._title) or whole.search(self._text, 0, at):
            return match.group()
        for text, finder, most in ((self._title, self._in_title, len(self._title)), (self._text, self._finder, at)):
            for mention in finder.find(entity, Strength.NAME, Strength.PART):
                if mention.end <= most:
                    return text[mention.start : mention.end]
        return None
