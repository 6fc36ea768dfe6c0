"""What a server tells Prometheus: requests and how long they take, texts, tokens, lookups by status.

Labels have few values whatever clients send: routes by their template, methods that there are, the rest under one name.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from lamlam.engine import Generation

__all__ = ["OTHER", "Metrics"]

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
OTHER = "other"  # the page's files, what there is not, what was refused before it was looked at
_SECONDS = (0.005, 0.02, 0.1, 0.5, 2, 10, 60)


class Metrics:
    """Figures of one server, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "lamlam_requests", "Requests that were answered.", ["route", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "lamlam_request_seconds", "From a request's headers to its answer's end.", ["route"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._texts = Counter("lamlam_texts", "Texts that were written to their end.", registry=registry)
        self._tokens = Counter("lamlam_tokens", "Tokens of these texts, calls and values included.", registry=registry)
        self._lookups = Counter("lamlam_lookups", "Their lookups by status.", ["status"], registry=registry)
        self._held = Gauge("lamlam_texts_held", "Texts that run or wait.", ["state"], registry=registry)
        self._revision = Gauge("lamlam_revision", "The revision of the knowledge base.", registry=registry)

    def count(self, generations: Iterable[Generation], tokens: int) -> None:
        """Texts that were written, and how many tokens they have without their prompts."""
        self._tokens.inc(tokens)
        for generation in generations:
            self._texts.inc()
            for lookup in generation.lookups:
                self._lookups.labels(str(lookup.resolution.status)).inc()

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        self._requests.labels(route, method if method in _METHODS else OTHER, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self, *, held: int, batch_size: int, revision: int) -> bytes:
        """In Prometheus's text format. `held` texts are being written, `batch_size` at a time, or wait."""
        self._held.labels("running").set(min(held, batch_size))
        self._held.labels("waiting").set(max(held - batch_size, 0))
        self._revision.set(revision)
        return generate_latest(self._registry)
