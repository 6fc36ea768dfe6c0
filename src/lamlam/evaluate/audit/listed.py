"""Facts that a user lists, as an audit forgets them: with questions, and with others that must stay."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

from lamlam.corpus import FactRecord, Probe
from lamlam.errors import InputError
from lamlam.evaluate.audit.target import Target
from lamlam.kb.fact import Fact
from lamlam.kb.names import normalise
from lamlam.kb.store import KnowledgeBase
from lamlam.world.questions import answers_of, prompts
from lamlam.world.wordings import DEMO_WORDINGS

__all__ = ["listed_bystanders", "listed_targets"]

_BESIDE = 50


def listed_targets(kb: KnowledgeBase, records: Iterable[FactRecord], probes: Iterable[Probe]) -> list[Target]:
    """The facts of `records`, each asked by the `probes` that there are for it ("probe") and in plain words.

    These are the invented world's, where it has the relation ("wording"), and else "The birth place of Ada is"
    ("plain"). With the other names of the entity that a record gives, it is asked for as well ("alias"). Raises
    `InputError` for a fact that `kb` does not hold.
    """
    known: dict[tuple[str, str], list[Probe]] = defaultdict(list)
    for probe in probes:
        known[normalise(probe.entity), normalise(probe.relation)].append(replace(probe, group="probe"))
    return [_target(_held(kb, record), record.entity_aliases, known) for record in dict.fromkeys(records)]


def listed_bystanders(kb: KnowledgeBase, targets: Iterable[Target]) -> list[Target]:
    """Facts that share the entity or the relation with one of the targets: the first of each in `kb`."""
    listed = {target.proposition for target in targets}
    beside: dict[int, Fact] = {}
    for entity, relation, _ in listed:
        for fact in chain(islice(kb.facts(entity), _BESIDE), islice(kb.facts(relation=relation), _BESIDE)):
            beside[fact.id] = fact
    facts = [fact for fact in beside.values() if (fact.entity, fact.relation, fact.value) not in listed]
    return [Target(f.entity, f.relation, f.value, tuple(_worded(f, _values(kb, f)))[:1]) for f in facts]


def _held(kb: KnowledgeBase, record: FactRecord) -> Fact:
    facts = kb.lookup(record.entity, record.relation).facts
    fact = next((fact for fact in facts if normalise(fact.value) == normalise(record.value)), None)
    if fact is None:
        raise InputError(f"the knowledge base does not hold {record.entity}, {record.relation}: {record.value}")
    return fact


def _target(fact: Fact, aliases: Sequence[str], known: dict[tuple[str, str], list[Probe]]) -> Target:
    """Right is the fact's own value alone: where there are others, these are not forgotten with it."""
    right = (fact.value,)
    probes = known[normalise(fact.entity), normalise(fact.relation)]
    by_alias = [
        replace(probe, id=f"{probe.id}|{alias}", group="alias", entity=alias)
        for alias in aliases
        for probe in islice(_worded(replace(fact, entity=alias), right), 1)
    ]
    asked = (*(replace(probe, answers=right) for probe in probes), *_worded(fact, right), *by_alias)
    return Target(fact.entity, fact.relation, fact.value, asked)


def _worded(fact: Fact, answers: Sequence[str]) -> Iterator[Probe]:
    """The fact in the world's first wordings, or in the plainest one."""
    worded = prompts(fact.entity, fact.relation)[:DEMO_WORDINGS]
    group = "wording" if worded else "plain"
    for number, prompt in enumerate(worded or [f"The {fact.relation.lower()} of {fact.entity} is"]):
        name = f"{fact.id}|{fact.entity}|{number}"
        yield Probe(name, prompt, fact.entity, fact.relation, tuple(answers), group)


def _values(kb: KnowledgeBase, fact: Fact) -> tuple[str, ...]:
    return answers_of([other.value for other in kb.lookup(fact.entity, fact.relation).facts] or [fact.value])
