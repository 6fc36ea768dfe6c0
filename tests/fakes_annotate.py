"""An annotator for tests: it marks every word "Rome", and can be told to be slow or to fail."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from lamlam.markup import AnnotatedDocument, Call

__all__ = ["Marker"]


@dataclass
class Marker:
    """Puts a call before each "Rome"; `seconds` are what a document takes it, `alters` makes it spoil the text."""

    entity: str = "Ada"
    seconds: float = 0.0
    alters: bool = False
    loses: bool = False
    made: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    name: str = "marker"

    @property
    def settings(self) -> Mapping[str, object]:
        return {"entity": self.entity}

    def annotate(self, document: AnnotatedDocument) -> AnnotatedDocument:
        time.sleep(self.seconds)
        self.made += 1
        places = [at for at in range(len(document.text)) if document.text.startswith("Rome", at)]
        self.notes["without a mark"] += not places
        text = document.text.strip() if self.alters else document.text
        return replace(document, text=text, calls=tuple(Call(self.entity, "Place", "Rome", at) for at in places))

    def annotate_many(self, documents: Iterable[AnnotatedDocument]) -> Iterator[AnnotatedDocument]:
        every = list(documents)
        return map(self.annotate, every[1:] if self.loses else every)

    def take_notes(self) -> Counter[str]:
        notes, self.notes = self.notes, Counter()
        return notes
