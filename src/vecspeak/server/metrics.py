"""What a server counts, as Prometheus reads it. No label holds a text, a vector or a name that a caller gave."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "vecspeak_requests", "Requests answered.", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "vecspeak_request_seconds", "Seconds to the last byte.", ["route"], registry=registry
        )
        self.waiting = Gauge(
            "vecspeak_questions_waiting", "Questions that wait or are being answered.", registry=registry
        )
        self.batch = Histogram(
            "vecspeak_batch_size",
            "Questions answered together.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.refused = Counter(
            "vecspeak_questions_refused", "Questions refused because too many waited.", registry=registry
        )
        self.cancelled = Counter(
            "vecspeak_questions_cancelled",
            "Questions whose caller went away before the answer.",
            registry=registry,
        )

    def text(self) -> bytes:
        """The counts in Prometheus' text format."""
        return generate_latest(self._registry)
