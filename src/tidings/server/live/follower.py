"""One thread a process that reads what is new and hands it to the event loop.

However many streams there are, the store is watched and read once. The thread hands over one page
at a time and waits until it was taken, so nothing piles up where the loop is busy; what comes
meanwhile makes the next page larger. A store that fails is asked again and again: streams stay
open, and nothing is lost, because the follower goes on from its position.
"""

from __future__ import annotations

import logging
from functools import partial
from threading import Event as Flag
from threading import Thread
from time import monotonic

from tidings.errors import HistoryPruned, StoreClosed
from tidings.removing import last_removal
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Sequence

    from tidings.event import Event
    from tidings.store.base import Store

__all__ = ["Follower"]

_log = logging.getLogger("tidings.server")

_WAIT_SECONDS = 0.5
"""How long the store is waited for before the thread sees whether it shall stop."""

_LONGEST_BACKOFF = 5.0

_LOOK_SECONDS = 1.0
"""How often the thread looks whether events were removed from the store."""


class Follower:
    """Reads what is new in a store until it is stopped.

    Args:
        store: what is followed, from its head on.
        loop: where the functions are called.
        begin: told the position from which it follows, at first, after events were pruned away
            before it could read them, and when any were removed: what was handed over before may
            be gone from the store.
        take: told events and the position up to which the log was read.
        pause: how long to wait between two pages (seconds); while it waits, more come together.
    """

    def __init__(
        self,
        store: Store,
        loop: AbstractEventLoop,
        *,
        begin: Callable[[int], None],
        take: Callable[[Sequence[Event], int], None],
        pause: Callable[[], float],
    ) -> None:
        self._store = store
        self._loop = loop
        self._begin = begin
        self._take = take
        self._pause = pause
        self._position: int | None = None
        self._removal = 0
        self._look_at = 0.0
        self._stopped = Flag()
        self._thread = Thread(target=self._run, name="tidings-follower", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop soon; nothing is handed over any more."""
        self._stopped.set()

    def _run(self) -> None:
        backoff = 0.0
        while not self._stopped.wait(backoff):
            try:
                self._follow()
            except StoreClosed:
                return
            except HistoryPruned as error:
                self._begin_at(error.first - 1)
            except Exception as error:  # noqa: BLE001 - whatever it is, streams wait for the next try
                if not backoff:
                    _log.warning("the live stream cannot read the store; trying again: %s", error)
                backoff = min(_LONGEST_BACKOFF, 2 * backoff or 0.1)
            else:
                backoff = 0.0

    def _follow(self) -> None:
        """Hand over what is new, or wait a little for it."""
        if self._position is None:
            self._removal = last_removal(self._store)
            self._begin_at(self._store.head())
            return
        if monotonic() >= self._look_at:
            self._look_for_removals(self._position)
        if self._store.wait(self._position, _WAIT_SECONDS) <= self._position:
            return
        reading = self._store.read(Query(after=self._position))
        while (page := reading.next_page()) is not None and not self._stopped.is_set():
            started = monotonic()
            self._hand_over(partial(self._take, page.events, page.position))
            self._position = page.position
            self._stopped.wait(max(0.0, started + self._pause() - monotonic()))

    def _look_for_removals(self, position: int) -> None:
        """Begin anew where events were removed, here or by another server or command."""
        self._look_at = monotonic() + _LOOK_SECONDS
        removal = last_removal(self._store)
        if removal != self._removal:
            self._begin_at(position)
            self._removal = removal

    def _begin_at(self, position: int) -> None:
        self._hand_over(partial(self._begin, position))
        self._position = position

    def _hand_over(self, call: Callable[[], None]) -> None:
        """Have the event loop call this, and wait until it has."""
        done = Flag()
        failures: list[Exception] = []

        def in_loop() -> None:
            try:
                if not self._stopped.is_set():
                    call()
            except Exception as error:  # noqa: BLE001 - raised again below, in the thread
                failures.append(error)
            finally:
                done.set()

        try:
            self._loop.call_soon_threadsafe(in_loop)
        except RuntimeError:
            self._stopped.set()  # The loop is closed: nobody is left to be told.
            return
        while not done.wait(_WAIT_SECONDS) and not self._stopped.is_set():
            pass
        if failures:
            # What was taken is not known: begin anew at the head, and streams that are behind it
            # read on from the store.
            self._position = None
            raise failures[0]
