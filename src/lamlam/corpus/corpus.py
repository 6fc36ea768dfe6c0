"""What a run trains on and is measured by: annotated documents, facts, and prompts with known answers."""

from collections import defaultdict
from dataclasses import dataclass, field, replace

from lamlam.markup import AnnotatedDocument

__all__ = ["Corpus", "FactRecord", "Probe"]


@dataclass(frozen=True, slots=True)
class FactRecord:
    """A fact as a file states it, before a knowledge base gives it an identity.

    `document`, `start`, `end` are its source: a document's id and a character span in its text.
    """

    entity: str
    relation: str
    value: str
    document: str | None = None
    start: int | None = None
    end: int | None = None
    entity_aliases: tuple[str, ...] = ()
    relation_aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """A prompt that ends where a fact's value comes next, and every value that is true there.

    `entity` and `relation` are the right query. `group` is "seen" (the entity is in training text) or "unseen" (it is
    only in the knowledge base). `mentions` counts how often training text states the fact.
    """

    id: str
    prompt: str
    entity: str
    relation: str
    answers: tuple[str, ...]
    group: str
    mentions: int = 0


@dataclass(slots=True)
class Corpus:
    """Documents to train on, held-out documents by group ("seen", "unseen"), all facts, and probes."""

    train: list[AnnotatedDocument]
    heldout: dict[str, list[AnnotatedDocument]]
    facts: list[FactRecord]
    probes: list[Probe] = field(default_factory=list)

    def with_looked_up_values(self) -> "Corpus":
        """Return the corpus with each call's value as a lookup returns it: all values of its entity and relation.

        A text states one author of three; a lookup finds all three, and the model must learn to choose.
        """
        values: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        for fact in self.facts:
            values[fact.entity, fact.relation][fact.value] = None

        def look_up(document: AnnotatedDocument) -> AnnotatedDocument:
            calls = (
                replace(call, value=", ".join(values.get((call.entity, call.relation), {call.value: None})))
                for call in document.calls
            )
            return replace(document, calls=tuple(calls))

        heldout = {group: [look_up(document) for document in documents] for group, documents in self.heldout.items()}
        return replace(self, train=[look_up(document) for document in self.train], heldout=heldout)
