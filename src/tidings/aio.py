"""The bus for asyncio: the same verbs with `await`, many emitters to one durable write.

Requests go through a queue to one writer thread, which keeps all that wait in one transaction
(group commit): the event loop never waits for a disk, and 64 emitters share an fsync. Each request
keeps its own result and error. Reading happens in worker threads, page by page.
"""

from __future__ import annotations

import asyncio
import os
from queue import SimpleQueue
from threading import Lock, Thread

from tidings.bus import Bus, followed, has_ended, reading_query
from tidings.errors import StoreClosed, TidingsError
from tidings.store.base import Batch
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Any, Self

    from tidings.envelope import EventEnvelope
    from tidings.event import Event
    from tidings.store.base import Store

__all__ = ["AsyncBus"]

_MOST_EVENTS = 1000
"""So many events share a transaction at most: beyond that a larger one gains nothing."""

_WATCH_SECONDS = 0.5
"""How long the watching thread waits before it sees whether anyone still follows."""


class AsyncBus:
    """A `Bus` for asyncio; takes the same arguments.

    Use it from one event loop. As an async context manager it closes itself.

    >>> async def main() -> str:
    ...     async with AsyncBus("memory:") as bus:
    ...         await asyncio.gather(*(bus.emit("job_done", payload={"n": n}) for n in range(3)))
    ...         return [event.payload["n"] async for event in bus.read()]
    >>> asyncio.run(main())
    [0, 1, 2]
    """

    def __init__(self, store: str | Store | None = None, **options: Any) -> None:
        self.bus = Bus(store, **options)
        self._writer = _Writer(self.bus)
        self._watch = _Watch(self.bus.store)
        self._closed = False

    @property
    def store(self) -> Store:
        """The store behind it; its calls block."""
        return self.bus.store

    async def emit(self, event_type: str, *args: Any, **fields: Any) -> Event:
        """Say that something happened; arguments, result and errors as for `Bus.emit`.

        Cancelled before its turn came, nothing is kept. Cancelled while it is being written, it
        waits for the outcome, and the `CancelledError` says what became of it.
        """
        expected_version = fields.pop("expected_version", None)
        event = self.bus.event(event_type, *args, **fields)
        return (await self._writer.keep(Batch([event], expected_version)))[0]

    async def emit_many(self, events: Iterable[Event | Mapping[str, Any]]) -> list[Event]:
        """Keep many events in one append, all or none; as `Bus.emit_many`."""
        return await self._writer.keep(Batch(self.bus.events(events)))

    async def publish(
        self,
        event: Event | EventEnvelope,
        *,
        subject: str | None = None,
        project: str = "",
        expected_version: int | None = None,
    ) -> Event:
        """Keep an event or an envelope as it is; as `Bus.publish`."""
        published = self.bus.published(event, subject, project)
        return (await self._writer.keep(Batch([published], expected_version)))[0]

    async def latest(self, event_type: str | None = None) -> Event | None:
        """The newest event, of one type if given."""
        return await asyncio.to_thread(self.bus.latest, event_type)

    async def history(self, limit: int = 20, **filters: Any) -> list[Event]:
        """The newest events, newest first."""
        return await asyncio.to_thread(self.bus.history, limit, **filters)

    async def read(self, query: Query | None = None, **filters: Any) -> AsyncIterator[Event]:
        """Read events by position; as `Bus.read`."""
        reading = await asyncio.to_thread(self.bus.read, query, **filters)
        while (page := await asyncio.to_thread(reading.next_page)) is not None:
            for event in page.events:
                yield event

    async def follow(
        self, *, after: int = 0, timeout: float | None = None, **filters: Any
    ) -> AsyncIterator[Event]:
        """Give the events past a position, then each new one; as `Bus.follow`."""
        query = followed(Query(**filters))
        loop = asyncio.get_running_loop()
        seen = 0
        last = loop.time()
        try:
            while query.limit is None or seen < query.limit:
                reading = await asyncio.to_thread(self.store.read, reading_query(query, after))
                while (page := await asyncio.to_thread(reading.next_page)) is not None:
                    for event in page.events:
                        if query.contains is None or query.matches(event):
                            seen += 1
                            yield event
                            last = loop.time()
                            if seen == query.limit:
                                return
                after = reading.position
                left = None if timeout is None else timeout - (loop.time() - last)
                if has_ended(query, after, left) or not await self._watch.moved_past(after, left):
                    return
        except StoreClosed:
            if not self._closed:
                raise

    async def wait_for(
        self, *, after: int | None = None, timeout: float | None = None, **filters: Any
    ) -> Event | None:
        """Wait for the first event that matches; as `Bus.wait_for`."""
        start = await asyncio.to_thread(self.store.head) if after is None else after
        following = self.follow(after=start, timeout=timeout, **filters)
        try:
            return await anext(following, None)
        finally:
            await following.aclose()  # type: ignore[attr-defined]  # it is a generator

    async def register_type(self, name: str, *args: Any, **options: Any) -> None:
        """Make an event type known; as `Bus.register_type`."""
        await asyncio.to_thread(self.bus.register_type, name, *args, **options)

    async def list_types(self) -> list[str]:
        """The known event types, sorted."""
        return await asyncio.to_thread(self.bus.list_types)

    async def get_type_info(self, event_type: str) -> dict[str, Any]:
        """What is known of a type."""
        return await asyncio.to_thread(self.bus.get_type_info, event_type)

    async def close(self) -> None:
        """Keep what was asked for before, then close the store; followers end."""
        await asyncio.to_thread(self._writer.close)
        self._closed = True
        self._watch.close()
        await asyncio.to_thread(self.bus.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class _Request:
    """A batch on its way to the writer, and the future its caller waits for."""

    __slots__ = ("batch", "future", "loop", "taken", "withdrawn")

    def __init__(self, batch: Batch, loop: asyncio.AbstractEventLoop) -> None:
        self.batch = batch
        self.loop = loop
        self.future: asyncio.Future[list[Event]] = loop.create_future()
        self.taken = False
        self.withdrawn = False


class _Writer:
    """The thread that keeps what waits in its queue, as much of it as there is at once."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._start_anew()

    def _start_anew(self) -> None:
        self._process = os.getpid()
        self._queue: SimpleQueue[_Request | None] = SimpleQueue()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._closed = False

    async def keep(self, batch: Batch) -> list[Event]:
        """Keep a batch; its result or its error, and no doubt when cancelled."""
        request = _Request(batch, asyncio.get_running_loop())
        self._send(request)
        try:
            return await asyncio.shield(request.future)
        except asyncio.CancelledError:
            if self._withdraw(request):
                raise
            raise asyncio.CancelledError(await _outcome(request.future)) from None

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
        waiting, events = [first], len(first.batch.events)
        ended = False
        while events < _MOST_EVENTS and not self._queue.empty():
            request = self._queue.get()
            if request is None:
                ended = True
                break
            waiting.append(request)
            events += len(request.batch.events)
        with self._lock:
            taken = [request for request in waiting if not request.withdrawn]
            for request in taken:
                request.taken = True
        return taken, ended

    def _write(self, requests: list[_Request]) -> None:
        results: list[list[Event] | Exception]
        try:
            results = self._bus.keep_all([request.batch for request in requests])
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must be told
            results = [error] * len(requests)
        # One call into each loop, not one a request: waking a loop costs a system call.
        answers: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = {}
        for request, result in zip(requests, results, strict=True):
            answers.setdefault(request.loop, []).append(_settle(request.future, result))
        for loop, calls in answers.items():
            _call_in(loop, calls)


def _settle(future: asyncio.Future[Any], result: Any) -> Callable[[], None]:
    """What tells a future its result, called in the future's loop."""

    def settle() -> None:
        if future.done():
            return
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

    return settle


def _call_in(loop: asyncio.AbstractEventLoop, calls: list[Callable[[], None]]) -> None:
    def call_all() -> None:
        for call in calls:
            call()

    try:
        loop.call_soon_threadsafe(call_all)
    except RuntimeError:
        # The loop is closed: nobody is left to be told, and what is kept is kept.
        return


async def _outcome(future: asyncio.Future[list[Event]]) -> str:
    """Wait for a request that is being written, also when cancelled again; say its outcome."""
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue
    error = future.exception()
    if error is not None:
        return f"not kept: {error}"
    position = next((event.position for event in future.result()), None)
    return "kept in the spool" if position is None else f"kept at position {position}"


class _Watch:
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
        """Begin anew in a forked child, as `_Writer` does."""
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
            except TidingsError as error:
                self._fail(error)
            else:
                self._wake(head)

    def _wake(self, head: int, *, everyone: bool = False) -> None:
        for future, loop in self._due(lambda position: everyone or head > position, head):
            _call_in(loop, [_settle(future, head)])

    def _fail(self, error: TidingsError) -> None:
        for future, loop in self._due(lambda _: True):
            _call_in(loop, [_settle(future, error)])

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
