"""What a server counts, in the text format of Prometheus.

Every series is made once and its counters are looked up by plain keys, so that counting costs a
request two microseconds. With several workers each counts into files of its own in a private
directory (`serving` makes it), and whoever is asked adds all of them up. It keeps no promise; it
tells whether the others are kept. It decides nothing, and asks the store nothing by itself.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from tidings.server.delivery_metrics import DeliveryMetrics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["MULTIPROCESS", "Metrics"]

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""Names the directory in which workers count. Source: prometheus_client, "Multiprocess Mode"."""

_METHODS = frozenset(("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"))
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_EVENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """What a server counts.

    Attributes:
        delivery: what is told of handlers and webhooks.

    >>> metrics = Metrics()
    >>> metrics.read(20)
    >>> b"tidings_events_read_total 20.0" in metrics.text()
    True
    """

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self._request_seconds = Histogram(
            "tidings_request_seconds",
            "How long requests took; streams until they ended",
            ("route", "method", "status"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._observers: dict[tuple[str, str, int], Callable[[float], None]] = {}
        self._count_events(registry)
        self._count_streams(registry)
        self._hold_store(registry)
        self.delivery = DeliveryMetrics(registry)
        registry.register(self.delivery)

    def _count_events(self, registry: CollectorRegistry) -> None:
        self._appended = Counter(
            "tidings_events_appended", "Events kept for clients", registry=registry
        )
        self._append_seconds = Histogram(
            "tidings_append_seconds",
            "How long clients waited until their events were kept",
            buckets=_SECONDS,
            registry=registry,
        )
        self._refused = Counter(
            "tidings_events_refused",
            "Appends refused: version_conflict, id_conflict, invalid, unavailable",
            ("kind",),
            registry=registry,
        )
        self._commit_batches = Histogram(
            "tidings_commit_batches",
            "How many requests shared a durable write",
            buckets=_EVENTS,
            registry=registry,
        )
        self._commit_events = Histogram(
            "tidings_commit_events",
            "How many events shared a durable write, those refused included",
            buckets=_EVENTS,
            registry=registry,
        )
        self._commit_seconds = Histogram(
            "tidings_commit_seconds",
            "How long a durable write took",
            buckets=_SECONDS,
            registry=registry,
        )
        self._read = Counter("tidings_events_read", "Events given to readers", registry=registry)

    def _count_streams(self, registry: CollectorRegistry) -> None:
        self._streams = Gauge(
            "tidings_streams_open",
            "Live streams open now",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._waits = Gauge(
            "tidings_waits_open",
            "Clients that wait for the head to move",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._delivered = Counter(
            "tidings_events_delivered", "Events sent on live streams", registry=registry
        )
        self._lag = Histogram(
            "tidings_delivery_lag_seconds",
            "From the store's taking an event to its delivery on live streams",
            buckets=_SECONDS,
            registry=registry,
        )
        self._slow = Counter(
            "tidings_slow_clients", "Live streams let go because nobody read", registry=registry
        )

    def _hold_store(self, registry: CollectorRegistry) -> None:
        self._head = Gauge(
            "tidings_store_head",
            "The newest event's position",
            multiprocess_mode="livemostrecent",
            registry=registry,
        )
        self._bytes = Gauge(
            "tidings_store_bytes",
            "The size of the store's files",
            multiprocess_mode="livemostrecent",
            registry=registry,
        )
        self._spooled = Gauge(
            "tidings_spool_events",
            "Events waiting in the spool",
            multiprocess_mode="livemostrecent",
            registry=registry,
        )

    # Counting -------------------------------------------------------------------------------------

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered.

        Args:
            route: the route's path as declared, never a client's own path.
            method: its method.
            status: the answer's status; 0 where the client was gone before.
            seconds: how long it took.
        """
        key = (route, method, status)
        observe = self._observers.get(key)
        if observe is None:
            # What clients may invent must not become series of its own.
            known = method if method in _METHODS else "other"
            observe = self._request_seconds.labels(route, known, str(status)).observe
            if known == method:
                self._observers[key] = observe
        observe(seconds)

    def appended(self, events: int, seconds: float) -> None:
        """Count events kept for a client, who waited so long."""
        self._appended.inc(events)
        self._append_seconds.observe(seconds)

    def refused(self, kind: str) -> None:
        """Count a refused append: version_conflict, id_conflict, invalid or unavailable."""
        self._refused.labels(kind).inc()

    def committed(self, batches: int, events: int, seconds: float) -> None:
        """Count a durable write; the writer's thread says so."""
        self._commit_batches.observe(batches)
        self._commit_events.observe(events)
        self._commit_seconds.observe(seconds)

    def read(self, events: int) -> None:
        """Count events given to a reader."""
        self._read.inc(events)

    def stream_opened(self) -> None:
        """Count a live stream in."""
        self._streams.inc()

    def stream_closed(self) -> None:
        """Count a live stream out."""
        self._streams.dec()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count a client that waits for the head, while it does."""
        self._waits.inc()
        try:
            yield
        finally:
            self._waits.dec()

    def delivered(self, events: int) -> None:
        """Count events sent on live streams."""
        self._delivered.inc(events)

    def lag(self, seconds: float) -> None:
        """Count how long an event took from the store to live streams."""
        self._lag.observe(seconds)

    def slow_client(self) -> None:
        """Count a live stream that was let go because its client did not read."""
        self._slow.inc()

    def store_stands(self, head: int | None, size: int | None, spooled: int | None) -> None:
        """Say how the store stands.

        Args:
            head: the newest event's position; none where it is not known now.
            size: of its files (bytes); none where it is not known.
            spooled: events waiting in the spool; none where it is not known.
        """
        for gauge, value in ((self._head, head), (self._bytes, size), (self._spooled, spooled)):
            if value is not None:
                gauge.set(value)

    # Telling --------------------------------------------------------------------------------------

    def text(self) -> bytes:
        """Everything counted, in Prometheus' text format."""
        return self.told("")[0]

    def told(self, accept: str) -> tuple[bytes, str]:
        """Everything counted, and the media type it is in.

        Args:
            accept: the request's `Accept`; OpenMetrics is given to those who name it.
        """
        registry = self._registry
        directory = os.environ.get(MULTIPROCESS)
        if directory:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, directory)  # type: ignore[no-untyped-call]  # it has no types
            registry.register(self.delivery)
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type
