"""Group commit: one thread that keeps what waits in its queue, as much of it as there is at once.

Keeps: each request has its own result and error, and whoever is cancelled while it is written
learns what became of it. It decides nothing about events; the bus does.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from time import perf_counter

from tidings.aio.waking import call_in
from tidings.errors import StoreClosed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from tidings.bus import Bus
    from tidings.event import Event
    from tidings.store.base import Batch

    Results: TypeAlias = list[list[Event] | Exception]

__all__ = ["Writer"]

_MOST_EVENTS = 1000
"""So many events share a transaction at most: beyond that a larger one gains nothing."""


class _Request:
    """Batches on their way to the writer, and what their caller waits for.

    `result` is what became of them, or the one error for all.
    """

    __slots__ = ("_late", "batches", "events", "future", "loop", "result", "taken", "withdrawn")

    def __init__(self, batches: Sequence[Batch], loop: asyncio.AbstractEventLoop) -> None:
        self.batches = batches
        self.events = sum(len(batch.events) for batch in batches)
        self.loop = loop
        self.future: asyncio.Future[Results] = loop.create_future()
        self.result: Results | Exception | None = None
        self.taken = False
        self.withdrawn = False
        self._late: asyncio.Future[None] | None = None

    def settle(self, result: Results | Exception) -> None:
        """Tell the caller what became of it; called in its loop."""
        self.result = result
        if self._late is not None and not self._late.done():
            self._late.set_result(None)
        if self.future.done():
            return
        if isinstance(result, Exception):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)

    async def outcome(self) -> str:
        """Wait until it was written, also when cancelled again; what became of it, in words."""
        while self.result is None:
            self._late = self.loop.create_future()
            try:
                await self._late
            except asyncio.CancelledError:
                continue
        if self.future.done() and not self.future.cancelled():
            self.future.exception()  # Else asyncio complains that nobody asked for it.
        results = [self.result] if isinstance(self.result, Exception) else self.result
        return "; ".join(map(_said, results))


class Writer:
    """The thread that keeps what waits in its queue, as much of it as there is at once."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.on_commit: Callable[[int, int, float], None] | None = None
        self._start_anew()

    def _start_anew(self) -> None:
        self._process = os.getpid()
        self._queue: SimpleQueue[_Request | None] = SimpleQueue()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._closed = False

    async def keep(self, batches: Sequence[Batch]) -> Results:
        """Keep batches; for each its events or its error, and no doubt when cancelled."""
        request = _Request(batches, asyncio.get_running_loop())
        self._send(request)
        try:
            return await request.future
        except asyncio.CancelledError:
            if self._withdraw(request):
                raise
            raise asyncio.CancelledError(await request.outcome()) from None
        finally:
            # Here, because this is the emitter's task and context; also when it was cancelled.
            if self._bus.listeners is not None and isinstance(request.result, list):
                self._bus.listeners.tell(request.result, request.loop)

    def close(self) -> None:
        """Keep what waits, then end."""
        self._ensure_own()
        with self._lock:
            closed, self._closed = self._closed, True
            thread = self._thread
        if thread is not None:
            if not closed:
                self._queue.put(None)
            thread.join()

    def _send(self, request: _Request) -> None:
        self._ensure_own()
        with self._lock:
            if self._closed:
                raise StoreClosed(f"this bus on {self._bus.url} was closed; make a new one")
            if self._thread is None:
                self._thread = Thread(target=self._run, name="tidings-writer", daemon=True)
                self._thread.start()
            self._queue.put(request)

    def _ensure_own(self) -> None:
        """Begin anew in a forked child: the thread stayed with the parent, maybe with the lock."""
        if self._process != os.getpid():
            self._start_anew()

    def _withdraw(self, request: _Request) -> bool:
        with self._lock:
            request.withdrawn = not request.taken
            return request.withdrawn

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            requests, ended = self._drained(first)
            if requests:
                self._write(requests)
            if ended:
                return

    def _drained(self, first: _Request) -> tuple[list[_Request], bool]:
        """All that waits, up to the bound; and whether it was the end."""
        waiting, events = [first], first.events
        ended = False
        while events < _MOST_EVENTS and not self._queue.empty():
            request = self._queue.get()
            if request is None:
                ended = True
                break
            waiting.append(request)
            events += request.events
        with self._lock:
            taken = [request for request in waiting if not request.withdrawn]
            for request in taken:
                request.taken = True
        return taken, ended

    def _write(self, requests: list[_Request]) -> None:
        batches = [batch for request in requests for batch in request.batches]
        started = perf_counter()
        results: Results | Exception
        try:
            results = self._bus.keep_all(batches, tell=False)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must be told
            results = error
        if self.on_commit is not None:
            events = sum(request.events for request in requests)
            self.on_commit(len(batches), events, perf_counter() - started)
        # One call into each loop, not one a request: waking a loop costs a system call.
        settled: dict[asyncio.AbstractEventLoop, list[tuple[_Request, Results | Exception]]] = {}
        start = 0
        for request in requests:
            end = start + len(request.batches)
            own = results if isinstance(results, Exception) else results[start:end]
            settled.setdefault(request.loop, []).append((request, own))
            start = end
        for loop, outcomes in settled.items():
            call_in(loop, partial(_settle_all, outcomes))


def _settle_all(outcomes: list[tuple[_Request, Results | Exception]]) -> None:
    for request, result in outcomes:
        request.settle(result)


def _said(result: list[Event] | BaseException) -> str:
    """One batch's outcome in words."""
    if isinstance(result, BaseException):
        return f"not kept: {result}"
    position = next((event.position for event in result), None)
    return "kept in the spool" if position is None else f"kept at position {position}"
