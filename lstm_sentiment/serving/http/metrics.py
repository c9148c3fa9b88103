"""Metrics in the format of Prometheus. Labels have few values: no text or path of a client."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from lstm_sentiment.serving.http.settings import Settings

PREFIX = "lstm_sentiment"
SECONDS = (0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metrics of one service, in a registry of their own."""

    def __init__(self, settings: Settings) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "requests", "Answered requests.", ["route", "method", "status"],
            namespace=PREFIX, registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "request_seconds", "Time from the request to the end of its answer.", ["route"],
            namespace=PREFIX, registry=self.registry, buckets=SECONDS,
        )  # fmt: skip
        self.open_requests = Gauge(
            "open_requests", "Requests that are not yet answered.",
            namespace=PREFIX, registry=self.registry,
        )  # fmt: skip
        self.texts = Counter(
            "texts", "Texts of accepted requests.", ["model"],
            namespace=PREFIX, registry=self.registry,
        )  # fmt: skip
        sizes = [2**power for power in range(settings.batch_size.bit_length() + 1)]
        self.batches = Histogram(
            "batch_size", "Texts in a batch.", ["queue"],
            namespace=PREFIX, registry=self.registry, buckets=sizes,
        )  # fmt: skip
        self.queue = Gauge(
            "queue_texts", "Texts that wait.", ["queue"],
            namespace=PREFIX, registry=self.registry,
        )  # fmt: skip

    def observer(self, queue: str) -> Callable[[int], object]:
        """Return a function that receives the sizes of the batches of a queue."""
        observe: Callable[[int], object] = self.batches.labels(queue).observe
        return observe

    def watch_queue(self, queue: str, length: Callable[[], int]) -> None:
        """Show the length of a queue, which `length` returns."""
        self.queue.labels(queue).set_function(length)

    def record(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self.requests.labels(route, method, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in the format of Prometheus."""
        return generate_latest(self.registry)
