"""Which facts evaluations change, and what is asked about each.

`counterfact` edits facts of the invented world (`EditPlan`); audits forget facts of that world (`plant`), facts that a
user lists, and the countries of LMLMAudit.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, product
from pathlib import Path
from typing import NamedTuple

from lamlam.corpus import FactRecord, Probe
from lamlam.corpus.lines import Entry, read_entries
from lamlam.errors import InputError
from lamlam.evaluate.answers import gives
from lamlam.evaluate.auditing import Proposition, Target
from lamlam.kb.fact import Fact
from lamlam.kb.files import import_file
from lamlam.kb.names import normalise
from lamlam.kb.store import KnowledgeBase
from lamlam.world.names import NameForge
from lamlam.world.wordings import DEMO_WORDINGS, WORDINGS, answers_of, prompts, question

__all__ = [
    "QUESTION_SETS",
    "VARIANTS",
    "Distractors",
    "Edit",
    "EditPlan",
    "EditQuestions",
    "Planted",
    "build_countries",
    "country_targets",
    "listed_bystanders",
    "listed_targets",
    "plant",
    "sampled",
]

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
_BESIDE = 50
_NEIGHBOURS = 3
_TRIES = 10

_POINTERS = "pointers"
VARIANTS = ("base", "alias", _POINTERS, "collision", "noise")
"""The databases of LMLMAudit: a hundred facts, and variants that make them hard to forget (arXiv 2607.00605).

`alias` states every fact twice, under other names of country and relation; `collision` adds relations with the same
values; `noise` adds entities with similar names and the same values. In `pointers` the other names of `alias` are
aliases of the knowledge base: they point to one fact.
"""
QUESTION_SETS = ("continuations", "cloze", "direct_questions", "paraphrased_questions")
_ASKED_AS = {_POINTERS: "alias"}


class Distractors:
    """Values that other entities have for the same relation. A relation's values are read once."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self._kb = kb
        self._values: dict[str, list[str]] = {}

    def of(self, fact: Fact, rng: random.Random) -> str | None:
        """Draw a value that can't be taken for the fact's own, nor the other way round; None if there is none."""
        if fact.relation not in self._values:
            self._values[fact.relation] = sorted({other.value for other in self._kb.facts(relation=fact.relation)})
        values = self._values[fact.relation]
        for _ in range(_TRIES):  # nearly every value will do, and there may be thousands
            if self._unlike(value := rng.choice(values), fact.value):
                return value
        others = [value for value in values if self._unlike(value, fact.value)]
        return rng.choice(others) if others else None

    @staticmethod
    def _unlike(new: str, old: str) -> bool:
        return not gives(new, [old]) and not gives(old, [new])


@dataclass(frozen=True, slots=True)
class Edit:
    """A fact, and the value that it is given."""

    fact: Fact
    new: str


@dataclass(frozen=True, slots=True)
class EditQuestions:
    """What is asked about an edit: in one wording, in the others, about neighbours, and onward about the new value.

    Neighbours are never edited. They have the same relation, and the old value if others have it. `onward` is a
    relation of the new value, None if nothing is known about that.
    """

    edit: Edit
    asked: Probe
    reworded: tuple[Probe, ...]
    neighbours: tuple[Probe, ...]
    onward: str | None

    def onward_probes(self, kb: KnowledgeBase) -> tuple[Probe, ...]:
        """A question about the new value, by itself and in the text that goes on about it; right is what holds now."""
        if self.onward is None:
            return ()
        entity = self.edit.new
        alone = question(entity, self.onward, kb.lookup(entity, self.onward).values)
        alone = replace(alone, id=f"{self.asked.id}|onward")
        text = f"{self.asked.prompt} {entity}. {alone.prompt}"
        return alone, replace(alone, id=f"{alone.id}|in text", prompt=text)


class EditPlan:
    """Up to `number` edits, in random order, of facts that have one value; a quarter of these is left alone.

    Everything is read before the first edit is made. `seed` draws facts, values and wordings.
    """

    def __init__(self, kb: KnowledgeBase, number: int, seed: int) -> None:
        self._kb, self._rng = kb, random.Random(seed)
        facts = [fact for fact in kb.facts() if prompts(fact.entity, fact.relation)]
        values = Counter((fact.entity, fact.relation) for fact in facts)
        single = [fact for fact in facts if values[fact.entity, fact.relation] == 1]
        self._rng.shuffle(single)
        most = len(single) * 3 // 4
        distractors = Distractors(kb)
        chosen = ((fact, distractors.of(fact, self._rng)) for fact in single[:most][:number])
        self.edits = [Edit(fact, new) for fact, new in chosen if new is not None]
        self._like: dict[tuple[str, str | None], list[Fact]] = defaultdict(list)
        for fact in single[most:]:
            self._like[fact.relation, fact.value].append(fact)
            self._like[fact.relation, None].append(fact)

    def sample(self, edits: Sequence[Edit], number: int) -> list[EditQuestions]:
        """The questions about at most `number` of these edits."""
        return [self._questions(edit) for edit in self._rng.sample(edits, min(number, len(edits)))]

    def _questions(self, edit: Edit) -> EditQuestions:
        fact, rng = edit.fact, self._rng
        wordings = range(len(prompts(fact.entity, fact.relation)))
        worded = [question(fact.entity, fact.relation, [fact.value], number) for number in wordings]
        asked = rng.randrange(min(DEMO_WORDINGS, len(worded)))
        alike = self._like[fact.relation, fact.value] or self._like[fact.relation, None]
        near = rng.sample(alike, min(_NEIGHBOURS, len(alike)))
        reworded = tuple(probe for number, probe in enumerate(worded) if number != asked)
        neighbours = tuple(question(n.entity, n.relation, [n.value], rng.randrange(DEMO_WORDINGS)) for n in near)
        relations = [relation for relation in self._kb.relations_of(edit.new) if prompts(edit.new, relation)]
        onward = rng.choice(relations) if relations else None
        return EditQuestions(edit, worded[asked], reworded, neighbours, onward)


class Planted(NamedTuple):
    """Facts to forget, and those planted or found beside them that must stay."""

    targets: list[Target]
    bystanders: list[Target]


def plant(kb: KnowledgeBase, probes: Iterable[Probe], number: int, seed: int) -> Planted:
    """Make `number` facts of the invented world hard to forget; they are chosen by `seed` among those of one value.

    Around each, `kb` gets an entity with nearly the same name and another value in the same relation, which must stay;
    an alias of the entity; and the same fact again in a relation of other words. Each relation gets an alias. A target
    is asked for in the probe's own words ("plain"), by the entity's alias ("entity_alias"), and by the relation's
    alias, in another wording ("relation_alias"). The facts of the other probes are bystanders, too.
    """
    rng = random.Random(seed)
    facts: dict[Fact, Probe] = {}
    for probe in probes:
        found = kb.lookup(probe.entity, probe.relation).facts
        if len(found) == 1 and probe.relation in _OTHER_WORDS:
            facts.setdefault(found[0], probe)
    chosen = rng.sample(list(facts), min(number, len(facts)))
    forge, distractors = NameForge(random.Random(f"{seed}:planted"), diacritics=False), Distractors(kb)
    targets: list[Target] = []
    namesakes: list[Target] = []
    with kb.transaction():
        for relation in sorted({fact.relation for fact in facts}):
            kb.alias(_OTHER_WORDS[relation][1], relation=relation)
        for fact in chosen:
            other = distractors.of(fact, rng)
            namesake = _misspelt(kb, fact.entity, rng)
            if other is None or namesake is None:
                continue
            alias = f"{forge.word()} {forge.word()}"
            double = fact.entity, _OTHER_WORDS[fact.relation][0], fact.value
            kb.add([(namesake, fact.relation, other), double])
            kb.alias(alias, entity=fact.entity)
            targets.append(_planted(fact, facts[fact], alias, double))
            asked = question(namesake, fact.relation, [other], rng.randrange(DEMO_WORDINGS), group="namesake")
            namesakes.append(Target(namesake, fact.relation, other, (asked,)))
    rest = [Target(f.entity, f.relation, f.value, (probe,)) for f, probe in facts.items() if f not in chosen]
    return Planted(targets, [*namesakes, *rest])


def _planted(fact: Fact, probe: Probe, alias: str, double: Proposition) -> Target:
    worded = (
        question(fact.entity, fact.relation, [fact.value], number, group="relation_alias")
        for number in range(1, len(WORDINGS[fact.relation]))
    )
    questions = (
        replace(probe, group="plain"),
        question(alias, fact.relation, [fact.value], group="entity_alias"),
        replace(
            next(reworded for reworded in worded if reworded.prompt != probe.prompt),
            relation=_OTHER_WORDS[fact.relation][1],
        ),
    )
    return Target(fact.entity, fact.relation, fact.value, questions, same=frozenset({double}))


def _misspelt(kb: KnowledgeBase, name: str, rng: random.Random) -> str | None:
    """A name with another vowel in its last word, which `kb` does not know yet; None if there is none."""
    places = [at for at in range(name.rfind(" ") + 1, len(name)) if name[at] in _VOWELS]
    rng.shuffle(places)
    for at in places:
        for vowel in rng.sample(_VOWELS, len(_VOWELS)):
            other = name[:at] + vowel + name[at + 1 :]
            if other != name and not kb.entities_named([other]):
                return other
    return None


def listed_targets(kb: KnowledgeBase, records: Iterable[FactRecord], probes: Iterable[Probe]) -> list[Target]:
    """The facts of `records`, each asked for by its `probes` ("probe") and in plain words.

    These are the invented world's if it has the relation ("wording"), else "The birth place of Ada is" ("plain"). A
    record's other names of the entity are asked for as well ("alias"). Raises `InputError` for a fact that `kb` does
    not hold.
    """
    known: dict[tuple[str, str], list[Probe]] = defaultdict(list)
    for probe in probes:
        known[normalise(probe.entity), normalise(probe.relation)].append(replace(probe, group="probe"))
    targets = []
    for record in dict.fromkeys(records):
        fact = _held(kb, record)
        right = (fact.value,)  # its own value alone: other values are not forgotten with it
        own = [replace(p, answers=right) for p in known[normalise(fact.entity), normalise(fact.relation)]]
        by_alias = [
            replace(probe, id=f"{probe.id}|{alias}", group="alias", entity=alias)
            for alias in record.entity_aliases
            for probe in islice(_worded(replace(fact, entity=alias), right), 1)
        ]
        questions = (*own, *_worded(fact, right), *by_alias)
        targets.append(Target(fact.entity, fact.relation, fact.value, questions))
    return targets


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


def _worded(fact: Fact, answers: Sequence[str]) -> Iterator[Probe]:
    """The fact in the world's first wordings, or in the plainest one."""
    worded = prompts(fact.entity, fact.relation)[:DEMO_WORDINGS]
    group = "wording" if worded else "plain"
    for number, prompt in enumerate(worded or [f"The {fact.relation.lower()} of {fact.entity} is"]):
        name = f"{fact.id}|{fact.entity}|{number}"
        yield Probe(name, prompt, fact.entity, fact.relation, tuple(answers), group)


def _values(kb: KnowledgeBase, fact: Fact) -> tuple[str, ...]:
    return answers_of([other.value for other in kb.lookup(fact.entity, fact.relation).facts] or [fact.value])


def country_targets(folder: Path, variant: str) -> list[Target]:
    """Every fact that a variant's prompts ask for, with a question of each set. Raises `InputError`."""
    rows: dict[Proposition, list[tuple[str, Entry]]] = {}
    for name in QUESTION_SETS:
        for row in _rows(folder, _ASKED_AS.get(variant, variant), name):
            rows.setdefault((row.text("subject"), row.text("relation"), row.text("gold_object")), []).append(
                (name, row)
            )
    return [_country(proposition, asked, variant) for proposition, asked in rows.items()]


def build_countries(folder: Path, variant: str, path: Path) -> None:
    """Make a knowledge base at `path` that holds a variant's database."""
    with KnowledgeBase.open(path, create=True) as kb:
        import_file(kb, folder / f"{'base' if variant == _POINTERS else variant}.json")
        if variant != _POINTERS:
            return
        aliases = {
            (alias, field, row.text(field))
            for row in _rows(folder, "base", QUESTION_SETS[0])
            for field in ("subject", "relation")
            for alias in row.texts(f"{field}_aliases")
        }
        with kb.transaction():
            for alias, field, name in sorted(aliases):
                kb.alias(alias, **{"entity" if field == "subject" else field: name})


def sampled(targets: Sequence[Target], number: int, seed: int) -> list[Target]:
    """Draw `number` of them by `seed`, in their order."""
    chosen = set(random.Random(seed).sample(range(len(targets)), min(number, len(targets))))
    return [target for place, target in enumerate(targets) if place in chosen]


def _rows(folder: Path, variant: str, name: str) -> Iterator[Entry]:
    return read_entries(folder / "prompts" / variant / f"{name}.jsonl")


def _country(proposition: Proposition, asked: Sequence[tuple[str, Entry]], variant: str) -> Target:
    entity, relation, value = proposition
    names = product(_named(asked[0][1], "subject", entity), _named(asked[0][1], "relation", relation))
    questions = tuple(
        Probe(
            id=f"{variant}|{name}|{'|'.join(proposition)}",
            prompt=row.text("prompt_text"),
            entity=entity,
            relation=relation,
            answers=_named(row, "object", value),
            group=name,
        )
        for name, row in asked
    )
    same = frozenset((subject, kind, value) for subject, kind in names)
    return Target(entity, relation, value, questions, same, by_hand=variant != _POINTERS)


def _named(row: Entry, field: str, name: str) -> tuple[str, ...]:
    """A name and its other names, as the data list them."""
    aliases = row.texts(f"{field}_aliases") if row.has(f"{field}_aliases") else ()
    return tuple(dict.fromkeys(chain([name], aliases)))
