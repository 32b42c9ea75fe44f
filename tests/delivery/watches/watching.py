"""A watch on a store of memory, whose turns are taken by hand at instants of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidings.clock import Clock
from tidings.delivery.watches import Watches, duties
from tidings.event import Event
from tidings.store.query import Query
from tidings.subscriptions.leases import Leases
from tidings.testing.elsewhere import PATIENCE
from tidings.timestamps import format_instant, now_instant, parse_instant

if TYPE_CHECKING:
    from tidings.store.base import Store

SECOND = 1_000_000
HOUR = 3600 * SECOND


class HandClock(Clock):
    """A clock that stands until it is moved."""

    def __init__(self, start: int) -> None:
        self.instant = start

    def now(self) -> int:
        """The instant it was moved to."""
        return self.instant


class Watching:
    """One watch and its duty.

    Attributes:
        start: when the watch was added (microseconds), long before now: what is kept now may have
            happened at any time since, but is recorded when it really is.
    """

    def __init__(
        self, store: Store, within: float = 3600.0, *, ago: float = 10 * 3600.0, **expected: Any
    ) -> None:
        self.store = store
        self.start = now_instant() - round(ago * SECOND)
        self.clock = HandClock(self.start)
        self.watches = Watches(store, clock=self.clock)
        expects = expected.pop("expects", "event")
        self.watches.add("w", within, Query(**expected), expects=expects)
        self.take_over()

    def take_over(self) -> None:
        """Have another process run it, as the last one died: all it knows is in the store."""
        for key in self.store.keys("worker/"):
            self.store.delete(key)
        (self.duty,) = duties(self.store)
        self.leases = Leases(self.store, patience=PATIENCE)
        self.leases.offer(self.duty.key, self.duty.first)
        self.leases.turn()

    def turn(self, hours: float) -> int | None:
        """One turn, so many hours after the start; the hours until it wants to come back."""
        now = self.start + round(hours * HOUR)
        lease = self.leases.held(self.duty.key)
        assert lease is not None
        return self.duty.turn(lease, now)

    def settle(self, hours: float) -> None:
        """Turns at one instant, until none is due any more."""
        due: int | None = 0
        while due is not None and due <= self.start + round(hours * HOUR):
            due = self.turn(hours)

    def emit(
        self, hours: float, event_type: str = "beat", project: str = "", **fields: Any
    ) -> Event:
        """Keep an event that happened so many hours after the start."""
        timestamp = format_instant(self.start + round(hours * HOUR))
        (event,) = self.store.append([Event(event_type, project, timestamp=timestamp, **fields)])
        return event

    def said(self) -> list[str]:
        """The last words of the types of what it emitted, in order."""
        return [event.type.removeprefix("tidings.watch.") for event in self.events()]

    def events(self) -> list[Event]:
        """The events it emitted, in order."""
        return list(self.store.read(Query(types="tidings.watch.*")))

    def hours(self, text: str) -> float:
        """How many hours after the start a moment in a payload lies."""
        return (parse_instant(text) - self.start) / HOUR
