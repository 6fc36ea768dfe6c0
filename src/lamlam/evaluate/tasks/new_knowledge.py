"""New knowledge: facts that are added after training, about entities and in relations that training text has or lacks.

They come from another invented world, of the same kind and with other names. Nothing is trained.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lamlam.corpus import Corpus, FactRecord, Probe
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.completion import Completions, Generator, Row, complete
from lamlam.evaluate.evaluation import Evaluation, NotApplicable, scratch_copy, task
from lamlam.evaluate.results import EXAMPLES, Result, measure
from lamlam.kb.names import normalise
from lamlam.kb.store import KnowledgeBase
from lamlam.world import World, WorldSettings
from lamlam.world.wordings import DEMO_WORDINGS, question

__all__ = ["GROUPS", "KNOWN", "LETTERS", "NEW", "SEEN", "NewFact", "add_and_ask", "by_group", "new_facts"]

SEEN, LETTERS, NEW, KNOWN = (
    "new_entity_seen_relation",
    "new_entity_new_letters",
    "new_entity_new_relation",
    "known_entity_new_relation",
)
GROUPS = (SEEN, LETTERS, NEW, KNOWN)
"""A new entity in a relation of the training text; the same if entity or value has letters that this text lacks; a new
entity in a relation that it lacks; and an entity that was known before in such a relation."""
_OTHER_WORLD = 1_000_003  # added to a seed, so that no run's world is this one

_MEASURES: dict[str, Callable[[Row], bool]] = {
    "before": lambda row: row["full"].right,  # by chance, or because the fact was known after all
    "after": lambda row: row["added"].right,
    # With calls kept to relations that the entity has.
    "after_known": lambda row: row["added_known"].right,
    # The first call's lookup returned an answer, whatever was made of it.
    "returned": lambda row: row["added"].returned,
    "returned_known": lambda row: row["added_known"].returned,
}

_Slot = tuple[str, str]


@dataclass(frozen=True, slots=True)
class NewFact:
    """The values of an entity in a relation, and how they are asked for."""

    values: tuple[str, ...]
    probe: Probe

    def records(self) -> list[FactRecord]:
        return [FactRecord(self.probe.entity, self.probe.relation, value) for value in self.values]


@task("new_knowledge", "facts and entities added after training")
def new_knowledge(evaluation: Evaluation) -> Result:
    """An LMLM before and after facts are added; a standard model before alone, since nothing could be added to it."""
    with scratch_copy(evaluation.kb_path) as kb:
        facts = new_facts(kb, evaluation.corpus, evaluation.size(300, 40), evaluation.seed)
        engine = evaluation.engine_on(kb)
        if evaluation.arm == "standard":
            return by_group({"full": complete(engine, [fact.probe for fact in facts], evaluation.settings_off)})
        return add_and_ask(kb, engine, facts, evaluation.settings)


def add_and_ask(kb: KnowledgeBase, engine: Generator, facts: Sequence[NewFact], settings: DecodingSettings) -> Result:
    """Ask about facts, add them to `kb`, and ask again, once with calls kept to relations that the entity has."""
    probes = [fact.probe for fact in facts]
    before = complete(engine, probes, settings)
    kb.add([record for fact in facts for record in fact.records()])
    known = settings.model_copy(update={"relations": "known"})
    added, added_known = (complete(engine, probes, how) for how in (settings, known))
    return by_group({"full": before, "added": added, "added_known": added_known})


def by_group(states: Mapping[str, Completions]) -> Result:
    """The measures of each group of probes, from the answers in each state; wrong examples come first."""
    measures = _MEASURES if "added" in states else {"before": _MEASURES["before"]}
    answers = zip(*(completions.records for completions in states.values()), strict=True)
    rows = [Row(dict(zip(states, records, strict=True))) for records in answers]
    parts = {}
    for group in GROUPS:
        own = [row for row in rows if row.probe.group == group]
        last = sorted((row["added" if "added" in row else "full"] for row in own), key=lambda record: record.right)
        examples = [
            {
                "prompt": record.probe.prompt,
                "answer": record.probe.answers[0],
                "said": record.statement.strip(),
                "query": list(record.query or ()),
                "status": record.status,
            }
            for record in last[:EXAMPLES]
        ]
        parts[group] = Result("new_knowledge", measure(own, measures), examples=examples)
    return Result("new_knowledge", parts=parts, rows=rows)


def new_facts(kb: KnowledgeBase, corpus: Corpus, limit: int, seed: int) -> list[NewFact]:
    """Draw at most `limit` facts of every group by `seed` from a full world of another seed.

    Entities whose names `kb` knows already are left out. New facts of known entities are those of an entity of the
    same kind. Raises `NotApplicable` if there is nothing new to ask.
    """
    rng = random.Random(seed)
    seen = {normalise(call.relation) for document in corpus.train for call in document.calls}
    letters = {letter for document in corpus.train for letter in document.text}
    world = World(WorldSettings(people=max(60, limit), seed=seed + _OTHER_WORLD, size="full"))
    values: dict[_Slot, list[str]] = defaultdict(list)
    for fact in world.corpus().facts:
        values[fact.entity, fact.relation].append(fact.value)
    held = kb.entities_named(list({entity for entity, _ in values}))
    slots = {slot: tuple(some) for slot, some in values.items() if slot[0] not in held}
    grouped: dict[str, list[_Slot]] = {group: [] for group in GROUPS}
    for slot, some in slots.items():
        plain = letters.issuperset("".join((slot[0], *some)))
        grouped[NEW if normalise(slot[1]) not in seen else SEEN if plain else LETTERS].append(slot)
    facts = [
        NewFact(slots[slot], question(*slot, slots[slot], rng.randrange(DEMO_WORDINGS), group=group))
        for group, new in grouped.items()
        for slot in rng.sample(new, min(limit, len(new)))
    ]
    facts += _of_known_entities(kb, grouped[NEW], slots, limit, rng)
    if not facts:
        raise NotApplicable("there is nothing new to add: every name of another world is known already")
    return facts


def _of_known_entities(
    kb: KnowledgeBase, new: Sequence[_Slot], slots: Mapping[_Slot, tuple[str, ...]], limit: int, rng: random.Random
) -> list[NewFact]:
    """Facts in relations that training lacks, given to entities that share another relation with the new ones."""
    owners: dict[str, list[str]] = {}
    taken: set[_Slot] = set()
    facts: list[NewFact] = []
    for entity, relation in rng.sample(new, len(new)):
        if len(facts) == limit:
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
