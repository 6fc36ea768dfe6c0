"""New knowledge: facts that are added after training, of entities and in relations that training text has or lacks.

They come from another invented world, of the same kind and with other names. Nothing is trained.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lamlam.corpus import Corpus, FactRecord, Probe
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.completion import CompletionResult, Generator, ProbeRecord, complete
from lamlam.evaluate.editing import EXAMPLES
from lamlam.evaluate.evaluation import Evaluation, Unfit
from lamlam.evaluate.results import Share, stated
from lamlam.evaluate.scratch import scratch_copy
from lamlam.kb.names import normalise
from lamlam.kb.store import KnowledgeBase
from lamlam.world import World, WorldSettings
from lamlam.world.questions import question
from lamlam.world.wordings import DEMO_WORDINGS

__all__ = [
    "GROUPS",
    "KNOWN",
    "LETTERS",
    "NEW",
    "SEEN",
    "NewKnowledgeResult",
    "add_and_ask",
    "new_facts",
    "new_knowledge_task",
]

SEEN, LETTERS, NEW, KNOWN = (
    "new_entity_seen_relation",
    "new_entity_new_letters",
    "new_entity_new_relation",
    "known_entity_new_relation",
)
GROUPS = (SEEN, LETTERS, NEW, KNOWN)
"""Of an entity that is new, in a relation of the training text; the same where entity or value has letters that this
text lacks; of a new entity in a relation that it lacks; and in such a relation of an entity that was known before."""
_OTHER_WORLD = 1_000_003  # added to a seed, so that no run's world is this one

Slot = tuple[str, str]


@dataclass(frozen=True, slots=True)
class NewFact:
    """What an entity has in a relation, and how it is asked about."""

    values: tuple[str, ...]
    probe: Probe

    def records(self) -> list[FactRecord]:
        return [FactRecord(self.probe.entity, self.probe.relation, value) for value in self.values]


@dataclass(frozen=True, slots=True)
class NewKnowledgeResult:
    """Answers before and after adding, of the same probes; `known` after, where calls may ask only for relations that
    the entity has. A standard model has those before alone: there is nothing that could be added to.

    before           right before the facts were added: by chance, or because they were known after all
    after            right after
    after_known      right after, with calls kept to relations that the entity has
    returned         after, the first call's lookup returned an answer, whatever was made of it
    returned_known   the same, with calls kept to such relations
    """

    before: CompletionResult
    after: CompletionResult | None = None
    known: CompletionResult | None = None
    task: str = "new_knowledge"

    def shares(self, group: str) -> dict[str, Share]:
        shares = {"before": _share(self.before, group, lambda record: record.right)}
        if self.after is not None and self.known is not None:
            shares |= {
                "after": _share(self.after, group, lambda record: record.right),
                "after_known": _share(self.known, group, lambda record: record.right),
                "returned": _share(self.after, group, lambda record: record.returned),
                "returned_known": _share(self.known, group, lambda record: record.returned),
            }
        return shares

    def figures(self) -> dict[str, Any]:
        """By group; the examples are those that are wrong after adding first."""
        return {group: stated(self.shares(group)) | {"examples": self._examples(group)} for group in GROUPS}

    def _examples(self, group: str) -> list[dict[str, Any]]:
        last = [record for record in (self.after or self.before).records if record.probe.group == group]
        last.sort(key=lambda record: record.right)
        return [
            {"prompt": record.probe.prompt, "answer": record.probe.answers[0], "said": record.statement.strip()}
            | {"query": list(record.query or ()), "status": record.status}
            for record in last[:EXAMPLES]
        ]


def new_knowledge_task(evaluation: Evaluation) -> dict[str, NewKnowledgeResult]:
    with scratch_copy(evaluation.kb_path) as kb:
        facts = new_facts(kb, evaluation.corpus, evaluation.size(300, 40), evaluation.seed)
        engine = evaluation.engine_on(kb)
        if evaluation.arm == "standard":
            asked = [fact.probe for fact in facts]
            return {"new_knowledge": NewKnowledgeResult(complete(engine, asked, evaluation.settings_off))}
        return {"new_knowledge": add_and_ask(kb, engine, facts, evaluation.settings)}


def add_and_ask(
    kb: KnowledgeBase, engine: Generator, facts: Sequence[NewFact], settings: DecodingSettings
) -> NewKnowledgeResult:
    """Ask about facts, add them to `kb`, and ask again, once with calls kept to relations that the entity has."""
    probes = [fact.probe for fact in facts]
    before = complete(engine, probes, settings)
    kb.add([record for fact in facts for record in fact.records()])
    known = settings.model_copy(update={"relations": "known"})
    return NewKnowledgeResult(before, complete(engine, probes, settings), complete(engine, probes, known))


def new_facts(kb: KnowledgeBase, corpus: Corpus, each: int, seed: int) -> list[NewFact]:
    """At most `each` facts of every group, drawn by `seed` from a full world of another seed.

    Entities whose names `kb` knows already are left out. New facts of known entities are those of an entity of the
    same kind. Raises `Unfit` where there is nothing new to ask.
    """
    rng = random.Random(seed)
    seen = {normalise(call.relation) for document in corpus.train for call in document.calls}
    letters = {letter for document in corpus.train for letter in document.text}
    slots = _slots(World(WorldSettings(people=max(60, each), seed=seed + _OTHER_WORLD, size="full")).corpus().facts)
    held = kb.entities_named(list({entity for entity, _ in slots}))
    slots = {slot: values for slot, values in slots.items() if slot[0] not in held}
    by_group: dict[str, list[Slot]] = {group: [] for group in GROUPS}
    for slot, values in slots.items():
        plain = letters.issuperset("".join((slot[0], *values)))
        group = NEW if normalise(slot[1]) not in seen else SEEN if plain else LETTERS
        by_group[group].append(slot)
    facts = [
        NewFact(slots[slot], question(*slot, slots[slot], rng.randrange(DEMO_WORDINGS), group=group))
        for group, new in by_group.items()
        for slot in rng.sample(new, min(each, len(new)))
    ]
    facts += _of_known_entities(kb, by_group[NEW], slots, each, rng)
    if not facts:
        raise Unfit("there is nothing new to add: every name of another world is known already")
    return facts


def _of_known_entities(
    kb: KnowledgeBase, new: Sequence[Slot], slots: Mapping[Slot, tuple[str, ...]], each: int, rng: random.Random
) -> list[NewFact]:
    """Facts in relations that training lacks, given to entities that have what the new ones have besides."""
    owners: dict[str, list[str]] = {}
    taken: set[Slot] = set()
    facts: list[NewFact] = []
    for entity, relation in rng.sample(new, len(new)):
        if len(facts) == each:
            break
        beside = next((r for (e, r) in slots if e == entity and kb.relation_spellings(r)), None)
        if beside is None:
            continue
        if beside not in owners:
            owners[beside] = sorted({fact.entity for fact in kb.facts(relation=beside)})
        owner = rng.choice(owners[beside])
        if (owner, relation) not in taken and not kb.lookup(owner, relation).found:
            taken.add((owner, relation))
            values = slots[entity, relation]
            asked = question(owner, relation, values, rng.randrange(DEMO_WORDINGS), group=KNOWN)
            facts.append(NewFact(values, asked))
    return facts


def _slots(facts: Iterable[FactRecord]) -> dict[Slot, tuple[str, ...]]:
    values: dict[Slot, list[str]] = defaultdict(list)
    for fact in facts:
        values[fact.entity, fact.relation].append(fact.value)
    return {slot: tuple(some) for slot, some in values.items()}


def _share(result: CompletionResult, group: str, hit: Callable[[ProbeRecord], bool]) -> Share:
    return Share.of([hit(record) for record in result.records if record.probe.group == group])
