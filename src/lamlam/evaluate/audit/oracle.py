"""A caller that always asks the right question: what then comes back is the knowledge base's doing alone."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from lamlam.corpus import Probe
from lamlam.engine.generation import Generation, Lookup
from lamlam.engine.settings import DecodingSettings
from lamlam.kb.fact import Resolution

__all__ = ["OracleCaller"]


class Asked(Protocol):
    """What is asked of a knowledge base."""

    def lookup_many(self, pairs: Sequence[tuple[str, str]]) -> Sequence[Resolution]: ...

    def nearest(self, entity: str, relation: str) -> Resolution: ...


class OracleCaller:
    """Asks for a probe's entity and relation, and says what it is given, or "unknown".

    It heeds what settings say of lookups and of misses, as an engine does, so that it can be put in one's place.
    """

    def __init__(self, kb: Asked, probes: Iterable[Probe]) -> None:
        self._kb = kb
        self._queries = {probe.prompt: (probe.entity, probe.relation) for probe in probes}

    def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
        """A generation for each prompt. Raises `KeyError` for one that belongs to none of the probes."""
        queries = [self._queries[prompt] for prompt in prompts]
        if not settings.lookups:
            return [_said(prompt, "unknown") for prompt in prompts]
        found = self._kb.lookup_many(queries)
        if settings.on_miss == "nearest":
            found = [each if each.found else self._kb.nearest(each.entity, each.relation) for each in found]
        return [
            _said(prompt, each.text or "unknown", Lookup(*query, each, each.text or "unknown"))
            for prompt, query, each in zip(prompts, queries, found, strict=True)
        ]


def _said(prompt: str, value: str, *lookups: Lookup) -> Generation:
    return Generation(prompt, f" {value}", lookups, "eos", (), ())
