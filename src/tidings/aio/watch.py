"""Watching the head: one thread wakes every coroutine that waits for new events.

It reads no events; who is woken does.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from threading import Lock, Thread

from tidings.aio.waking import call_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.store.base import Store

__all__ = ["Watch"]

_WATCH_SECONDS = 0.5
"""How long the watching thread waits before it sees whether anyone still follows."""


class Watch:
    """Wakes the coroutines that follow when the head moves; one thread for all of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._closed = False
        self._start_anew()

    def _start_anew(self) -> None:
        self._process = os.getpid()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._waiting: dict[asyncio.Future[int], tuple[int, asyncio.AbstractEventLoop]] = {}
        self._head = 0

    async def moved_past(self, position: int, timeout: float | None) -> bool:
        """Wait until the head is past a position; false when time is up or the bus closed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        self._ensure_own()
        with self._lock:
            if self._closed:
                return False
            if self._head > position:
                return True  # it moved since the follower read on
            self._waiting[future] = (position, loop)
            self._ensure_thread()
        try:
            # Not `wait_for`: before Python 3.12 it could swallow a cancellation.
            async with asyncio.timeout(timeout):
                return await future > position
        except TimeoutError:
            return False
        finally:
            with self._lock:
                self._waiting.pop(future, None)

    def close(self) -> None:
        """Wake everybody for good."""
        self._ensure_own()
        with self._lock:
            self._closed = True
        self._wake(-1, everyone=True)

    def _ensure_own(self) -> None:
        """Begin anew in a forked child, as `Writer` does."""
        if self._process != os.getpid():
            self._start_anew()

    def _ensure_thread(self) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._run, name="tidings-watch", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._closed or not self._waiting:
                    self._thread = None
                    return
            try:
                # Past the last head known, so that it does not matter who comes to wait meanwhile.
                head = self._store.wait(self._head, _WATCH_SECONDS)
            except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must be told
                self._fail(error)
            else:
                self._wake(head)

    def _wake(self, head: int, *, everyone: bool = False) -> None:
        for future, loop in self._due(lambda position: everyone or head > position, head):
            call_in(loop, partial(_tell, future, head))

    def _fail(self, error: Exception) -> None:
        for future, loop in self._due(lambda _: True):
            call_in(loop, partial(_tell, future, error))

    def _due(
        self, is_due: Callable[[int], bool], head: int = 0
    ) -> list[tuple[asyncio.Future[int], asyncio.AbstractEventLoop]]:
        """Take those who are due off the list of those who wait."""
        with self._lock:
            self._head = max(self._head, head)
            due = [
                (future, loop)
                for future, (position, loop) in self._waiting.items()
                if is_due(position)
            ]
            for future, _ in due:
                del self._waiting[future]
        return due


def _tell(future: asyncio.Future[int], said: int | Exception) -> None:
    """Tell a waiting coroutine the head, or why there is none."""
    if future.done():
        return
    if isinstance(said, Exception):
        future.set_exception(said)
    else:
        future.set_result(said)
