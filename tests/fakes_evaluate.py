"""An engine that answers as it is told, so that each score can be trusted."""

import random
from collections.abc import Callable, Sequence

from lamlam.corpus import Probe
from lamlam.engine.generation import Generation, Lookup
from lamlam.engine.settings import DecodingSettings
from lamlam.kb.fact import Fact, Resolution, Status


def probe(number: int, **changes: object) -> Probe:
    """The probe of an invented person; `changes` to its fields."""
    fields = {
        "id": f"p{number}",
        "prompt": f"Person {number} was born in",
        "entity": f"Person {number}",
        "relation": "Birth Place",
        "answers": (f"Town {number}",),
        "group": "seen",
        "mentions": 1,
    }
    return Probe(**(fields | changes))  # type: ignore[arg-type]


def said(prompt: str, text: str, *lookups: Lookup) -> Generation:
    return Generation(prompt=prompt, text=text, lookups=lookups, finish="eos", ids=(), kinds=())


def lookup(entity: str, relation: str, *values: str, status: Status = Status.EXACT) -> Lookup:
    facts = tuple(Fact(id=index, entity=entity, relation=relation, value=value) for index, value in enumerate(values))
    resolution = Resolution(entity, relation, status, facts, float(bool(facts)))
    return Lookup(entity, relation, resolution, resolution.text or "unknown")


class FakeEngine:
    """Gives each probe's prompt what `answer(probe)` returns: a text and the lookups behind it."""

    def __init__(self, probes: Sequence[Probe], answer: Callable[[Probe], Generation]) -> None:
        self.probes = {probe.prompt: probe for probe in probes}
        self.answer = answer
        self.batches: list[int] = []

    def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
        self.batches.append(len(prompts))
        return [self.answer(self.probes[prompt]) for prompt in prompts]


def always(probe: Probe) -> Generation:
    return said(probe.prompt, f" {probe.answers[0]}.", lookup(probe.entity, probe.relation, *probe.answers))


def never(probe: Probe) -> Generation:
    return said(probe.prompt, " nowhere.")


def sometimes(share: float, seed: int = 0) -> Callable[[Probe], Generation]:
    rng = random.Random(seed)
    return lambda probe: always(probe) if rng.random() < share else never(probe)
