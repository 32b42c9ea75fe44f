"""Waking those who wait for the head to move, also when another process or machine moved it.

While somebody waits, one thread a store listens on a connection of its own for the writers'
notifications. They carry nothing, and are a hint only: a pooler, a standby or a lost connection may
swallow them, so the head is also looked at twice a second, and after each reconnect.
"""

from __future__ import annotations

import os
import select
import time
import weakref
from threading import Condition, Thread

import psycopg

from tidings.errors import StoreClosed, StoreUnavailable, TidingsError
from tidings.store.postgres.bookkeeping import numbers, numbers_of
from tidings.store.postgres.failures import passes, translate
from tidings.store.postgres.schema import channel
from tidings.store.postgres.statements import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.postgres.connections import Connections
    from tidings.store.postgres.dialing import Line

__all__ = ["Waker"]

_INTERVAL = 0.5
"""Between two looks when nothing is heard (seconds)."""

_LONGEST_LOOK = 5.0
"""How long a look may take, a new connection included (seconds)."""

_PAUSES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
"""Between two attempts to reach a server that is gone (seconds); the last again and again."""

_LINGER = 10.0
"""How long the thread goes on when nobody waits, so that followers do not connect each time."""


class Waker:
    """Tells waiting threads of a store that the head moved.

    Args:
        connections: the store's connections.

    Attributes:
        trouble: why the head cannot be looked at now, where that is tried again.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._closed = False
        self._start_anew()
        _wakers.add(self)

    def _start_anew(self) -> None:
        self._moved = Condition()
        self._head = -1
        self._waiting = 0
        self._thread: Thread | None = None
        self._bell: _Bell | None = None
        self._failure: TidingsError | None = None
        self.trouble: TidingsError | None = None

    def wait(self, after: int, timeout: float | None) -> int:
        """Return the head once it is past `after`, or when time is up.

        A server that goes away is waited for; one that was never there is an error.

        Raises:
            StoreClosed: the store was closed meanwhile.
            StoreUnavailable: the store cannot be looked at.
        """
        if timeout is not None and timeout <= 0:
            return numbers_of(self._connections.url, self._connections.ask("head")).head
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
            if self._bell is not None:
                self._bell.ring()
            self._moved.notify_all()
        # Not alive where Ctrl-C came while it was being started; it ends by itself then.
        if thread is not None and thread.is_alive():
            thread.join()

    def after_fork_in_child(self) -> None:
        """The parent's thread is not here, and its lock may have been held."""
        if self._bell is not None:
            self._bell.close()
        self._start_anew()

    def _raise_failure(self) -> None:
        if self._closed:
            raise StoreClosed(f"{self._connections.url} was closed while waiting")
        if self._failure is not None:
            raise self._failure

    def _ensure_thread(self) -> None:
        if self._thread is None and not self._closed:
            self._failure = self.trouble = None
            self._head = -1
            self._bell = _Bell()
            self._thread = Thread(
                target=self._listen, args=(self._bell,), name="tidings-waker", daemon=True
            )
            try:
                self._thread.start()
            except RuntimeError:
                # There is none to be had, now; or the next who waits would wait for it for good.
                self._thread = None
                self._bell.close()
                raise
        self._moved.wait_for(self._has_looked)

    def _has_looked(self) -> bool:
        return self._head >= 0 or self._failure is not None or self._closed

    def _move_to(self, head: int) -> None:
        with self._moved:
            if head > self._head:
                self._head = head
                self._moved.notify_all()

    # In the thread --------------------------------------------------------------------------------

    def _listen(self, bell: _Bell) -> None:
        ear = _Ear(self._connections)
        try:
            self._hear(ear, bell)
        except TidingsError as error:
            with self._moved:
                self._failure = error
                self._thread = None
                self._moved.notify_all()
        finally:
            ear.close()
            with self._moved:
                bell.close()

    def _hear(self, ear: _Ear, bell: _Bell) -> None:
        """Look and listen until nobody waits any more, or the store is closed."""
        pauses = iter(_PAUSES)
        pause = 0.0
        idle_since = time.monotonic()
        while not self._closed:
            try:
                self._move_to(ear.head())
                self.trouble = None
                pauses = iter(_PAUSES)
                ear.await_news(bell)
            except StoreUnavailable as error:
                if self._head < 0 or not passes(error):
                    raise
                self.trouble = error
                pause = next(pauses, pause)
                bell.wait(pause)
            if self._waiting:
                idle_since = time.monotonic()
            elif self._may_stop(idle_since):
                return

    def _may_stop(self, idle_since: float) -> bool:
        if time.monotonic() - idle_since < _LINGER:
            return False
        with self._moved:
            if not self._waiting:
                self._thread = None
            return self._thread is None


class _Ear:
    """The connection that listens."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._line: Line | None = None

    def head(self) -> int:
        """The head as it is now."""
        connections = self._connections
        # Whoever closes the store waits for this thread.
        until = time.monotonic() + min(max(connections.deadline, _INTERVAL), _LONGEST_LOOK)
        try:
            if self._line is None:
                self._line = connections.open(until)
                self._line.until = until
                self._begin(self._line)
            self._line.until = until
            return numbers(connections, self._line).head
        except psycopg.Error as error:
            self.close()
            raise translate(error, connections.url, connections.deadline) from error

    def await_news(self, bell: _Bell) -> None:
        """Return when something is heard, the bell rings, or it is time to look again."""
        assert self._line is not None  # noqa: S101 - there is one, once `head` has returned
        try:
            # What came together with the answer to the last look is in no socket any more.
            heard = any(True for _ in self._line.notifies(timeout=0))
        except psycopg.Error as error:
            self.close()
            connections = self._connections
            raise translate(error, connections.url, connections.deadline) from error
        if not heard:
            bell.wait(_INTERVAL, self._line.pgconn.socket)

    def close(self) -> None:
        """Stop listening."""
        if self._line is not None:
            self._connections.drop(self._line)
            self._line = None

    def _begin(self, line: Line) -> None:
        name = quoted(channel(self._connections.address.schema))
        try:
            line.execute(f"LISTEN {name}", prepare=False)
        except psycopg.errors.ReadOnlySqlTransaction:
            return  # A standby tells nobody; the looks must do.


class _Bell:
    """What ends the thread's wait at once."""

    def __init__(self) -> None:
        self._near, self._far = os.pipe()
        self._closed = False

    def ring(self) -> None:
        """End the wait under way, and all later ones."""
        if not self._closed:
            os.write(self._far, b"!")

    def wait(self, seconds: float, socket: int | None = None) -> None:
        """Return when it rings, something can be read from the socket, or the time is over."""
        looking = select.poll()
        looking.register(self._near, select.POLLIN)
        if socket is not None:
            looking.register(socket, select.POLLIN)
        looking.poll(seconds * 1000)

    def close(self) -> None:
        """Let go of it."""
        if not self._closed:
            self._closed = True
            os.close(self._near)
            os.close(self._far)


_wakers: weakref.WeakSet[Waker] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for waker in list(_wakers):
        waker.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
