"""Public collections as corpora to train on: WebNLG, Wikipedia introductions and Re-DocRED.

WebNLG comes with the facts that each text states, the introductions with table facts about their subjects: both are
aligned. Only the table facts of an introduction are annotated, so these documents are *partial*: without a call, a text
may still state a fact (see `vocab.encoding.encode`). Re-DocRED marks the mentions itself.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lamlam.annotate.align import Aligner
from lamlam.annotate.forms import spellings
from lamlam.corpus import Corpus, FactRecord, Probe
from lamlam.corpus.documents import read_documents
from lamlam.corpus.lines import Entry, read_entries
from lamlam.corpus.split import hold_out_documents, read_webnlg, split_by_subject
from lamlam.markup import AnnotatedDocument, Call

__all__ = [
    "annotated_introductions",
    "bare_name",
    "introduction_facts",
    "introductions_corpus",
    "opening_name",
    "other_names",
    "read_redocred",
    "read_redocred_mentions",
    "redocred_corpus",
    "webnlg_corpus",
]

_READ = 450  # characters of an introduction that are read at most
_LINKS = frozenset(
    ("of", "the", "and", "in", "on", "at", "for", "de", "la", "le", "du", "des", "von", "van", "der", "di", "&")
)
_BRACKETS = re.compile(r"\s+\([^()]*\)$")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_OPENING = re.compile(r"(?:(?:The|An?) )?(?P<name>[A-Z0-9][^,();:]{1,80}?)(?=,| \(| (?:is|was|are|were)\b)")


def webnlg_corpus(folder: str | Path, *, one_in: int = 8, seed: int = 0) -> Corpus:
    """Return the corpus of a folder's `train.jsonl` and `dev.jsonl`, with one subject in `one_in` held out by hash.

    Raises `InputError` for a file that is missing or cannot be read.
    """
    train, dev = (list(read_webnlg(Path(folder) / name)) for name in ("train.jsonl", "dev.jsonl"))
    aligner = Aligner()
    return split_by_subject(train, dev, annotate=aligner.annotate, spellings=spellings, one_in=one_in, seed=seed)


def introductions_corpus(folder: str | Path, *, documents: int | None = None, seed: int = 0) -> Corpus:
    """Return the corpus of a folder's `train` and `dev` documents and facts (`*.documents.jsonl.gz`,
    `*.facts.jsonl.gz`).

    Documents that state one of their facts are aligned with them, and cut after the sentence of the last call;
    `documents` of them are drawn by `seed` (None: all). `facts` are all facts of both parts, stated or not.
    `heldout["unseen"]` and the probes come from `dev`, whose entities have no text in `train`. Raises `InputError` for
    a file that is missing or cannot be read.
    """
    folder = Path(folder)
    facts = {part: list(introduction_facts(folder / f"{part}.facts.jsonl.gz")) for part in ("train", "dev")}
    texts = {part: _texts(folder, part, {fact.entity for fact, _ in facts[part]}) for part in facts}
    annotated = {part: list(_annotated(texts[part], facts[part])) for part in facts}
    train = sorted(annotated["train"], key=lambda document: document.id)
    if documents is not None and documents < len(train):
        train = random.Random(seed).sample(train, documents)
    everything = [fact for part in facts.values() for fact, _ in part]
    aliases = other_names({title: text for part in texts.values() for title, text in part.items()})
    records = [replace(fact, entity_aliases=aliases.get(fact.entity, ())) for fact in everything]
    return Corpus(train, {"unseen": annotated["dev"]}, records, list(_probes(annotated["dev"], everything)))


def annotated_introductions(folder: str | Path, most: int, seed: int = 0) -> list[AnnotatedDocument]:
    """Return `most` of the `train` documents that state one of their facts, drawn by `seed`; as above, but whole.

    Raises `InputError` for a file that is missing or cannot be read.
    """
    stated = _stated(introduction_facts(Path(folder) / "train.facts.jsonl.gz"))
    titles = random.Random(seed).sample(sorted(stated), min(most, len(stated)))
    texts = _texts(Path(folder), "train", set(titles))
    uses = Counter(fact.relation for own in stated.values() for fact in own)
    aligned = (_aligned(title, texts[title], stated[title], uses) for title in titles if title in texts)
    return [document for document in aligned if document is not None and document.calls]


def introduction_facts(path: str | Path) -> Iterator[tuple[FactRecord, bool]]:
    """Yield the facts of a file, each with whether the entity's own introduction states it. Raises `InputError`."""
    for entry in read_entries(path):
        entity, relation, value = (entry.text(field, empty=False) for field in ("entity", "relation", "value"))
        yield FactRecord(entity, relation, value), bool(entry.value.get("stated"))


def bare_name(title: str) -> str:
    """Return a title without the part in brackets that distinguishes namesakes."""
    return _BRACKETS.sub("", title)


def opening_name(title: str, text: str) -> str:
    """Return how a text that opens with its subject writes it ("Ray Charles Thielemann" for "R. C. Thielemann"), or
    "".
    """
    match = _OPENING.match(text)
    words = match["name"].split() if match else []
    is_name = 0 < len(words) <= 8 and all(word[0].isupper() or word[0].isdigit() or word in _LINKS for word in words)
    shared = {word for word in words if word[0].isupper()} & set(title.split())
    return match["name"] if match and is_name and shared else ""


def other_names(texts: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return by title the other names of its subject (without brackets, and as its text opens) that no other shares."""
    names = {title: {bare_name(title), opening_name(title, text)} - {title, ""} for title, text in texts.items()}
    uses = Counter(name for own in names.values() for name in own)
    return {
        title: tuple(sorted(name for name in own if uses[name] == 1 and name not in texts))
        for title, own in names.items()
    }


def _texts(folder: Path, part: str, titles: set[str]) -> dict[str, str]:
    documents = read_documents(folder / f"{part}.documents.jsonl.gz")
    return {document.title: document.text for document in documents if document.title in titles}


def _annotated(texts: Mapping[str, str], facts: Iterable[tuple[FactRecord, bool]]) -> Iterator[AnnotatedDocument]:
    stated = {title: own for title, own in _stated(facts).items() if title in texts}
    uses = Counter(fact.relation for own in stated.values() for fact in own)
    for title, own in stated.items():
        document = _aligned(title, _sentences(texts[title], _READ), own, uses)
        if document is not None and document.calls:
            yield _cut(document)


def _stated(facts: Iterable[tuple[FactRecord, bool]]) -> dict[str, list[FactRecord]]:
    """Return by entity the facts that its own introduction states."""
    stated: dict[str, list[FactRecord]] = defaultdict(list)
    for fact, is_stated in facts:
        if is_stated:
            stated[fact.entity].append(fact)
    return stated


def _aligned(title: str, text: str, facts: Sequence[FactRecord], uses: Mapping[str, int]) -> AnnotatedDocument | None:
    """Return the text with its facts; None if it never names its subject: only a name that it has can be copied."""
    names = (title, bare_name(title), opening_name(title, text))
    named = next((name for name in names if name and name in text), None)
    if named is None:
        return None
    calls = Aligner().annotate(text, [replace(fact, entity=named) for fact in facts], title).document.calls
    return AnnotatedDocument(title, text, _one_a_place(calls, uses), title)


def _one_a_place(calls: Iterable[Call], uses: Mapping[str, int]) -> tuple[Call, ...]:
    """Return for each place ("Province", "State/Province") the call of the most frequent relation."""
    chosen: dict[int, Call] = {}
    for call in calls:
        if call.at not in chosen or uses[call.relation] > uses[chosen[call.at].relation]:
            chosen[call.at] = call
    return tuple(chosen[at] for at in sorted(chosen))


def _sentences(text: str, most: int) -> str:
    """Return the first sentences of a text, at most `most` characters, but at least one sentence."""
    ends = [match.start() for match in _SENTENCE_END.finditer(text)] + [len(text)]
    return text[: max([end for end in ends if end <= most], default=ends[0])]


def _cut(document: AnnotatedDocument) -> AnnotatedDocument:
    """Return the document up to the end of the sentence with its last call."""
    last = max(call.at for call in document.calls)
    end = next((match.start() for match in _SENTENCE_END.finditer(document.text, last)), len(document.text))
    return replace(document, text=document.text[:end])


def _probes(documents: Iterable[AnnotatedDocument], facts: Iterable[FactRecord]) -> Iterator[Probe]:
    values: dict[tuple[str, str], list[str]] = defaultdict(list)
    for fact in facts:
        values[fact.entity, fact.relation].append(fact.value)
    for document in documents:
        for number, call in enumerate(document.calls):
            answers = (call.value, *values[document.title, call.relation])
            prompt = document.text[: call.at].rstrip()
            yield Probe(
                f"{document.id}-{number}", prompt, call.entity, call.relation, tuple(dict.fromkeys(answers)), "unseen"
            )


@dataclass(frozen=True, slots=True)
class _RedocredEntity:
    name: str
    mentions: tuple[tuple[int, int], ...]


def redocred_corpus(path: str | Path, *, heldout_every: int = 20) -> Corpus:
    """Return the documents of a JSON Lines file with calls, every `heldout_every`-th held out. Raises `InputError`."""
    return hold_out_documents(list(read_redocred(path)), every=heldout_every)


def read_redocred(path: str | Path) -> Iterator[AnnotatedDocument]:
    """Yield the documents of a JSON Lines file of `{"title", "text", "entities", "triples"}`. Raises `InputError`.

    A triple says that a text states a fact, not where. A pair of entities has at most one call, at the tail's first
    mention after the head's; of a relation and its inverse the one that comes first in the text. A place has at most
    one call, that of the head mentioned most.
    """
    return (document for document, _ in read_redocred_mentions(path))


def read_redocred_mentions(path: str | Path) -> Iterator[tuple[AnnotatedDocument, list[tuple[int, int]]]]:
    """Yield the same documents, each with the mentions of tails behind a head's: where a fact may be stated.

    Raises `InputError`.
    """
    for entry in read_entries(path):
        yield _document(entry)


def _document(entry: Entry) -> tuple[AnnotatedDocument, list[tuple[int, int]]]:
    title, text = entry.text("title", empty=False), entry.text("text", empty=False)
    entities = [_entity(one) for one in entry.entries("entities")]
    chosen: dict[int, tuple[int, Call]] = {}
    pairs: set[frozenset[int]] = set()
    stated: set[tuple[int, int]] = set()
    for head, tail, relation in _triples(entry, len(entities)):
        known_from = min(end for _, end in entities[head].mentions)
        later = [span for span in entities[tail].mentions if span[0] >= known_from]
        stated.update(later)
        at = min((start for start, _ in later), default=None)
        if at is None or frozenset((head, tail)) in pairs:
            continue
        pairs.add(frozenset((head, tail)))
        weight = len(entities[head].mentions) + 10 * (entities[head].name == title)
        if at not in chosen or weight > chosen[at][0]:
            chosen[at] = weight, Call(_written(text, entities[head]), relation, entities[tail].name, at)
    document = AnnotatedDocument(title, text, tuple(chosen[at][1] for at in sorted(chosen)), title)
    return document, sorted(stated)


def _entity(entry: Entry) -> _RedocredEntity:
    spans = entry.value.get("mentions")
    if not isinstance(spans, list) or not spans or not all(_is_span(span) for span in spans):
        raise entry.error("must be a list of [start, end]", "mentions")
    return _RedocredEntity(entry.text("name", empty=False), tuple(sorted((start, end) for start, end in spans)))


def _is_span(span: object) -> bool:
    return isinstance(span, list) and len(span) == 2 and all(isinstance(place, int) for place in span)


def _triples(entry: Entry, entities: int) -> Iterator[tuple[int, int, str]]:
    for one in entry.entries("triples"):
        head, tail = one.number("head", least=0), one.number("tail", least=0)
        if max(head, tail) >= entities:
            raise one.error(f"there are {entities} entities", "head" if head >= entities else "tail")
        if head != tail:
            yield head, tail, one.text("relation", empty=False)


def _written(text: str, entity: _RedocredEntity) -> str:
    """Return the entity as the text first writes it, which a model can copy."""
    start, end = entity.mentions[0]
    return " ".join(text[start:end].split())
