"""What `/metrics` tells of delivery: how far handlers have come, and what becomes of webhooks.

The figures of handlers are those of the ledger, so every server tells the same; webhooks are told
all together, however many thousands there are. A scrape is cheap: it reads the ledger every few
seconds at most, shows a bounded number of subscriptions, and does not count dead letters to the
end. It keeps no promise; alarms go by it.
"""

from __future__ import annotations

from time import monotonic
from typing import NamedTuple

from prometheus_client import Counter, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from tidings.errors import TidingsError
from tidings.subscriptions.dead_letters import WEBHOOKS, DeadLetters
from tidings.subscriptions.registry import Subscriptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

    from tidings.store.base import Store
    from tidings.subscriptions.registry import SubscriptionState

__all__ = ["DeliveryMetrics"]

_FRESH = 5.0
"""How long what was read from the ledger is told (seconds)."""

_MOST_SUBSCRIPTIONS = 200
_MOST_LETTERS = 1_000
"""So many subscriptions are told, and so many dead letters counted: of one, or of all webhooks."""


class _Figure(NamedTuple):
    """One figure of each subscription: the name of its series, and what it says."""

    name: str
    help: str
    attribute: str
    counts: bool = False


_FIGURES = (
    _Figure("lag", "Positions that the slowest partition is behind the newest event", "lag"),
    _Figure("waiting", "Aggregates whose events wait to be tried again", "waiting"),
    _Figure("held", "Aggregates that wait for a decision about a dead letter", "held"),
    _Figure("dead_letters", f"Events given up; counted to {_MOST_LETTERS}", "dead_letters"),
    _Figure("handled", "Events handled", "handled", counts=True),
    _Figure("failed", "Attempts that failed", "failed", counts=True),
)


class DeliveryMetrics(Collector):
    """What is counted of delivery.

    Args:
        registry: where the counters of this process are made. What comes from the ledger is
            collected from this object itself, which is registered wherever it is to be told.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._states: list[SubscriptionState] = []
        self._letters: int | None = None
        self._looked = -_FRESH
        self._counted: dict[str, int] = {}
        self._sent = Counter(
            "tidings_webhook_events_sent", "Events that webhooks took", registry=registry
        )
        self._failed = Counter(
            "tidings_webhook_attempts_failed",
            "Attempts to send to webhooks that failed",
            registry=registry,
        )
        self._under_way = Gauge(
            "tidings_webhook_requests_under_way",
            "Requests to webhooks that are not answered yet",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._waiting = Gauge(
            "tidings_webhook_waiting",
            "Aggregates whose events wait to be sent again, over all webhooks",
            multiprocess_mode="livesum",
            registry=registry,
        )

    def webhooks_stand(self, counts: Mapping[str, int]) -> None:
        """Note what this process has sent so far.

        Of several workers each notes it when it is asked, so the sum may be some scrapes behind.

        Args:
            counts: `Delivery.counts`; empty where it sends nothing.
        """
        for counter, name in ((self._sent, "sent"), (self._failed, "failed")):
            more = counts.get(name, 0) - self._counted.get(name, 0)
            # Less than before: delivery began anew, and counts from nothing.
            counter.inc(more if more >= 0 else counts.get(name, 0))
        self._under_way.set(counts.get("under_way", 0))
        self._waiting.set(counts.get("waiting", 0))
        self._counted = dict(counts)

    def look(self, store: Store) -> None:
        """Read the ledger, if that was not done just now; where it is away, all stays as it was."""
        now = monotonic()
        if now - self._looked < _FRESH:
            return
        self._looked = now
        try:
            letters = DeadLetters(store).counts(_MOST_LETTERS)
            self._states = Subscriptions(store).list(_MOST_SUBSCRIPTIONS, letters)
            self._letters = letters.get(WEBHOOKS, 0)
        except TidingsError:
            return  # `/health` says that the store is away.

    def collect(self) -> Iterable[Metric]:
        """The figures of the ledger; called by the registry."""
        for figure in _FIGURES:
            name = f"tidings_subscription_{figure.name}"
            kind = CounterMetricFamily if figure.counts else GaugeMetricFamily
            family = kind(name, figure.help, labels=["subscription"])
            for state in self._states:
                family.add_metric([state.name], getattr(state, figure.attribute))
            yield family
        if self._letters is not None:
            yield GaugeMetricFamily(
                "tidings_webhook_dead_letters",
                f"Events given up, over all webhooks; counted to {_MOST_LETTERS}",
                self._letters,
            )
