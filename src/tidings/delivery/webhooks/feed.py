"""The feed: one thread a process that reads what is new, once for all endpoints.

However many endpoints there are, the log is watched and read once. The thread hands over one page
at a time and waits until it was taken, so nothing piles up. The newest events stay in a short ring,
so that an endpoint that fell a little behind finds its way back to the feed without a gap; one that
is further behind reads from the store. The thread also listens for the bell, and for events that
were removed: those must not be sent from memory.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from operator import attrgetter
from threading import Event as Signal
from threading import Thread
from time import monotonic

from tidings.delivery.webhooks.reading import size_of
from tidings.errors import HistoryPruned, OutcomeUnknown, StoreClosed, StoreUnavailable
from tidings.removing import last_removal
from tidings.store.query import Query
from tidings.subscriptions.bell import Bell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Sequence
    from typing import Any

    from tidings.event import Event
    from tidings.store.base import Store

__all__ = ["MOST_EVENTS", "Feed", "Ring"]

_WAIT_SECONDS = 0.5
"""How long the store is waited for before the thread sees whether it shall stop."""

_LOOK_SECONDS = 1.0
"""How often the thread listens for the bell."""

_PAUSE_SECONDS = 1.0
"""How long the thread rests when the store is away."""

MOST_EVENTS = 2000
"""So many of the newest events are kept."""

_MOST_CHARACTERS = 1 << 24
"""And no more of them than have payloads of this length together."""

_log = logging.getLogger("tidings.webhooks")
_position = attrgetter("position")


class Ring:
    """The newest events that were handed over.

    Attributes:
        start: events past this position are here.
        end: the log was read up to here.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._size = 0
        self.start = self.end = 0

    def begin(self, position: int) -> None:
        """Begin anew, empty, at a position."""
        self._events.clear()
        self._size = 0
        self.start = self.end = position

    def append(self, events: Sequence[Event], end: int) -> None:
        """Take what comes next in the log, which was read up to `end`."""
        self._events.extend(events)
        self._size += sum(map(size_of, events))
        self.end = max(self.end, end)
        over = max(0, len(self._events) - MOST_EVENTS)
        self._size -= sum(map(size_of, self._events[:over]))
        while self._size > _MOST_CHARACTERS:
            self._size -= size_of(self._events[over])
            over += 1
        if over:
            self.start = self._events[over - 1].position or 0
            del self._events[:over]

    def after(self, position: int) -> list[Event]:
        """The events past a position, which must not lie before `start`."""
        return self._events[bisect_right(self._events, position, key=_position) :]


class Feed:
    """Reads what is new in a store until it is stopped.

    Args:
        store: what is followed.
        loop: where the functions are called.
        position: from where on.
        take: told events and the position up to which the log was read.
        skipped: told from where on to read, where events were pruned before they could be read.
        removed: told that events were removed: what is in memory must not be sent.
        rang: told that the bell rang.
    """

    def __init__(
        self,
        store: Store,
        loop: AbstractEventLoop,
        position: int,
        *,
        take: Callable[[Sequence[Event], int], None],
        skipped: Callable[[int], None],
        removed: Callable[[], None],
        rang: Callable[[], object],
    ) -> None:
        self._store = store
        self._loop = loop
        self._position = position
        self._take = take
        self._skipped = skipped
        self._removed = removed
        self._rang = rang
        self._bell = Bell(store)
        self._removal: int | None = None
        self._look_at = 0.0
        self._stopped = Signal()
        self._thread = Thread(target=self._run, name="tidings-webhooks-feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop soon; nothing is handed over any more."""
        self._stopped.set()

    def join(self, timeout: float) -> None:
        """Wait until it has stopped (seconds)."""
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow()
            except StoreClosed:
                return
            except HistoryPruned as error:
                self._hand_over(self._skipped, error.first - 1)
                self._position = error.first - 1
            except (StoreUnavailable, OutcomeUnknown):
                self._stopped.wait(_PAUSE_SECONDS)  # `Leases` tells of it
            except Exception:  # noqa: BLE001 - a bug must not end deliveries for good, nor spin
                _log.exception("reading what is to be sent failed; it is tried again")
                self._stopped.wait(_PAUSE_SECONDS)

    def _follow(self) -> None:
        """Hand over what is new, or wait a little for it."""
        if monotonic() >= self._look_at:
            self._look()
        if self._store.wait(self._position, _WAIT_SECONDS) <= self._position:
            return
        reading = self._store.read(Query(after=self._position))
        while (page := reading.next_page()) is not None and not self._stopped.is_set():
            self._hand_over(self._take, page.events, page.position)
            self._position = page.position

    def _look(self) -> None:
        removal = last_removal(self._store)
        if self._removal not in (None, removal):
            self._hand_over(self._removed)
        self._removal = removal
        if self._bell.rang():
            self._hand_over(self._rang)
        self._look_at = monotonic() + _LOOK_SECONDS

    def _hand_over(self, call: Callable[..., object], *arguments: Any) -> None:
        """Have the event loop call this, and wait until it has."""
        done = Signal()

        def in_loop() -> None:
            try:
                if not self._stopped.is_set():
                    call(*arguments)
            finally:
                done.set()

        try:
            self._loop.call_soon_threadsafe(in_loop)
        except RuntimeError:
            self._stopped.set()  # the loop is closed: nobody is left to be told
            return
        while not done.wait(_WAIT_SECONDS) and not self._stopped.is_set():
            pass
