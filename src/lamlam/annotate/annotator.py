"""What an annotator is, and the annotators by name.

An annotator puts lookup calls into a plain text and leaves the text alone. Each is imported when it is made: some need
large libraries.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Protocol

from lamlam.annotate.shards import Shard
from lamlam.errors import InputError
from lamlam.markup import AnnotatedDocument

__all__ = ["ANNOTATORS", "Annotator", "AnnotatorKind", "AnnotatorOptions", "make_annotator"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorOptions:
    """What a user may say of an annotator; None is not said. `settings` are those that have no option of their own."""

    facts: Path | None = None
    model: str | None = None
    server: str | None = None
    cache: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnnotatorKind:
    """An annotator: what it is, the options that it takes, and how it is made of them and of the shards to come."""

    help: str
    takes: frozenset[str]
    make: Callable[[AnnotatorOptions, Sequence[Shard]], Annotator]


def make_annotator(name: str, options: AnnotatorOptions, shards: Sequence[Shard]) -> Annotator:
    """The annotator of a name. Raises `InputError` where there is none, or an option is given that it does not take."""
    if name not in ANNOTATORS:
        raise InputError(f"there is no annotator '{name}': choose among {', '.join(ANNOTATORS)}", field="with")
    kind = ANNOTATORS[name]
    given = [each.name for each in fields(options) if getattr(options, each.name)]
    if beyond := [option for option in given if option not in kind.takes]:
        raise InputError(f"{name} takes no --{beyond[0].replace('settings', 'set')}", field=beyond[0])
    return kind.make(options, shards)


def _align(options: AnnotatorOptions, shards: Sequence[Shard]) -> Annotator:
    from lamlam.annotate.align import AlignAnnotator

    if options.facts is None and not next(shards[0].read()).calls:
        reason = "does not say what its texts state, so a file of facts is needed"
        raise InputError(reason, path=shards[0].source)
    return AlignAnnotator.of_file(options.facts)


def _chat(options: AnnotatorOptions, shards: Sequence[Shard]) -> Annotator:
    from lamlam.annotate.chat.annotator import open_chat

    if options.model is None:
        raise InputError("chat needs --model, the model's name on the server", field="model")
    return open_chat(options.model, options.server, options.cache, options.settings)


def _causal(options: AnnotatorOptions, shards: Sequence[Shard]) -> Annotator:
    from lamlam.annotate.causal.annotator import open_causal

    if options.model is None:
        raise InputError("causal needs --model, the folder of a model that was taught to annotate", field="model")
    return open_causal(options.model, options.settings)


def _tagger(options: AnnotatorOptions, shards: Sequence[Shard]) -> Annotator:
    from lamlam.annotate.tagger.folder import OpenSettings
    from lamlam.annotate.tagger.tagger import Tagger
    from lamlam.checked import checked

    if options.model is None:
        raise InputError("tagger needs the folder of a trained one: --model", field="model")
    return Tagger.open(options.model, checked(OpenSettings, options.settings))


ANNOTATORS: Mapping[str, AnnotatorKind] = {
    "align": AnnotatorKind("place known facts where a text states them", frozenset({"facts"}), _align),
    "tagger": AnnotatorKind("mark values, their entities and relations", frozenset({"model", "settings"}), _tagger),
    "chat": AnnotatorKind("ask a chat model", frozenset({"model", "server", "cache", "settings"}), _chat),
    "causal": AnnotatorKind("let a fine-tuned causal model copy the text", frozenset({"model", "settings"}), _causal),
}
