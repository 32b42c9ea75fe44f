"""The bus for asyncio: the same verbs with `await`, many emitters to one durable write.

Requests go through a queue to one writer thread, which keeps all that wait in one transaction
(group commit): the event loop never waits for a disk, and 64 emitters share an fsync. Each request
keeps its own result and error. Reading happens in worker threads, page by page.
"""

from __future__ import annotations

import asyncio

from tidings.aio.watch import Watch
from tidings.aio.writer import Writer
from tidings.bus import Bus, followed
from tidings.errors import StoreClosed
from tidings.following import has_ended, reading_query
from tidings.store.base import Batch
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import Any, Self, TypeVar

    from tidings.aio.writer import Results
    from tidings.envelope import EventEnvelope
    from tidings.event import Event
    from tidings.handlers import Handler
    from tidings.store.base import Store

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["AsyncBus"]


class AsyncBus:
    """A `Bus` for asyncio; takes the same arguments.

    Use it from one event loop. As an async context manager it closes itself.

    Attributes:
        bus: the bus behind it; its calls block.
        on_commit: told of each durable write, in the thread that wrote: how many batches shared it,
            how many events they held, and how long it took (seconds). None at first.

    >>> async def main() -> str:
    ...     async with AsyncBus("memory:") as bus:
    ...         await asyncio.gather(*(bus.emit("job_done", payload={"n": n}) for n in range(3)))
    ...         return [event.payload["n"] async for event in bus.read()]
    >>> asyncio.run(main())
    [0, 1, 2]
    """

    def __init__(self, store: str | Store | None = None, **options: Any) -> None:
        self.bus = Bus(store, **options)
        self._writer = Writer(self.bus)
        self._watch = Watch(self.bus.store)
        self._closed = False

    @property
    def on_commit(self) -> Callable[[int, int, float], None] | None:
        """See the class."""
        return self._writer.on_commit

    @on_commit.setter
    def on_commit(self, told: Callable[[int, int, float], None] | None) -> None:
        self._writer.on_commit = told

    @property
    def store(self) -> Store:
        """The store behind it; its calls block."""
        return self.bus.store

    @property
    def handlers(self) -> list[Handler]:
        """What `on` was told to call by a name; as `Bus.handlers`."""
        return self.bus.handlers

    def on(self, *types: str, **options: Any) -> Callable[[F], F]:
        """Have a function called for events; as `Bus.on`.

        Listeners are called in the loop: async ones as tasks, plain ones at once, so that they must
        not block it.
        """
        return self.bus.on(*types, **options)

    async def emit(self, event_type: str, *args: Any, **fields: Any) -> Event:
        """Say that something happened; arguments, result and errors as for `Bus.emit`.

        Cancelled before its turn came, nothing is kept. Cancelled while it is being written, it
        waits for the outcome, and the `CancelledError` says what became of it.
        """
        expected_version = fields.pop("expected_version", None)
        event = self.bus.event(event_type, *args, **fields)
        return _only(await self._writer.keep([Batch([event], expected_version)]))[0]

    async def emit_many(self, events: Iterable[Event | Mapping[str, Any]]) -> list[Event]:
        """Keep many events in one append, all or none; as `Bus.emit_many`."""
        return _only(await self._writer.keep([Batch(self.bus.events(events))]))

    async def keep_all(self, batches: Sequence[Batch]) -> list[list[Event] | Exception]:
        """Keep many independent batches at once; as `Bus.keep_all`."""
        return await self._writer.keep(batches)

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
        return _only(await self._writer.keep([Batch([published], expected_version)]))[0]

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

    async def wait(self, after: int, timeout: float | None = None) -> int:
        """Return the head as soon as it is past `after`; as `Store.wait`, but holds no thread.

        Args:
            after: a position.
            timeout: the longest to wait (seconds); none waits for good. The head is returned then
                too.
        """
        await self._watch.moved_past(after, timeout)
        return await asyncio.to_thread(self.store.head)

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
        """Keep what was asked for before, then close the store; followers end.

        Async listeners are waited for, ten seconds at most.
        """
        if self.bus.listeners is not None:
            await self.bus.listeners.finish()  # while they can still emit
        await asyncio.to_thread(self._writer.close)
        if self.bus.listeners is not None:
            await self.bus.listeners.finish()  # those that were told last
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


def _only(results: Results) -> list[Event]:
    """What became of the one batch."""
    (result,) = results
    if isinstance(result, Exception):
        raise result
    return result
