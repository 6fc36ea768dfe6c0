"""Prometheus metrics: requests and their latency, texts, tokens, lookups by status.

Label values are bounded whatever clients send: route templates, known methods, and one name for the rest.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from lamlam.engine import Generation

__all__ = ["OTHER", "Metrics"]

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
OTHER = "other"  # the page's files, unknown paths, early refusals
_SECONDS = (0.005, 0.02, 0.1, 0.5, 2, 10, 60)


class Metrics:
    """The metrics of one server, in its own registry."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "lamlam_requests", "Requests answered.", ["route", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "lamlam_request_seconds", "Time from a request's headers to the end of its response.", ["route"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._texts = Counter("lamlam_texts", "Texts completed.", registry=registry)
        self._tokens = Counter(
            "lamlam_tokens", "Tokens of completed texts, calls and values included.", registry=registry
        )
        self._lookups = Counter(
            "lamlam_lookups", "Lookups of completed texts, by status.", ["status"], registry=registry
        )
        self._held = Gauge("lamlam_texts_held", "Texts running or waiting.", ["state"], registry=registry)
        self._revision = Gauge("lamlam_revision", "The revision of the knowledge base.", registry=registry)

    def count(self, generations: Iterable[Generation], tokens: int) -> None:
        """Count completed texts, their `tokens` without prompts, and their lookups."""
        self._tokens.inc(tokens)
        for generation in generations:
            self._texts.inc()
            for lookup in generation.lookups:
                self._lookups.labels(str(lookup.resolution.status)).inc()

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        self._requests.labels(route, method if method in _METHODS else OTHER, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self, *, held: int, batch_size: int, revision: int) -> bytes:
        """Render the metrics. Of `held` texts, `batch_size` are running and the others wait."""
        self._held.labels("running").set(min(held, batch_size))
        self._held.labels("waiting").set(max(held - batch_size, 0))
        self._revision.set(revision)
        return generate_latest(self._registry)
