"""What tests of the webhook engine share: an engine on a store, and a clock that is moved."""

from __future__ import annotations

import json
import time
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from tidings.clock import Clock
from tidings.delivery.webhooks.endpoints import Endpoints
from tidings.delivery.webhooks.engine import Webhooks
from tidings.delivery.webhooks.sending import Sender
from tidings.event import Event
from tidings.subscriptions.leases import Leases
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.delivery.webhooks.receivers import Got
    from tidings.delivery.webhooks.endpoint import Endpoint
    from tidings.store.base import Store

MINUTE = 60.0
HOUR = 3600.0
DAY = 86_400.0


class MovableClock(Clock):
    """A clock that stands still until it is moved, but for a microsecond each time it is asked."""

    def __init__(self) -> None:
        self._now = super().now()
        self._lock = Lock()

    def now(self) -> int:
        """A little later than it said before."""
        with self._lock:
            self._now += 1
            return self._now

    def move(self, seconds: float) -> None:
        """Have so much time pass."""
        with self._lock:
            self._now += round(seconds * 1_000_000)


class Delivering:
    """An engine that delivers a store's webhooks, until the block ends."""

    def __init__(self, store: Store, **sender: Any) -> None:
        self.store = store
        self.clock = MovableClock()
        self.leases = Leases(store, patience=PATIENCE)  # on a slow machine it keeps them
        self.engine = Webhooks(
            store,
            self.leases,
            clock=self.clock,
            sender_factory=lambda: Sender(clock=self.clock, **sender),
        )
        self.endpoints = Endpoints(store, self.clock)

    def __enter__(self) -> Self:
        self.engine.start()
        self.leases.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.close(PATIENCE)  # a receiver on a slow machine has not answered yet
        self.leases.close()

    def later(self, seconds: float) -> None:
        """Have so much time pass."""
        self.clock.move(seconds)
        self.engine.wake()


def endpoint_for(store: Store, url: str, filters: Any = None, **options: Any) -> Endpoint:
    """An endpoint on loopback that is sent everything, if nothing else is said."""
    options = {"allow_private": True, **options}
    endpoint, _ = Endpoints(store).create(url, filters or {}, **options)
    return endpoint


def job(number: int, about: object = None, **fields: Any) -> Event:
    """An event with a number, about an aggregate where one is given."""
    if about is not None:
        fields |= {"aggregate_type": "thing", "aggregate_id": str(about)}
    return Event("job.done", payload={"n": number, "about": about}, **fields)


def numbers(got: Iterable[Got], about: object = ...) -> list[int]:
    """The numbers of the events that were received, about one aggregate or all."""
    payloads = [json.loads(each.body)["data"] for each in got]
    return [each["n"] for each in payloads if about in (..., each["about"])]


def eventually(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it did not come to hold in time"
        time.sleep(0.01)
