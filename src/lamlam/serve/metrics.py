"""What a server tells Prometheus: requests, texts, tokens, lookups by status."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, generate_latest

from lamlam.engine import Generation

__all__ = ["Metrics"]


class Metrics:
    """Counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._texts = Counter("lamlam_texts", "Texts that were written to their end.", registry=self._registry)
        self._lookups = Counter("lamlam_lookups", "Lookups by status.", ["status"], registry=self._registry)

    def count(self, generations: Iterable[Generation]) -> None:
        for generation in generations:
            self._texts.inc()
            for lookup in generation.lookups:
                self._lookups.labels(str(lookup.resolution.status)).inc()

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self._registry)
