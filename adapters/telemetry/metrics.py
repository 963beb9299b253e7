"""Figures for Prometheus: one registry a process, named `tidings_<noun>_<what>_<unit>`."""

from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestMetrics:
    """What a REST process has answered, by method, route and status.

    Labels are bounded: a route is its pattern, never a path, and a method that HTTP does not define is
    `other`. No organization stands in a label.
    """

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._seconds = Histogram(
            "tidings_requests_duration_seconds",
            "From the request's head to the last byte of its answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._answers = Counter(
            "tidings_requests_answered",
            "Answers by status; 0 means that the client had left.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        # Finding a child by its labels costs more than counting; the set of children is small.
        self._children: dict[tuple[str, str, int], tuple[Histogram, Counter]] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        key = (method if method in METHODS else "other", route, status)
        child = self._children.get(key)
        if child is None:
            child = (self._seconds.labels(*key[:2]), self._answers.labels(*key))
            self._children[key] = child
        child[0].observe(seconds)
        child[1].inc()

    def render(self) -> bytes:
        """Return everything in the text format of Prometheus."""
        return generate_latest(self._registry)
