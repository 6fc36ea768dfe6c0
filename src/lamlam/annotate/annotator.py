"""What an annotator is: whatever puts lookup calls into a plain text and leaves the text alone.

`align`, `tagger`, `chat` and `causal` are annotators; scoring, cleaning and whole corpora know them by this alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from lamlam.markup import AnnotatedDocument

__all__ = ["Annotator"]


class Annotator(Protocol):
    """Annotates documents; their texts come back byte for byte, calls that they had already are replaced."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        ...

    @property
    def settings(self) -> Mapping[str, object]:
        """All that decides what it writes, as JSON holds it: settings, and digests of models and facts."""
        ...

    def annotate(self, document: AnnotatedDocument) -> AnnotatedDocument:
        """The document with calls."""
        ...

    def annotate_many(self, documents: Iterable[AnnotatedDocument]) -> Iterator[AnnotatedDocument]:
        """The documents with calls, in order; some annotators are faster with several at a time."""
        ...
