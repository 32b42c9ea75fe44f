"""Listeners: functions called in this process for what a bus keeps. Plain pub/sub, no checkpoint.

Keeps: *a listener never hurts who emits*; what it raises is logged. It promises no delivery: what
was kept elsewhere is not told, and what is under way when the process ends is lost. Whoever needs
more gives the handler a name (`subscriptions`).

A listener is not told of what it emitted itself, directly or through other listeners: two that
answer each other would go on for good.
"""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import wait
from contextvars import ContextVar
from threading import Lock, Thread, current_thread

from tidings.cause import handling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tidings.event import Event
    from tidings.handlers import Handler

__all__ = ["GRACE", "Listeners"]

GRACE = 10.0
"""So long closing waits for async listeners (seconds); what is not done then is cancelled."""

_LAST_WORDS = 1.0
"""So long a listener that was cancelled has to clean up (seconds)."""

_log = logging.getLogger("tidings.listeners")

_under_way: ContextVar[tuple[Handler, ...]] = ContextVar("tidings_listeners", default=())
"""The listeners within which something is emitted just now, the outermost first."""


class Listeners:
    """The listeners of one bus, in the order in which they are called.

    >>> from tidings import Bus
    >>> with Bus("memory:") as bus:
    ...     @bus.on("job.*")
    ...     def show(event):
    ...         print(event.type)
    ...     event = bus.emit("job.done")
    job.done
    """

    def __init__(self) -> None:
        self._listeners: list[Handler] = []
        self._background = _Background()
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, listener: Handler) -> None:
        """Call it too, from now on."""
        self._listeners.append(listener)

    def tell(
        self,
        results: Sequence[list[Event] | Exception],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Tell of what was kept, in this thread.

        Args:
            results: what `Bus.keep_all` gave.
            loop: the one that runs in this thread and takes async listeners as tasks; none has them
                run in a thread of their own.
        """
        for result in results:
            if isinstance(result, list):
                for event in result:
                    for listener in list(self._listeners):
                        if listener not in _under_way.get():
                            self._call_if_wanted(listener, event, loop)

    def _call_if_wanted(
        self, listener: Handler, event: Event, loop: asyncio.AbstractEventLoop | None
    ) -> None:
        token = _under_way.set((*_under_way.get(), listener))
        try:
            if listener.query.matches(event):
                with handling(event):
                    self._call(listener, event, loop)
        except Exception:  # noqa: BLE001 - whatever it is, who emits must not suffer
            _log.exception("%r failed at event %s of type %s", listener, event.id, event.type)
        finally:
            _under_way.reset(token)

    def _call(
        self, listener: Handler, event: Event, loop: asyncio.AbstractEventLoop | None
    ) -> None:
        if not listener.is_async:
            listener.function(event)
        elif loop is None:
            self._background.run(listener, event)
        else:
            task = loop.create_task(_awaited(listener, event))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def finish(self, seconds: float = GRACE) -> None:
        """Wait for the tasks of this loop; what is not done in time is cancelled."""
        loop = asyncio.get_running_loop()
        await _ended(lambda: {task for task in self._tasks if task.get_loop() is loop}, seconds)

    def close(self, seconds: float = GRACE) -> None:
        """Wait for the async listeners that run in a thread of their own; bound as for `finish`."""
        self._background.close(seconds)


class _Background:
    """A thread with an event loop, for the async listeners of a bus that has none."""

    def __init__(self) -> None:
        self._start_anew()

    def _start_anew(self) -> None:
        self._process = os.getpid()
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    def run(self, listener: Handler, event: Event) -> None:
        """Have the loop call a listener; it runs in a copy of this thread's context."""
        if self._process != os.getpid():
            self._leave_to_parent()
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = Thread(
                    target=self._loop.run_forever, name="tidings-listeners", daemon=True
                )
                self._thread.start()
            asyncio.run_coroutine_threadsafe(_awaited(listener, event), self._loop)

    def _leave_to_parent(self) -> None:
        """Begin anew in a forked child: the thread stayed with the parent, maybe with the lock."""
        if self._loop is not None:
            _of_parents.append(self._loop)
        self._start_anew()

    def close(self, seconds: float) -> None:
        """Wait for what runs, then end the thread."""
        if self._process != os.getpid() or self._thread is current_thread():
            return
        with self._lock:
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        ending = asyncio.run_coroutine_threadsafe(_ended(asyncio.all_tasks, seconds), loop)
        wait([ending], seconds + 2 * _LAST_WORDS)
        with self._lock:
            self._loop = self._thread = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_LAST_WORDS)
        if not thread.is_alive():  # else a listener blocks it, and the process takes it along
            loop.close()


_of_parents: list[asyncio.AbstractEventLoop] = []
"""Loops of parent processes. To close one, or to let it be collected, would reach into the parent:
what its selector watches is shared."""


async def _awaited(listener: Handler, event: Event) -> None:
    try:
        await listener.function(event)
    except Exception:  # noqa: BLE001 - nobody else would hear of it
        _log.exception("%r failed at event %s of type %s", listener, event.id, event.type)


async def _ended(tasks: Callable[[], set[asyncio.Task[Any]]], seconds: float) -> None:
    """Wait for tasks and for those that they begin meanwhile; cancel what is late."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while running := tasks() - {asyncio.current_task()}:
        _, late = await asyncio.wait(running, timeout=max(0.0, end - loop.time()))
        if late:
            _log.warning("%d async listeners did not end in time and are cancelled", len(late))
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=_LAST_WORDS)
            return
