"""One client's stream: a cursor, and what is sent as it moves.

Keeps promise 2: what is sent next is what comes past the cursor, from the ring where that covers it
and else from the store, so nothing is skipped or repeated; and what the client was sent last is the
`id` it comes back with. A stream holds no events of its own.
"""

from __future__ import annotations

import asyncio
from random import uniform
from time import monotonic

from tidings.errors import HistoryPruned, TidingsError
from tidings.server.live import frames
from tidings.server.live.selection import CHUNK_EVENTS, Due

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.server.access import Caller
    from tidings.server.calls import Call
    from tidings.server.live import Live
    from tidings.server.live.selection import Selection
    from tidings.server.live.wanted import Wanted

__all__ = ["Stream"]

_RECONNECT_SECONDS = 2.0
_FAREWELL_SECONDS = (0.5, 5.0)
"""Between these each client comes back when the server stops, so that not all come at once."""

_BACKOFF_SECONDS = (0.5, 1.5)

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        # `no-transform`, and the last line for nginx: a proxy that collects or packs the stream
        # would hold events back.
        (b"cache-control", b"no-store, no-transform"),
        (b"x-accel-buffering", b"no"),
    ],
}


class Stream:
    """One client's stream.

    Args:
        live: what all streams share.
        call: the client's.
        wanted: what it asked for.
        selection: which events, shared with streams that ask for the same.
        head: the store's head when the client asked.
    """

    __slots__ = (
        "_ask_again_at",
        "_asking",
        "_call",
        "_cursor",
        "_dismissed",
        "_fresh",
        "_gone",
        "_is_ahead",
        "_last",
        "_left",
        "_let_go",
        "_live",
        "_selection",
        "_sending_since",
        "_sent_at",
        "_task",
        "_told",
        "_waiter",
        "_woken",
    )

    def __init__(
        self, live: Live, call: Call, wanted: Wanted, selection: Selection, head: int
    ) -> None:
        self._live = live
        self._call = call
        self._selection = selection
        self._cursor = head if wanted.after is None else wanted.after
        self._told = self._cursor
        self._fresh = wanted.after is None
        self._left = wanted.limit
        ends = [] if wanted.before is None else [wanted.before - 1]
        self._last = min([*ends, head]) if wanted.until_head else next(iter(ends), None)
        self._dismissed = False
        self._gone = False
        self._let_go = False
        self._woken = False
        self._waiter: asyncio.Future[None] | None = None
        self._task = asyncio.current_task()
        self._sending_since: float | None = None
        self._sent_at = monotonic()
        self._is_ahead = self._cursor > head
        self._asking: asyncio.Task[int | None] | None = None
        self._ask_again_at = 0.0

    async def run(self) -> None:
        """Send events until the client, the server or what was asked for ends."""
        watching = asyncio.create_task(self._watch())
        try:
            await self._begin()
            while not self._is_over():
                await self._go_on()
            await self._end()
        except asyncio.CancelledError:
            if not self._let_go or self._task is None:
                raise
            self._task.uncancel()
        finally:
            watching.cancel()
            if self._asking is not None:
                self._asking.cancel()

    def wake(self) -> None:
        """There may be something to do."""
        self._woken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def look_after(self, now: float) -> bool:
        """See whether it was silent for too long, and whether the client takes what it is sent.

        Returns:
            Whether the client was let go, as it took nothing for too long.
        """
        if self._gone:
            return False
        if self._sending_since is not None:
            slow = now - self._sending_since > self._live.timing.slow
            if slow:
                self.let_go()
            return slow
        if self._is_silent(now):
            self.wake()
        return False

    @property
    def caller(self) -> Caller:
        """Who reads it."""
        return self._call.caller

    def dismiss(self) -> None:
        """End soon, with a word to the client to come back."""
        self._dismissed = True
        self.wake()

    def let_go(self) -> None:
        """End at once, whatever the client has not taken yet."""
        self._gone = self._let_go = True
        abort = self._call.scope.get("extensions", {}).get("tidings.abort")
        if abort is not None:
            abort()
        elif self._task is not None:
            self._task.cancel()
        self.wake()

    # Its life -------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        await self._call.send(dict(_START))
        # A client that named no position is told it at once: if it loses the connection before its
        # first event, it must come back to where it was.
        mark = self._mark() if self._fresh else b""
        await self._send((frames.reconnect_after(_RECONNECT_SECONDS) + mark,))

    async def _go_on(self) -> None:
        """Send what is due, or wait until something is."""
        self._woken = False
        due = await self._due()
        if due is None:
            await self._stay(uniform(*_BACKOFF_SECONDS))  # noqa: S311 - no secret
        elif due.position == self._cursor and not due.parts:
            await self._stay()
        else:
            await self._move(due)

    async def _move(self, due: Due) -> None:
        """Send what is due and stand where it ends."""
        self._cursor = due.position
        if due.parts:
            self._told = due.last_id
            if self._left is not None:
                self._left -= due.events
            await self._send(due.parts)
            self._live.delivered(due.events)
        else:
            await asyncio.sleep(0)  # A long search: others have their turn.

    async def _stay(self, seconds: float | None = None) -> None:
        """Nothing is due: show that the stream lives, and wait, so long at most."""
        if self._is_silent(monotonic()):
            await self._send((self._mark() if self._cursor > self._told else frames.HEARTBEAT,))
        elif self._is_ahead:
            await self._wait_for_head()
        else:
            await self._wait(seconds)

    async def _end(self) -> None:
        body = b""
        if self._dismissed:
            mark = self._mark() if self._cursor > self._told else b""
            body = frames.farewell(uniform(*_FAREWELL_SECONDS)) + mark  # noqa: S311 - no secret
        await self._send((body,), more=False)

    def _is_over(self) -> bool:
        return (
            self._gone
            or self._dismissed
            or self._left == 0
            or (self._last is not None and self._cursor >= self._last)
        )

    async def _watch(self) -> None:
        """Notice at once that the client has gone."""
        while (await self._call.receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self.wake()

    # What is due ----------------------------------------------------------------------------------

    async def _due(self) -> Due | None:
        """What is due; none where the store cannot say now.

        The client is then kept, as it would only come back.
        """
        live = self._live
        most = CHUNK_EVENTS if self._left is None else min(CHUNK_EVENTS, self._left)
        try:
            if live.ring.covers(self._cursor):
                return self._selection.due(live.ring, self._cursor, most, self._last)
            return await live.backlog.due(self._selection, self._cursor, most, self._last)
        except HistoryPruned as error:
            return self._gap("pruned", error.first)
        except TidingsError as error:
            live.tell_of(error)
            return None

    def _gap(self, reason: str, first: int) -> Due:
        return Due((frames.gap(reason, self._cursor, first),), first - 1, 0, first - 1)

    async def _wait_for_head(self) -> None:
        """Wait for a head that is still behind the cursor, as it is where a replica lags.

        That the position does not exist is told only when the store has caught up with everything
        that anybody was told of, and is behind even so: it is another store, or an older copy.
        """
        live, now = self._live, monotonic()
        if live.ring.end >= self._cursor:
            self._is_ahead = False
        elif self._asking is None and now >= self._ask_again_at:
            self._ask_again_at = now + live.timing.ahead
            self._asking = asyncio.create_task(live.caught_up())
            self._asking.add_done_callback(lambda _: self.wake())
        elif self._asking is not None and self._asking.done():
            head, self._asking = self._asking.result(), None
            if head is not None and head < self._cursor:
                self._is_ahead = False
                await self._move(self._gap("ahead", head + 1))
        else:
            await self._wait(max(0.0, self._ask_again_at - now) or None)

    # Sending and waiting --------------------------------------------------------------------------

    def _mark(self) -> bytes:
        self._told = self._cursor
        return frames.position_mark(self._cursor)

    async def _send(self, parts: Sequence[bytes], *, more: bool = True) -> None:
        for part in parts:
            if self._gone:
                return
            self._sending_since = monotonic()
            try:
                await self._call.send(
                    {"type": "http.response.body", "body": part, "more_body": more}
                )
            except OSError:  # as servers of ASGI 2.4 say that the client has gone
                self._gone = True
        self._sending_since = None
        self._sent_at = monotonic()

    def _is_silent(self, now: float) -> bool:
        timing = self._live.timing
        return now - self._sent_at >= timing.heartbeat - timing.tick

    async def _wait(self, seconds: float | None = None) -> None:
        """Wait until woken, or so long at most."""
        if self._woken:
            return
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._waiter
        except TimeoutError:
            pass
        finally:
            self._waiter = None
