"""Waking those who wait for the head to move, also when another process moved it.

While somebody waits, one thread a store asks SQLite every few milliseconds whether the file
changed (`PRAGMA data_version`, on a connection of its own: commits of the same connection do not
change it). Watching the file instead would miss commits or report them before they can be read; see
https://www.sqlite.org/pragma.html#pragma_data_version.
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from threading import Condition, Thread

from tidings.errors import StoreClosed, TidingsError
from tidings.store.sqlite.bookkeeping import numbers
from tidings.store.sqlite.failures import translate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.sqlite.connections import Connections

__all__ = ["Waker"]

_INTERVAL = 0.015
"""Between two looks (seconds): wakes within 25 ms at p99, for less than 1 % of a core. Waking up at
all takes a third of that, so fewer looks count for more than cheaper ones."""

_LINGER = 1.0
"""How long the thread goes on when nobody waits, so that followers do not restart it each time."""


class Waker:
    """Tells waiting threads of a store that the head moved.

    Args:
        connections: the store's connections.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._start_anew()
        _wakers.add(self)

    def _start_anew(self) -> None:
        self._moved = Condition()
        self._head = -1
        self._waiting = 0
        self._thread: Thread | None = None
        self._failure: TidingsError | None = None
        self._closed = False

    def wait(self, after: int, timeout: float | None) -> int:
        """Return the head once it is past `after`, or when time is up.

        Raises:
            StoreClosed: the store was closed meanwhile.
            StoreUnavailable: the store can no longer be looked at.
        """
        until = None if timeout is None else time.monotonic() + timeout
        with self._moved:
            self._waiting += 1
            try:
                self._ensure_thread()
                while self._head <= after:
                    self._raise_failure()
                    left = None if until is None else until - time.monotonic()
                    if left is not None and left <= 0:
                        break
                    self._moved.wait(left)
                self._raise_failure()
                return max(self._head, 0)
            finally:
                self._waiting -= 1

    def tell(self, head: int) -> None:
        """Wake those who wait, at once: this process moved the head itself."""
        if self._thread is not None:
            self._move_to(head)

    def close(self) -> None:
        """End every wait."""
        with self._moved:
            self._closed = True
            thread = self._thread
            self._moved.notify_all()
        # Not alive where Ctrl-C came while it was being started; it ends by itself then.
        if thread is not None and thread.is_alive():
            thread.join()

    def after_fork_in_child(self) -> None:
        """The parent's thread is not here, and its lock may have been held."""
        closed = self._closed
        self._start_anew()
        self._closed = closed

    def _raise_failure(self) -> None:
        if self._closed:
            raise StoreClosed(f"{self._connections.path} was closed while waiting")
        if self._failure is not None:
            raise self._failure

    def _ensure_thread(self) -> None:
        if self._thread is None and not self._closed:
            self._failure = None
            self._head = -1
            self._thread = Thread(target=self._poll, name="tidings-waker", daemon=True)
            self._thread.start()
        self._moved.wait_for(self._has_looked)

    def _has_looked(self) -> bool:
        return self._head >= 0 or self._failure is not None or self._closed

    def _move_to(self, head: int) -> None:
        with self._moved:
            if head > self._head:
                self._head = head
                self._moved.notify_all()

    def _poll(self) -> None:
        look = _Look(self._connections)
        idle_since = time.monotonic()
        try:
            while not self._closed:
                head = look.changed_head()
                if head is not None:
                    self._move_to(head)
                if self._waiting:
                    idle_since = time.monotonic()
                elif self._may_stop(idle_since):
                    return
                time.sleep(_INTERVAL)
        except TidingsError as error:
            with self._moved:
                self._failure = error
                self._thread = None
                self._moved.notify_all()
        finally:
            look.close()

    def _may_stop(self, idle_since: float) -> bool:
        if time.monotonic() - idle_since < _LINGER:
            return False
        with self._moved:
            if not self._waiting:
                self._thread = None
            return self._thread is None


class _Look:
    """A look at the file that notices changes."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._connection: sqlite3.Connection | None = None
        self._version = -1

    def changed_head(self) -> int | None:
        """The head if the file changed since the last look, else none."""
        # Plain calls and no context: what runs fifty times a second is cold each time, and every
        # object more shows in what waiting costs.
        connections = self._connections
        connection = connections.take_watcher()
        try:
            version = connection.execute("PRAGMA data_version").fetchone()[0]
            # The number means something on one connection only, and a fork brings a new one.
            if connection is self._connection and version == self._version:
                return None
            self._connection, self._version = connection, version
            return numbers(connection).head
        except sqlite3.Error as error:
            raise translate(error, connections.path, connections.deadline) from error
        finally:
            connections.give_back_watcher()

    def close(self) -> None:
        self._connections.stop_watching()


_wakers: weakref.WeakSet[Waker] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for waker in list(_wakers):
        waker.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
