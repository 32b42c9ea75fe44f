"""A `logging.Handler` that keeps log records as events.

Keeps promise 4: whoever logs waits for no store. Records wait in bounded memory, and one thread
keeps whatever waits in one durable write; where the store is away they go to the spool as any
event. What finds no room, or no place at all, is counted and told: in the next event that is kept,
and once on standard error. Records of Tidings itself, and of the driver of its store, are passed
over, so that nothing feeds on itself. For a few hundred records a second, not for debug output.
"""

from __future__ import annotations

import logging
import os
import sys
from collections import deque
from contextlib import suppress
from threading import Condition, Thread, current_thread
from weakref import WeakSet

from tidings.bus import Bus
from tidings.errors import InvalidEvent
from tidings.integrations.log_records import Telling, type_of
from tidings.store.base import Batch
from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.event import Event

__all__ = ["LogHandler"]

MOST_WAITING = 10_000
"""So many records wait to be kept; more are dropped, and counted."""

_AT_ONCE = 200
_DRIVERS = {"postgresql": "psycopg", "nats": "nats"}
"""The loggers of what a store stands on."""


class LogHandler(logging.Handler):
    """Keeps log records as events of the types `log.debug` to `log.critical`.

    Args:
        store: where: a URL, or none for `TIDINGS_URL`.
        project: what the events belong to.
        level: only records of this level and above.
        patience: how long `flush`, and with it the end of the process, waits for what is not kept
            yet (seconds).
        redact: whether what looks like a secret becomes `[redacted]`, as in the texts of AI agents.

    Raises:
        InvalidSetting: the URL names no backend, or a pattern of `TIDINGS_AGENT_REDACT` is none.

    `dictConfig` takes it as `{"class": "tidings.LogHandler", "project": "figrecipe"}`. Fields that
    were given as `extra` are in the event's payload.

    >>> log = logging.getLogger("fit")
    >>> log.addHandler(LogHandler(project="figrecipe"))
    >>> log.warning("no convergence after %d steps", 40, extra={"residual": 0.2})
    >>> from tidings import default_bus
    >>> event = default_bus().wait_for(after=0, types="log.warning", timeout=60)
    >>> event.payload["message"], event.payload["extra"]
    ('no convergence after 40 steps', {'residual': 0.2})
    >>> log.handlers[0].close()
    >>> log.removeHandler(log.handlers[0])
    """

    def __init__(
        self,
        store: str | None = None,
        project: str = "",
        level: int | str = logging.WARNING,
        patience: float = 2.0,
        *,
        redact: bool = True,
    ) -> None:
        self._telling = Telling(redact=redact)
        # First, since it may fail: logging would flush a handler that was never made.
        self._bus = Bus(store)
        # Loaded here and not in the thread: a fork in the middle of an import there would leave the
        # child a module that is never whole.
        _ = self._bus.catalog, self._bus.spool
        super().__init__(level)
        self._project = project
        self._patience = patience
        driver = _DRIVERS.get(self._bus.url.partition(":")[0])
        self._ours = ("tidings",) if driver is None else ("tidings", driver)
        self._is_closed = False
        self.start_anew()
        _living.add(self)

    def start_anew(self) -> None:
        """Begin with nothing, also in a forked child: what waits is the parent's to keep."""
        self._changed = Condition()
        self._waiting: deque[Event] = deque()
        self._thread: Thread | None = None
        self._is_busy = self._has_told = False
        self._dropped = 0

    # Logging's side -------------------------------------------------------------------------------

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record; what comes of keeping records is passed over."""
        if record.name.partition(".")[0] in self._ours or current_thread() is self._thread:
            return False
        return super().handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Have a record kept; it returns at once."""
        try:
            event = self._event(record)
        except InvalidEvent as error:
            self._drop(1, error)
            return
        except Exception:  # noqa: BLE001 - as every handler: a bad format is told, not raised
            self.handleError(record)
            return
        with self._changed:
            if self._is_closed or len(self._waiting) >= MOST_WAITING:
                self._dropped += 1
                return
            self._waiting.append(event)
            self._ensure_thread()
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until everything is kept, or for as long as there is patience."""
        with self._changed:
            if current_thread() is not self._thread:
                self._changed.wait_for(self._is_idle, self._patience)

    def close(self) -> None:
        """Keep what waits, as `flush`, and let go of the store; again does nothing."""
        self.flush()
        with self._changed:
            was_closed, self._is_closed = self._is_closed, True
            self._dropped += len(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
            is_idle, thread = self._is_idle(), self._thread
        if not was_closed and self._dropped:
            self._tell(f"{self._dropped} records could not be kept before the end")
        # A store is not closed under a thread that uses it; the process is about to end.
        if not was_closed and is_idle:
            if thread is not None:
                thread.join(self._patience)
            self._bus.close()
        super().close()

    def _event(self, record: logging.LogRecord) -> Event:
        status = "failure" if record.levelno >= logging.ERROR else ""
        return self._bus.event(
            type_of(record.levelno),
            self._project,
            status,
            self._telling.payload_of(record),
            timestamp=format_instant(int(record.created * 1_000_000)),
        )

    def _is_idle(self) -> bool:
        return not self._waiting and not self._is_busy

    # The thread's side ----------------------------------------------------------------------------

    def _ensure_thread(self) -> None:
        """Have a thread that keeps what waits; the lock is held."""
        if self._thread is not None:
            return
        self._thread = Thread(target=self._run, name="tidings-log", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            # The process is ending, or has no room for a thread.
            self._thread = None
            self._keep(*self._next())
            return
        _flush_where_children_end(self)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                if not self._waiting:
                    return
                self._is_busy = True
                events, dropped = self._next()
            self._keep(events, dropped)

    def _next(self) -> tuple[list[Event], int]:
        """The next events to be kept, and how many were dropped before; the lock is held."""
        events = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
        dropped, self._dropped = self._dropped, 0
        return events, dropped

    def _keep(self, events: list[Event], dropped: int) -> None:
        """Keep events, and another one that tells how many were dropped."""
        counts = [1] * len(events)
        if dropped:
            events.append(
                self._bus.event("log.dropped", self._project, "failure", {"records": dropped})
            )
            counts.append(dropped)
        results: list[list[Event] | Exception]
        try:
            results = self._bus.keep_all([Batch([event]) for event in events])
        except Exception as error:  # noqa: BLE001 - a bug here must not end the program's logging
            results = [error] * len(events)
        for result, count in zip(results, counts, strict=True):
            if isinstance(result, Exception):
                self._drop(count, result)

    def _drop(self, number: int, error: Exception) -> None:
        """Count records that are kept nowhere, and tell of the first."""
        with self._changed:
            self._dropped += number
            is_first, self._has_told = not self._has_told, True
        if is_first:
            self._tell(f"log records cannot be kept: {error}")

    def _tell(self, what: str) -> None:
        if logging.raiseExceptions and sys.stderr is not None:
            with suppress(OSError, ValueError):  # it is closed: nobody is left to be told
                sys.stderr.write(f"tidings: {what}\n")


_living: WeakSet[LogHandler] = WeakSet()


def _start_all_anew() -> None:
    for handler in list(_living):
        handler.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_all_anew)


def _flush_where_children_end(handler: LogHandler) -> None:
    """Have a process of `multiprocessing` flush at its end: it does not end as others do."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(handler, handler.flush, exitpriority=0)
