"""Holds documents out of an annotated collection whose facts stand in its calls alone."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from lamlam.corpus.corpus import Corpus, FactRecord, Probe
from lamlam.errors import InputError
from lamlam.markup import AnnotatedDocument

__all__ = ["hold_out_documents"]


def hold_out_documents(documents: Sequence[AnnotatedDocument], *, every: int) -> Corpus:
    """The corpus of `documents` with each `every`-th one held out; its calls are the facts and, held out, the probes.

    A probe is "seen" when its entity has a call in training. Raises `InputError` when nothing is left to train on.
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
    return Corpus(train, {"heldout": heldout}, [fact for document in documents for fact in _facts(document)], probes)


def _facts(document: AnnotatedDocument) -> list[FactRecord]:
    """A document's calls as facts, with the span of the value where the text goes on with it."""
    facts = []
    for call in document.calls:
        end = call.at + len(call.value) if document.text.startswith(call.value, call.at) else call.at
        facts.append(FactRecord(call.entity, call.relation, call.value, document.id, call.at, end))
    return facts
