"""An invented world as a corpus: training and held-out documents, facts with their sources, and probes.

The same settings give the same world on any machine. Nothing here writes files.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from itertools import accumulate
from random import Random

from lamlam.corpus import Corpus, FactRecord, Probe
from lamlam.markup import AnnotatedDocument
from lamlam.world.narrator import Fact, Narrator, Text
from lamlam.world.population import Population
from lamlam.world.schema import Entity, WorldSettings
from lamlam.world.wordings import answers_of

__all__ = ["REGISTER", "World", "draw_probes"]

REGISTER = "register"  # the source of a fact that no training document states
_FEWEST_HELDOUT = 50
_ATTEMPTS = 20  # to find a text that has not been written yet
_BUCKETS = (1, 2, 3, 5, 9, 17)  # the least number of mentions in each: 1, 2, 3-4, 5-8, 9-16, 17 and more
_INTRODUCED_PROMPTS = 0.4  # of the prompts speak of the entity by a pronoun or short name


class World:
    """An invented world; `corpus()` writes it down."""

    def __init__(self, settings: WorldSettings) -> None:
        self._settings = settings
        self._population = Population(settings)
        self._entities = list(self._population.by_name.values())
        self._written: set[str] = set()

    def corpus(self) -> Corpus:
        """Return the whole world as a corpus; no text occurs twice.

        "seen" entities have training documents; no training document names an "unseen" one.
        """
        self._written.clear()
        train = self._train()
        number = max(_FEWEST_HELDOUT, round(self._settings.heldout * len(train)))
        heldout = {group: self._heldout(group, number) for group in ("seen", "unseen")}
        mentions = Counter((call.entity, call.relation) for document in train for call in document.calls)
        probes = draw_probes(
            self._population, self._narrator("prompts"), mentions, self._settings.probes, self._rng("probes")
        )
        return Corpus(train=train, heldout=heldout, facts=self._facts(train), probes=probes)

    def _rng(self, purpose: str) -> Random:
        """Return a stream for one purpose, so that more of one thing leaves the others unchanged."""
        return Random(f"{self._settings.seed}:{purpose}")

    def _narrator(self, purpose: str) -> Narrator:
        return Narrator(self._population, self._settings.size, self._rng(purpose))

    def _train(self) -> list[AnnotatedDocument]:
        narrator, rng = self._narrator("train"), self._rng("mentions")
        counts = range(1, self._settings.max_mentions + 1)
        weights = list(accumulate(count**-self._settings.exponent for count in counts))
        stated: Counter[Fact] = Counter()
        enough: set[Fact] = set()
        texts: list[Text] = []
        for entity in self._entities:
            if not entity.seen:
                continue
            for _ in range(rng.choices(counts, cum_weights=weights)[0]):
                text = self._fresh(narrator, entity, enough)
                if text is None:
                    break
                texts.append(text)
                stated.update((call.entity, call.relation) for call in text.calls)
                enough.update(
                    fact
                    for fact in ((call.entity, call.relation) for call in text.calls)
                    if stated[fact] >= self._settings.max_mentions
                )
        rng.shuffle(texts)
        return _numbered("train", texts)

    def _heldout(self, group: str, number: int) -> list[AnnotatedDocument]:
        narrator, rng = self._narrator(f"heldout {group}"), self._rng(f"heldout {group} entities")
        entities = [entity for entity in self._entities if entity.seen is (group == "seen")]
        texts = [self._fresh(narrator, rng.choice(entities)) for _ in range(number if entities else 0)]
        return _numbered(f"heldout-{group}", [text for text in texts if text is not None])

    def _fresh(self, narrator: Narrator, entity: Entity, without: set[Fact] | None = None) -> Text | None:
        """Return a text that has not been written yet, or None if there is nothing new to say."""
        for _ in range(_ATTEMPTS):
            text = narrator.write(entity, without=without or ())
            if text.calls and text.text not in self._written:
                self._written.add(text.text)
                return text
        return None

    def _facts(self, train: list[AnnotatedDocument]) -> list[FactRecord]:
        """Return a record for each value, in the order of the schema, with the first training document that states
        it.
        """
        first: dict[Fact, tuple[str, int]] = {}
        for document in train:
            for call in document.calls:
                first.setdefault((call.entity, call.relation), (document.id, call.at))
        records = []
        for name, facts in self._population.facts.items():
            for relation, values in facts.items():
                if (name, relation) not in first:
                    records += [FactRecord(name, relation, value, REGISTER) for value in values]
                    continue
                source, start = first[name, relation]
                for value in values:
                    records.append(FactRecord(name, relation, value, source, start, start + len(value)))
                    start += len(value) + len(", ")
        return records


def _numbered(name: str, texts: list[Text]) -> list[AnnotatedDocument]:
    return [AnnotatedDocument(f"{name}-{number:06d}", text.text, text.calls) for number, text in enumerate(texts)]


def draw_probes(
    population: Population, narrator: Narrator, mentions: Mapping[Fact, int], most: int, rng: Random
) -> list[Probe]:
    """Draw at most `most` probes of seen entities, for facts that training text states, and as many of unseen ones.

    `mentions` counts the training documents that state a fact. Seen facts are drawn evenly from buckets of that count.
    """
    unseen = [
        (name, relation)
        for name, facts in population.facts.items()
        if not population.by_name[name].seen
        for relation in facts
    ]
    probes = []
    for group, facts in (
        ("seen", _spread(mentions, most, rng)),
        ("unseen", rng.sample(unseen, min(most, len(unseen)))),
    ):
        for number, (name, relation) in enumerate(facts):
            prompt = narrator.prompt(population.by_name[name], relation, introduced=rng.random() < _INTRODUCED_PROMPTS)
            values = population.facts[name][relation]
            count = mentions.get((name, relation), 0)
            probes.append(Probe(f"{group}-{number:04d}", prompt, name, relation, answers_of(values), group, count))
    return probes


def _spread(mentions: Mapping[Fact, int], most: int, rng: Random) -> list[Fact]:
    """Draw facts from each bucket in turn until there are enough or none are left."""
    buckets: list[list[Fact]] = [[] for _ in _BUCKETS]
    for fact, count in mentions.items():
        buckets[bisect_right(_BUCKETS, count) - 1].append(fact)
    for bucket in buckets:
        rng.shuffle(bucket)
    drawn: list[Fact] = []
    while len(drawn) < most and any(buckets):
        drawn += [bucket.pop() for bucket in buckets if bucket]
    return drawn[:most]
