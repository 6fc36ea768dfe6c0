"""The tagger: an annotator that needs neither facts nor a large model, only gold to learn from.

It marks values in a plain text, points each at its entity, and names the relation between them: `reading`, then
`marking`. How it is made is told in `building`, where it is kept in `folder`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lamlam.annotate.tagger.marking import Mark, Marker
from lamlam.annotate.tagger.reading import Encode, Reader, Reading
from lamlam.annotate.tagger.windows import Windows
from lamlam.batches import batches
from lamlam.markup import AnnotatedDocument, Call

if TYPE_CHECKING:
    from lamlam.annotate.tagger.folder import OpenSettings
    from lamlam.annotate.tagger.parts import TaggerParts

__all__ = ["Tagger"]

_DOCUMENTS = 64  # read together, so that windows of a length meet


class Tagger:
    """An annotator (see `annotate.annotator`) that annotates as the gold collection number `source` does.

    `encode` computes the first half of the network, up to tags (default: the network itself, where it stands).
    """

    name = "tagger"

    def __init__(
        self,
        parts: "TaggerParts",
        *,
        source: int = 0,
        encode: Encode | None = None,
        told: Mapping[str, object] | None = None,
    ) -> None:
        settings = parts.settings
        self._told, self._manner = dict(told or {}), parts.manners[source]
        device = next(parts.model.parameters()).device if encode is None else torch.device("cpu")
        windows = Windows(parts.tokenizer, settings.window, settings.stride)
        self._reader = Reader(windows, encode or parts.model.eval(), source, device)
        self._marker = Marker(parts.model.eval(), parts.inventory, settings.least_count)

    @classmethod
    def open(cls, folder: str | Path, settings: "OpenSettings | None" = None) -> "Tagger":
        """The tagger of a folder that `lamlam annotate train` wrote; see `folder.open_tagger`."""
        from lamlam.annotate.tagger.folder import OpenSettings, open_tagger

        return open_tagger(Path(folder), settings or OpenSettings())

    @property
    def settings(self) -> Mapping[str, object]:
        return {**self._told, "manner": self._manner.name, "readiness": list(self._manner.readiness)}

    def annotate(self, document: AnnotatedDocument) -> AnnotatedDocument:
        """The document with calls, each directly before the words that are its value."""
        return next(self.annotate_many([document]))

    def annotate_many(self, documents: Iterable[AnnotatedDocument]) -> Iterator[AnnotatedDocument]:
        """The documents with calls, in order."""
        for chunk in batches(documents, _DOCUMENTS):
            yield from self._annotated(chunk)

    def read(self, documents: Sequence[AnnotatedDocument]) -> Iterator[Reading]:
        """What the encoder makes of documents, in which calls are yet to be seen."""
        return self._reader.read(documents)

    def _annotated(self, documents: Sequence[AnnotatedDocument]) -> Iterator[AnnotatedDocument]:
        marks: list[list[Mark]] = [[] for _ in documents]
        for reading in self.read(documents):
            for mark in self._marker.mark(documents, reading, self._manner.readiness):
                marks[mark.document].append(mark)
        for document, found in zip(documents, marks, strict=True):
            yield replace(document, calls=_calls(document, found))


def _calls(document: AnnotatedDocument, marks: list[Mark]) -> tuple[Call, ...]:
    """A call before each value, but for values that begin within another; windows may disagree at their borders."""
    calls, past = [], 0
    for mark in sorted(marks, key=lambda mark: (mark.start, -mark.end)):
        if mark.start >= past:
            past = mark.end
            calls.append(Call(mark.entity, mark.relation, document.text[mark.start : mark.end], mark.start))
    return tuple(calls)
