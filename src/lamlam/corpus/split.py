"""Splits a collection into training documents, held-out documents and probes; reads WebNLG.

`split_by_subject` holds out one subject in so many, by hash: it occurs in no training text, neither as a subject nor by
name, and can only be looked up. `hold_out_documents` holds out every so many documents. Where a text states its facts
and how else a value may be written is passed in.
"""

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from lamlam.corpus.corpus import Corpus, FactRecord, Probe
from lamlam.corpus.lines import Entry, read_entries
from lamlam.errors import InputError
from lamlam.markup import AnnotatedDocument
from lamlam.text import plain_words, readable, spaced

__all__ = [
    "NameSearch",
    "StatedDocument",
    "hold_out_documents",
    "is_held_out",
    "read_webnlg",
    "split_by_subject",
    "stated_document",
]

_MOST_PROBES = 600


@dataclass(frozen=True, slots=True)
class StatedDocument:
    """A text and the facts that it is known to state, without their places."""

    id: str
    text: str
    facts: tuple[FactRecord, ...]
    category: str = ""

    @property
    def subjects(self) -> set[str]:
        return {fact.entity for fact in self.facts}


def read_webnlg(path: str | Path) -> Iterator[StatedDocument]:
    """Yield the texts of a JSON Lines file of `{"category", "triples", "text"}`, as "<file's stem>-<line>".

    Relations become readable words: "cityServed" is read as "city served". The category may be missing.
    Raises `InputError` with the line and field for a file that cannot be read so.
    """
    return (stated_document(entry) for entry in read_entries(path))


def stated_document(entry: Entry) -> StatedDocument:
    """Return the text of one object, and the facts that it states. Raises `InputError`."""
    rows = entry.value.get("triples")
    if not isinstance(rows, list):
        raise entry.error("must be a list of [entity, relation, value]", "triples")
    facts = dict.fromkeys(_fact(entry, f"triples[{place}]", row) for place, row in enumerate(rows))
    category = entry.text("category") if entry.has("category") else ""
    return StatedDocument(f"{entry.path.stem}-{entry.line}", entry.text("text", empty=False), tuple(facts), category)


def _fact(entry: Entry, field: str, row: Any) -> FactRecord:
    parts = Entry({field: row}, entry.path, entry.line).texts(field)
    if len(parts) != 3 or not all(part.strip() for part in parts):
        raise entry.error("must be [entity, relation, value], none of them empty", field)
    entity, relation, value = parts
    return FactRecord(spaced(entity), readable(relation), spaced(value))


class _Annotated(Protocol):
    @property
    def document(self) -> AnnotatedDocument: ...

    @property
    def placed(self) -> list[FactRecord]: ...


def split_by_subject(
    documents: Sequence[StatedDocument],
    dev: Sequence[StatedDocument],
    *,
    annotate: Callable[[str, Sequence[FactRecord], str], _Annotated],
    spellings: Callable[[str], Iterable[str]],
    one_in: int = 8,
    seed: int = 0,
) -> Corpus:
    """Return the corpus of `documents` and `dev` with one subject in `one_in` held out.

    `train` are the documents that never mention a held-out subject; `heldout["seen"]` the texts of `dev` that don't
    either and whose subjects are all in `train`; `heldout["unseen"]` all texts about a held-out subject. `facts` are
    all facts, once for every place where a text states them. Probes end where a text states a fact after naming its
    entity: at most 600 per group, drawn by `seed`. Raises `InputError` if nothing is left to train on.
    """
    if one_in < 2:
        raise InputError(f"must be at least 2, not {one_in}", field="one_in")
    every = [*documents, *dev]
    held = {subject for document in every for subject in document.subjects if is_held_out(subject, one_in, seed)}
    names = NameSearch(spelling for subject in sorted(held) for spelling in (subject, *spellings(subject)))
    clean = {document.id for document in every if not _mentions(document, held, names)}
    train = [document for document in documents if document.id in clean]
    known = {subject for document in train for subject in document.subjects}
    seen = [document for document in dev if document.id in clean and document.subjects <= known]
    unseen = [document for document in every if document.subjects & held]
    if not train:
        raise InputError(f"no text is left to train on with one subject in {one_in} held out")

    annotated = {document.id: annotate(document.text, document.facts, document.id) for document in every}
    probes = _Probes(every, train, spellings, seed)
    return Corpus(
        train=[annotated[document.id].document for document in train],
        heldout={
            "seen": [annotated[document.id].document for document in seen],
            "unseen": [annotated[document.id].document for document in unseen],
        },
        facts=_facts_with_places(every, annotated),
        probes=[
            *probes.group("seen", (annotated[document.id] for document in seen), known),
            *probes.group("unseen", (annotated[document.id] for document in unseen), held),
        ],
    )


def is_held_out(subject: str, one_in: int, seed: int) -> bool:
    """Return whether the hash of a subject under a seed is among the one in `one_in` held out."""
    return int(hashlib.sha256(f"{seed}:{subject}".encode()).hexdigest(), 16) % one_in == 0


class NameSearch:
    """Finds whether a text contains one of many names as whole words, whatever case, diacritics, punctuation or
    final s.
    """

    def __init__(self, names: Iterable[str]) -> None:
        plain = (tuple(_plain(name)) for name in names)
        self._names = {name for name in plain if name}
        self._sizes = sorted({len(name) for name in self._names})

    def found_in(self, text: str) -> bool:
        words = _plain(text)
        return any(
            tuple(words[first : first + size]) in self._names
            for size in self._sizes
            for first in range(len(words) - size + 1)
        )


def _plain(text: str) -> list[str]:
    return [word.key.removesuffix("s") or word.key for word in plain_words(text)]


def _mentions(document: StatedDocument, subjects: set[str], names: NameSearch) -> bool:
    values = {fact.value for fact in document.facts}
    return bool((document.subjects | values) & subjects) or names.found_in(document.text)


def _facts_with_places(documents: Iterable[StatedDocument], annotated: dict[str, _Annotated]) -> list[FactRecord]:
    """Return every fact with each of its places; a fact placed nowhere occurs once, without a source."""
    placed = [fact for document in documents for fact in annotated[document.id].placed]
    sourced = {_key(fact) for fact in placed}
    bare = dict.fromkeys(fact for document in documents for fact in document.facts if _key(fact) not in sourced)
    return placed + list(bare)


def _key(fact: FactRecord) -> tuple[str, str, str]:
    return fact.entity, fact.relation, fact.value


class _Probes:
    """Draws probes from annotated documents; knows every true value and how often training text states each fact."""

    def __init__(
        self,
        documents: Iterable[StatedDocument],
        train: Iterable[StatedDocument],
        spellings: Callable[[str], Iterable[str]],
        seed: int,
    ) -> None:
        self._values: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        for document in documents:
            for fact in document.facts:
                self._values[fact.entity, fact.relation][fact.value] = None
        self._stated = Counter(_key(fact) for document in train for fact in document.facts)
        self._spellings, self._seed = spellings, seed

    def group(self, name: str, annotated: Iterable[_Annotated], entities: set[str]) -> list[Probe]:
        """Draw at most 600 probes about `entities`, in the order of their texts."""
        found: dict[tuple[str, str, str], Probe] = {}
        for one in annotated:
            for fact in one.placed:
                prompt = one.document.text[: fact.start].rstrip()
                key = (fact.entity, fact.relation, prompt)
                if fact.entity in entities and key not in found:
                    written = one.document.text[fact.start : fact.end]
                    found[key] = self._probe(fact, prompt, written, name)
        chosen = sorted(random.Random(self._seed).sample(range(len(found)), min(_MOST_PROBES, len(found))))
        probes = list(found.values())
        return [replace(probes[place], id=f"{name}-{number}") for number, place in enumerate(chosen)]

    def _probe(self, fact: FactRecord, prompt: str, written: str, group: str) -> Probe:
        true = [fact.value, *self._values[fact.entity, fact.relation]]
        answers = dict.fromkeys([fact.value, written, *(form for value in true for form in self._spellings(value))])
        mentions = self._stated[_key(fact)]
        return Probe("", prompt, fact.entity, fact.relation, tuple(answers), group, mentions)


def hold_out_documents(documents: Sequence[AnnotatedDocument], *, every: int) -> Corpus:
    """Return the corpus of `documents` with each `every`-th one held out; calls become facts and, held out, probes.

    A probe is "seen" if its entity has a call in training. Raises `InputError` if nothing is left to train on.
    """
    train = [document for number, document in enumerate(documents) if number % every]
    heldout = [document for number, document in enumerate(documents) if not number % every]
    if not train:
        raise InputError("holds too few documents to hold one out and train on the rest")
    values: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for document in documents:
        for call in document.calls:
            values[call.entity, call.relation][call.value] = None
    stated = Counter((call.entity, call.relation) for document in train for call in document.calls)
    known = {entity for entity, _ in stated}
    probes = [
        Probe(
            id=f"{document.id}-{number}",
            prompt=document.text[: call.at].rstrip(),
            entity=call.entity,
            relation=call.relation,
            answers=tuple(values[call.entity, call.relation]),
            group="seen" if call.entity in known else "unseen",
            mentions=stated[call.entity, call.relation],
        )
        for document in heldout
        for number, call in enumerate(document.calls)
        if call.entity in document.text[: call.at]
    ]
    return Corpus(
        train, {"heldout": heldout}, [fact for document in documents for fact in _facts_of_calls(document)], probes
    )


def _facts_of_calls(document: AnnotatedDocument) -> list[FactRecord]:
    """Return a document's calls as facts, with the span of the value if the text continues with it."""
    facts = []
    for call in document.calls:
        end = call.at + len(call.value) if document.text.startswith(call.value, call.at) else call.at
        facts.append(FactRecord(call.entity, call.relation, call.value, document.id, call.at, end))
    return facts
