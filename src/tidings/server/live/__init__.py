"""The live stream: `GET /events/stream`, Server-Sent Events to any number of clients.

    wanted      what a client asks for
    stream      one client: a cursor, and what is sent as it moves
    ring        the newest events, in memory, for all streams
    follower    the thread that reads what is new
    backlog     reading on from the store, where the ring no longer reaches
    selection   what is due, joined once for all streams that ask for the same
    frames      what stands on the line
    timing      how long is waited for what
    operation   the route as the OpenAPI document describes it

Keeps promise 2 (nothing is skipped or repeated, across reconnects and restarts) in memory that does
not grow with slow clients. Webhooks and durable subscriptions are elsewhere: a stream remembers
nothing of a client that has gone.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, time
from weakref import WeakValueDictionary

from tidings.errors import TidingsError
from tidings.record import RECORDED
from tidings.server.calls import BareRoute
from tidings.server.live.backlog import Backlog
from tidings.server.live.follower import Follower
from tidings.server.live.operation import OPERATION
from tidings.server.live.ring import Ring
from tidings.server.live.selection import Selection
from tidings.server.live.stream import Stream
from tidings.server.live.timing import TIMING
from tidings.server.live.wanted import wanted_of
from tidings.server.problems import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from tidings.event import Event
    from tidings.server.calls import Call
    from tidings.server.live.timing import Timing
    from tidings.server.live.wanted import Wanted
    from tidings.server.service import Service
    from tidings.store.base import Store
    from tidings.store.query import Query

    Result = TypeVar("Result")

__all__ = ["BARE", "Live"]

_log = logging.getLogger("tidings.server")

_READERS = 4
"""So many streams read from the store at the same time, at most."""

_PAUSE_PER_STREAM = 100e-6
_LONGEST_PAUSE = 0.1
"""Between two pages, so that what comes quickly is sent together: sending takes about 20 µs a
stream, so it takes a fifth of the event loop's time, and 100 clients wait up to 10 ms longer."""


class Live:
    """All live streams of this process.

    Args:
        service: whose events are streamed.
        timing: how long is waited for what; none for `TIMING`.

    Attributes:
        ring: the newest events.
        backlog: what came before them.
        draining: whether all streams have been told to end.
        timing: see above.
    """

    def __init__(self, service: Service, timing: Timing | None = None) -> None:
        self._service = service
        self.timing = TIMING if timing is None else timing
        self.ring = Ring()
        self.backlog = Backlog(self)
        self.draining = False
        self._streams: set[Stream] = set()
        self._selections: WeakValueDictionary[tuple[Query, str], Selection] = WeakValueDictionary()
        self._follower: Follower | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._idle_since = 0.0
        self._told = ""
        self._ended = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None
        self._catching_up: asyncio.Task[int | None] | None = None

    @property
    def store(self) -> Store:
        """What is streamed; its calls block."""
        return self._service.store

    async def stream(self, call: Call) -> None:
        """Answer `GET /events/stream`.

        Raises:
            InvalidQuery: what is asked for makes no sense.
            Problem: the caller may not have it, or there are too many streams.
            StoreUnavailable: the store cannot be read.
        """
        if self.draining:
            raise Problem(
                503,
                "stopping",
                "this server is stopping; come back in a moment",
                headers=(("retry-after", "1"),),
            )
        wanted = wanted_of(call)
        with self._service.limits.stream_slot(call.caller):
            await self._run(call, wanted)

    async def _run(self, call: Call, wanted: Wanted) -> None:
        comes_back = wanted.until_head and call.header("last-event-id")
        # Who comes back may have been promised more elsewhere than a replica here has yet.
        head = await self.read(self.store.catch_up if comes_back else self.store.head)
        if comes_back and (wanted.after or 0) >= head:
            # An EventSource comes back for ever, unless it is told so (HTML, section 9.2.3).
            await call.send({"type": "http.response.start", "status": 204, "headers": []})
            await call.send({"type": "http.response.body", "body": b""})
            return
        selection = self._selection(wanted)
        stream = Stream(self, call, wanted, selection, head)
        self._streams.add(stream)
        if self.draining:  # which began while the head was read
            self._dismiss(stream)
        self._keep_going()
        self._service.metrics.stream_opened()
        try:
            await stream.run()
        finally:
            self._service.metrics.stream_closed()
            self._streams.discard(stream)
            if not self._streams:
                self._idle_since = monotonic()
                self._ended.set()

    def drain(self) -> None:
        """Tell every client to come back, and end its stream; new ones are refused."""
        if self.draining:
            return
        self.draining = True
        self._dismiss(*self._streams)

    def _dismiss(self, *streams: Stream) -> None:
        """Tell clients to come back; who takes nothing is let go of after a while."""
        for stream in streams:
            stream.dismiss()
        if streams:
            asyncio.get_running_loop().call_later(self.timing.farewell, self._let_go_of_all)

    async def close(self) -> None:
        """End all streams, then stop following the store."""
        self.drain()
        while self._streams:
            self._ended.clear()
            await self._ended.wait()
        if self._timer is not None:
            self._timer.cancel()
        if self._follower is not None:
            self._follower.stop()  # Its thread ends by itself, at the latest when the store closes.
        if self._readers is not None:
            self._readers.shutdown(wait=False)

    def forget(self) -> None:
        """Let go of the events in memory, because some were redacted or pruned in the store.

        A page that is being read may still hold them, so who follows the store begins anew too.
        """
        self._forget_read()
        if self._follower is not None:
            self._follower.stop()
            self._follower = None
        self.ring.stop()
        if self._streams:
            self._keep_going()
            self._wake_all()

    # For streams ----------------------------------------------------------------------------------

    async def read(self, function: Callable[..., Result], *args: Any) -> Result:
        """Call what reads the store in a worker thread, not too many at once."""
        if self._readers is None:
            self._readers = ThreadPoolExecutor(_READERS, "tidings-stream")
        return await asyncio.get_running_loop().run_in_executor(self._readers, function, *args)

    async def caught_up(self) -> int | None:
        """The head once the store has all that anybody was told of; none where it cannot say.

        Asked for all streams at once, but never joined late: what was asked before a client came
        says nothing of what that client was told.
        """
        if self._catching_up is not None:
            await asyncio.wait([self._catching_up])
        if self._catching_up is None or self._catching_up.done():
            self._catching_up = asyncio.create_task(self._catch_up())
        return await asyncio.shield(self._catching_up)

    def delivered(self, events: int) -> None:
        """Count events that were sent to a client."""
        self._service.metrics.delivered(events)

    def tell_of(self, error: TidingsError) -> None:
        """Tell the log why streams wait; of each cause once, however many streams there are."""
        if str(error) != self._told:
            self._told = str(error)
            _log.warning("live streams wait for the store: %s", error)

    async def _catch_up(self) -> int | None:
        try:
            return await self.read(self.store.catch_up)
        except TidingsError as error:
            self.tell_of(error)
            return None

    def _selection(self, wanted: Wanted) -> Selection:
        key = (wanted.query, wanted.naming)
        selection = self._selections.get(key)
        if selection is None:
            selection = self._selections[key] = Selection(*key)
        return selection

    # Following the store --------------------------------------------------------------------------

    def _keep_going(self) -> None:
        """Follow the store and look after streams, from the first stream on."""
        if self._follower is None:
            self._follower = Follower(
                self.store,
                asyncio.get_running_loop(),
                begin=self._begin,
                take=self._take,
                pause=self._pause,
            )
        if self._timer is None:
            self._tick()

    def _begin(self, position: int) -> None:
        self._forget_read()
        self.ring.begin(position)
        self._wake_all()

    def _forget_read(self) -> None:
        self.backlog.forget()
        for selection in list(self._selections.values()):
            selection.forget()

    def _take(self, events: Sequence[Event], position: int) -> None:
        try:
            self.ring.append(events, position, monotonic())
        except Exception:
            self.ring.stop()  # No stream may read from it: something may be missing.
            raise
        self._wake_all()
        recorded = events[-1].record[RECORDED] if events else None
        if recorded is not None:
            self._service.metrics.lag(max(0.0, time() - recorded / 1e6))

    def _pause(self) -> float:
        return min(_LONGEST_PAUSE, _PAUSE_PER_STREAM * len(self._streams))

    def _wake_all(self) -> None:
        for stream in self._streams:
            stream.wake()

    def _tick(self) -> None:
        """Look after all streams at once: a timer for each would cost as much as they do."""
        now = monotonic()
        self.ring.trim(now)
        self._forget_read()
        for stream in self._streams:
            if stream.look_after(now):
                self._service.metrics.slow_client()
            if not self._service.guard.may_stay(stream.caller):
                stream.dismiss()
        if self._asking is None and any(stream.caller.session for stream in self._streams):
            self._asking = asyncio.create_task(self._ask_for_sessions())
        if not self._streams and now - self._idle_since > self.timing.linger:
            self._rest()
            return
        self._timer = asyncio.get_running_loop().call_later(self.timing.tick, self._tick)

    async def _ask_for_sessions(self) -> None:
        """End the streams whose session has ended, here or at another worker."""
        try:
            for session in {stream.caller.session for stream in self._streams} - {""}:
                asked, key = self._service.sessions.recall(session)
                if not asked:
                    key = await self.read(self._service.sessions.look_up, session)
                if key is None:
                    for stream in self._streams:
                        if stream.caller.session == session:
                            stream.dismiss()
        except TidingsError as error:
            self.tell_of(error)
        finally:
            self._asking = None

    def _rest(self) -> None:
        """Nobody streams: the store need not be followed."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._follower is not None:
            self._follower.stop()
            self._follower = None
        self.ring.stop()

    def _let_go_of_all(self) -> None:
        for stream in list(self._streams):
            stream.let_go()


async def _stream(call: Call) -> None:
    await call.service.live.stream(call)


BARE = (BareRoute("GET", "/events/stream", "read", _stream, OPERATION),)
"""The route of the live stream."""
