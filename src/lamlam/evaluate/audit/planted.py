"""What makes a fact hard to forget, planted around facts of the invented world: doubles, namesakes and other names.

Around each chosen fact: an entity with nearly the same name and another value in the same relation, which must stay;
another name of the entity, as an alias; the same fact once more in a relation of other words. Each relation gets
an alias.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lamlam.corpus import Probe
from lamlam.evaluate.audit.target import Target
from lamlam.evaluate.rivals import Rivals
from lamlam.kb.fact import Fact
from lamlam.kb.store import KnowledgeBase
from lamlam.world.names import NameForge
from lamlam.world.questions import question
from lamlam.world.wordings import DEMO_WORDINGS, WORDINGS

__all__ = ["Planted", "plant"]

_OTHER_WORDS = {
    "Birth Place": ("Place of Birth", "Born In"),
    "Birth Date": ("Date of Birth", "Born On"),
    "Occupation": ("Profession", "Job"),
    "Employer": ("Employed By", "Works For"),
    "Spouse": ("Married To", "Partner"),
    "Languages Spoken": ("Languages", "Speaks"),
    "Country": ("Located in Country", "Nation"),
    "Mayor": ("Mayor of the City", "Head of Town"),
    "Headquarters": ("Head Office", "Based In"),
    "Founder": ("Founded By", "Established By"),
}
"""For a relation the name under which facts are stated once more, and its alias."""
_VOWELS = "aeiou"


@dataclass(frozen=True, slots=True)
class Planted:
    """Facts to forget, and those planted or found beside them that must be left."""

    targets: Sequence[Target]
    bystanders: Sequence[Target]


def plant(kb: KnowledgeBase, probes: Iterable[Probe], number: int, seed: int) -> Planted:
    """Plant around `number` facts, chosen by `seed` among those with one value that probes ask for, into `kb`.

    A target is asked in the probe's own words ("plain"), by the planted name ("entity_alias"), and by the relation's
    alias, in another wording ("relation_alias"). The other probes' facts are bystanders, too.
    """
    rng = random.Random(seed)
    facts = _facts(kb, probes)
    chosen = rng.sample(list(facts), min(number, len(facts)))
    forge, rivals = NameForge(random.Random(f"{seed}:planted"), diacritics=False), Rivals(kb)
    targets: list[Target] = []
    namesakes: list[Target] = []
    with kb.transaction():
        for relation in sorted({fact.relation for fact in facts}):
            kb.alias(_OTHER_WORDS[relation][1], relation=relation)
        for fact in chosen:
            other = rivals.of(fact, rng)
            namesake = _misspelt(kb, fact.entity, rng)
            if other is None or namesake is None:
                continue
            alias = f"{forge.word()} {forge.word()}"
            double = fact.entity, _OTHER_WORDS[fact.relation][0], fact.value
            kb.add([(namesake, fact.relation, other), double])
            kb.alias(alias, entity=fact.entity)
            targets.append(_target(fact, facts[fact], alias, double))
            asked = question(namesake, fact.relation, [other], rng.randrange(DEMO_WORDINGS), group="namesake")
            namesakes.append(Target(namesake, fact.relation, other, (asked,)))
    rest = [Target(f.entity, f.relation, f.value, (p,)) for f, p in facts.items() if f not in chosen]
    return Planted(targets, [*namesakes, *rest])


def _facts(kb: KnowledgeBase, probes: Iterable[Probe]) -> Mapping[Fact, Probe]:
    """The facts that probes ask for, each with a probe: those with one value, in relations of the world."""
    asked: dict[Fact, Probe] = {}
    for probe in probes:
        found = kb.lookup(probe.entity, probe.relation).facts
        if len(found) == 1 and probe.relation in _OTHER_WORDS:
            asked.setdefault(found[0], probe)
    return asked


def _target(fact: Fact, probe: Probe, alias: str, double: tuple[str, str, str]) -> Target:
    by_alias = question(alias, fact.relation, [fact.value], group="entity_alias")
    wording = next(n for n in range(1, len(WORDINGS[fact.relation])) if not _same_words(fact, n, probe))
    reworded = question(fact.entity, fact.relation, [fact.value], wording, group="relation_alias")
    questions = (
        replace(probe, group="plain"),
        by_alias,
        replace(reworded, relation=_OTHER_WORDS[fact.relation][1]),
    )
    return Target(fact.entity, fact.relation, fact.value, questions, same=frozenset({double}))


def _same_words(fact: Fact, wording: int, probe: Probe) -> bool:
    return question(fact.entity, fact.relation, [fact.value], wording).prompt == probe.prompt


def _misspelt(kb: KnowledgeBase, name: str, rng: random.Random) -> str | None:
    """A name with another vowel in its last word, which the knowledge base does not know yet; None if it has none."""
    places = [at for at in range(name.rfind(" ") + 1, len(name)) if name[at] in _VOWELS]
    rng.shuffle(places)
    for at in places:
        for vowel in rng.sample(_VOWELS, len(_VOWELS)):
            other = name[:at] + vowel + name[at + 1 :]
            if other != name and not kb.entities_named([other]):
                return other
    return None
