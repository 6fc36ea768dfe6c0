"""What an annotator is, and the annotators by name.

An annotator puts lookup calls into a plain text and leaves the text alone. Each is imported when it is made: some need
large libraries.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Protocol, runtime_checkable

from lamlam.annotate.shards import Shard
from lamlam.corpus import FactRecord
from lamlam.errors import InputError
from lamlam.markup import AnnotatedDocument

__all__ = [
    "ANNOTATORS",
    "Annotator",
    "AnnotatorKind",
    "AnnotatorOptions",
    "BringsFacts",
    "TakesNotes",
    "make_annotator",
]


class Annotator(Protocol):
    """Annotates documents; texts come back byte for byte, and earlier calls are replaced."""

    @property
    def name(self) -> str:
        """The name on the command line."""
        ...

    @property
    def settings(self) -> Mapping[str, object]:
        """Everything that determines the output, as JSON: settings, and digests of models and facts."""
        ...

    def annotate(self, document: AnnotatedDocument) -> AnnotatedDocument:
        """Return the document with calls."""
        ...

    def annotate_many(self, documents: Iterable[AnnotatedDocument]) -> Iterator[AnnotatedDocument]:
        """Yield the documents with calls, in order; some annotators are faster with several at a time."""
        ...


@runtime_checkable
class TakesNotes(Protocol):
    """An annotator that counts what happens, such as facts without a place or calls that it dropped."""

    def take_notes(self) -> Counter[str]:
        """Return the counts since the last call, by name."""
        ...


@runtime_checkable
class BringsFacts(Protocol):
    """An annotator that is given facts; they go into the knowledge base whether or not a text states them."""

    facts: Sequence[FactRecord] | None

    def brought(self, document: AnnotatedDocument) -> Sequence[FactRecord]:
        """Return the facts that a document, before it is annotated, is known to state."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorOptions:
    """A user's options for an annotator; None if not given. `settings` are those without an option of their own."""

    facts: Path | None = None
    model: str | None = None
    server: str | None = None
    cache: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnnotatorKind:
    """An annotator: what it does, the options it takes, and how it is made from them and the shards to come."""

    help: str
    takes: frozenset[str]
    make: Callable[[AnnotatorOptions, Sequence[Shard]], Annotator]


def make_annotator(name: str, options: AnnotatorOptions, shards: Sequence[Shard]) -> Annotator:
    """Make the annotator called `name`. Raises `InputError` for an unknown name or an option that it doesn't take."""
    if name not in ANNOTATORS:
        raise InputError(f"unknown annotator '{name}'; choose from {', '.join(ANNOTATORS)}", field="with")
    kind = ANNOTATORS[name]
    given = [option.name for option in fields(options) if getattr(options, option.name)]
    if unknown := [option for option in given if option not in kind.takes]:
        raise InputError(f"{name} takes no --{unknown[0].replace('settings', 'set')}", field=unknown[0])
    return kind.make(options, shards)


def _align(options: AnnotatorOptions, shards: Sequence[Shard]) -> Annotator:
    from lamlam.annotate.align import AlignAnnotator

    if options.facts is None and not next(shards[0].read()).calls:
        reason = "does not say what its texts state, so a file of facts is needed"
        raise InputError(reason, path=shards[0].source)
    return AlignAnnotator.of_file(options.facts)


def _chat(options: AnnotatorOptions, shards: Sequence[Shard]) -> Annotator:
    from lamlam.annotate.chat.annotator import open_chat

    model = _model(options, "chat needs --model, the model's name on the server")
    return open_chat(model, options.server, options.cache, options.settings)


def _causal(options: AnnotatorOptions, shards: Sequence[Shard]) -> Annotator:
    from lamlam.annotate.causal.annotator import open_causal

    model = _model(options, "causal needs --model, the folder of a model that was trained to annotate")
    return open_causal(model, options.settings)


def _tagger(options: AnnotatorOptions, shards: Sequence[Shard]) -> Annotator:
    from lamlam.annotate.tagger.folder import OpenSettings
    from lamlam.annotate.tagger.tagger import Tagger
    from lamlam.checked import checked

    model = _model(options, "tagger needs --model, the folder of a trained tagger")
    return Tagger.open(model, checked(OpenSettings, options.settings))


def _model(options: AnnotatorOptions, reason: str) -> str:
    if options.model is None:
        raise InputError(reason, field="model")
    return options.model


ANNOTATORS: Mapping[str, AnnotatorKind] = {
    "align": AnnotatorKind("place known facts where a text states them", frozenset({"facts"}), _align),
    "tagger": AnnotatorKind("mark values, their entities and relations", frozenset({"model", "settings"}), _tagger),
    "chat": AnnotatorKind("ask a chat model", frozenset({"model", "server", "cache", "settings"}), _chat),
    "causal": AnnotatorKind("let a small fine-tuned model place calls", frozenset({"model", "settings"}), _causal),
}
