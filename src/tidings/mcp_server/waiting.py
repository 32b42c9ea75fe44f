"""Waiting for an event: for a bounded time, with news for the client, and no thread held.

Keeps promise 2 for models: who goes on from the position of the answer misses nothing. However many
wait, what is new is read once; nobody waits longer than their key counts, or than the server lives.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from mcp.server.mcpserver.exceptions import ToolError

from tidings.bus import followed
from tidings.errors import NotAllowed, StoreUnavailable
from tidings.following import reading_query
from tidings.searching import position_of
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    from tidings.aio import AsyncBus
    from tidings.event import Event
    from tidings.mcp_server.access import Access
    from tidings.mcp_server.making import Ground

    Progress: TypeAlias = Callable[[float, float, str], Awaitable[None]]

__all__ = ["Came", "Waits"]

_NEWS_SECONDS = 5.0
"""How often the client is told that the tool still waits; clients give up on silent ones."""


class Came(NamedTuple):
    """What came.

    Attributes:
        event: the first that matched; none where time was up.
        position: up to where was looked.
        seconds: how long it took.
        message: what to do where none came; empty where one did.
    """

    event: Event | None
    position: int
    seconds: float
    message: str


class _Waiter:
    """Somebody who waits.

    Args:
        query: what for.
        after: only for events past this position.

    Attributes:
        query: as given.
        after: as given.
        came: the event, once it came; none where no more can come.
    """

    def __init__(self, query: Query, after: int) -> None:
        self.query = query
        self.after = after
        self.came: asyncio.Future[Event | None] = asyncio.get_running_loop().create_future()


class Waits:
    """Everybody who waits on one server.

    Args:
        ground: the bus, the door clients came in by, and what is set when the server ends.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._waiters: set[_Waiter] = set()
        self._follower: asyncio.Task[None] | None = None
        self._begun: asyncio.Future[None] | None = None
        self._position = 0
        """The follower has looked so far, for everybody who waited by then."""

    async def wait(
        self, access: Access, query: Query, after: int | None, seconds: float, tell: Progress
    ) -> Came:
        """Wait for the first event past a position that matches.

        Args:
            access: what the client may see.
            query: which one, narrowed to that. Events of `tidings.*` are left out unless it names
                them.
            after: a position; none for new events only.
            seconds: the longest to wait.
            tell: told of the time that passed, of the time there is, and of where things stand.

        Raises:
            ToolError: the store went away meanwhile; it says from where to go on.
            TidingsError: as for `Store.read`; or the client may not wait, or not any more.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        bus = self._ground.bus()
        with self._ground.door.place(access):
            head = await asyncio.to_thread(bus.store.head)
            position = head if after is None else after
            waiter = _Waiter(followed(query), position)
            try:
                # Whoever waits is known before it is read what there is: nothing comes between.
                await self._join(waiter, bus)
                event, position = await _read_on(bus, waiter.query, position)
                if event is None:
                    event = await self._await(waiter, access, begun, seconds, tell)
                    position = max(position, self._position)
            except StoreUnavailable as error:
                raise _away(error, max(position, self._position)) from error
            finally:
                self._leave(waiter)
        if event is not None:
            return Came(event, event.position or position, loop.time() - begun, "")
        return Came(None, position, loop.time() - begun, self._advice(position, head))

    async def _await(
        self, waiter: _Waiter, access: Access, begun: float, seconds: float, tell: Progress
    ) -> Event | None:
        """What comes, in time, while the client's key counts and the server does not end."""
        told = -_NEWS_SECONDS
        loop = asyncio.get_running_loop()
        while (passed := loop.time() - begun) < seconds and not self._ends():
            if passed - told >= _NEWS_SECONDS:
                told = passed
                await tell(passed, seconds, f"no match up to position {self._position}")
            left = min(_NEWS_SECONDS, seconds - passed)
            await asyncio.wait([waiter.came], timeout=left)
            if not await self._ground.door.still_admits(access):
                raise NotAllowed("your key does not count any more, so the wait ended")
            if waiter.came.done():
                break
        return waiter.came.result() if waiter.came.done() else None

    def _advice(self, position: int, head: int) -> str:
        if self._ends():
            return f"this server is stopping; call again with after={position} when it is back"
        if position > max(head, self._position):
            return (
                f"position {position} is ahead of the newest event, {head}; leave after out to "
                f"wait for new events"
            )
        return f"no event came that matches; call again with after={position} to go on waiting"

    def _ends(self) -> bool:
        return self._ground.ending is not None and self._ground.ending.is_set()

    # Following ------------------------------------------------------------------------------------

    async def _join(self, waiter: _Waiter, bus: AsyncBus) -> None:
        self._waiters.add(waiter)
        if self._follower is None or self._begun is None:
            self._begun = asyncio.get_running_loop().create_future()
            self._follower = asyncio.create_task(self._follow(bus, self._begun))
        await asyncio.wait([self._begun])

    def _leave(self, waiter: _Waiter) -> None:
        self._waiters.discard(waiter)
        if not waiter.came.cancel() and not waiter.came.cancelled():
            waiter.came.exception()  # It was heard of, or nobody is left to hear.
        if not self._waiters and self._follower is not None:
            self._follower.cancel()
            self._follower = None

    async def _follow(self, bus: AsyncBus, begun: asyncio.Future[None]) -> None:
        """Read what is new, once for all, until nobody waits."""
        ending = asyncio.create_task(self._end_all())
        try:
            self._position = await asyncio.to_thread(bus.store.head)
            begun.set_result(None)
            while True:
                await bus.wait(self._position)
                reading = await asyncio.to_thread(bus.store.read, Query(after=self._position))
                while (page := await asyncio.to_thread(reading.next_page)) is not None:
                    # Those who come from here on find this page in the store.
                    waiters = [each for each in self._waiters if not each.came.done()]
                    for waiter, event in await asyncio.to_thread(_matches, page.events, waiters):
                        if not waiter.came.done():
                            waiter.came.set_result(event)
                    self._position = page.position
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must be told
            for waiter in self._waiters:
                if not waiter.came.done():
                    waiter.came.set_exception(error)
        finally:
            ending.cancel()
            if self._follower is asyncio.current_task():
                self._follower = None
            if not begun.done():
                begun.set_result(None)

    async def _end_all(self) -> None:
        """Let everybody go when the server is about to end."""
        if self._ground.ending is not None:
            await self._ground.ending.wait()
            for waiter in self._waiters:
                if not waiter.came.done():
                    waiter.came.set_result(None)


def _matches(events: Sequence[Event], waiters: Sequence[_Waiter]) -> list[tuple[_Waiter, Event]]:
    """For each who finds one among these events, the first that matches."""
    found = []
    for waiter in waiters:
        new = (event for event in events if position_of(event) > waiter.after)
        first = next(filter(waiter.query.matches, new), None)
        if first is not None:
            found.append((waiter, first))
    return found


async def _read_on(bus: AsyncBus, query: Query, after: int) -> tuple[Event | None, int]:
    """The first event past a position that matches, and up to where was looked."""
    reading = await asyncio.to_thread(bus.store.read, reading_query(query, after))
    while (page := await asyncio.to_thread(reading.next_page)) is not None:
        for event in page.events:
            if query.contains is None or query.matches(event):
                return event, event.position or after
    return None, max(after, reading.position)


def _away(error: StoreUnavailable, position: int) -> ToolError:
    if isinstance(error, NotAllowed):
        return ToolError(f"{error}. This is for the user to settle, not to be tried again.")
    return ToolError(
        f"The event store went away while waiting ({type(error).__name__}). Nothing is lost: call "
        f"again with after={position} in a few seconds."
    )
