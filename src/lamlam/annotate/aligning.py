"""The annotator `align`: places facts that are known, and needs no model."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

from lamlam.annotate.align import Aligner
from lamlam.annotate.candidates import CandidateFacts
from lamlam.corpus import FactRecord
from lamlam.corpus.files import read_facts
from lamlam.files import file_digest
from lamlam.markup import AnnotatedDocument

__all__ = ["AlignAnnotator"]


class AlignAnnotator:
    """Places given facts where texts state them; without any, those that a document brings: its triples or calls.

    A text is tried with the facts of every entity that it names. What a document brings itself, it is known to state.
    """

    name = "align"

    def __init__(self, facts: Iterable[FactRecord] | None = None, digest: str | None = None) -> None:
        self.facts = None if facts is None else list(facts)
        self.settings: Mapping[str, object] = {"facts": digest}
        self._aligner = Aligner(stated=self.facts is None)
        self._candidates = CandidateFacts(self.facts or ())
        self._notes: Counter[str] = Counter()

    @classmethod
    def of_file(cls, facts: Path | None) -> Self:
        """With the facts of a file of JSON Lines, or with none. Raises `InputError`."""
        return cls() if facts is None else cls(read_facts(facts), file_digest(facts))

    def annotate(self, document: AnnotatedDocument) -> AnnotatedDocument:
        """The document with a call before each place where it states a fact after its entity."""
        facts = self.brought(document) if self.facts is None else self._candidates.mentioned_in(document.text)
        alignment = self._aligner.annotate(document.text, facts, document.id)
        self._notes.update(reason.value for _, reason in alignment.unplaced)
        return replace(document, calls=alignment.document.calls)

    def annotate_many(self, documents: Iterable[AnnotatedDocument]) -> Iterator[AnnotatedDocument]:
        """One after the other."""
        return map(self.annotate, documents)

    def brought(self, document: AnnotatedDocument) -> list[FactRecord]:
        """The facts that a document is known to state; none where facts were given."""
        if self.facts is not None:
            return []
        return [FactRecord(call.entity, call.relation, call.value) for call in document.calls]

    def take_notes(self) -> Counter[str]:
        """Why facts found no place, counted since it was last asked."""
        notes, self._notes = self._notes, Counter()
        return notes
