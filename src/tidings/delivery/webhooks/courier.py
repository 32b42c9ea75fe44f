"""The courier: begins requests when there is room for them, and takes in what came of each.

Keeps promise 3 together with `channel`, which says what may be sent: here it is read, sent and
noted, many at once in one event loop. Whatever fails, a channel is told; what is not known to have
been sent is sent again. Nothing is written from here; that is the engine's.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import islice

from tidings.delivery.webhooks.attempts import Listed
from tidings.delivery.webhooks.reading import Read, event_at, read_lane, read_on
from tidings.delivery.webhooks.rooms import PROMPT_SECONDS, Flight, Rooms, Timetable
from tidings.errors import HistoryPruned, OutcomeUnknown, StoreClosed, StoreUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor
    from typing import Any, TypeVar

    from tidings.clock import Clock
    from tidings.delivery.webhooks.channel import Channel
    from tidings.delivery.webhooks.feed import Ring
    from tidings.delivery.webhooks.job import Job
    from tidings.delivery.webhooks.sending import Sender, Sent
    from tidings.delivery.webhooks.shard import Shard
    from tidings.event import Event
    from tidings.store.base import Store

    T = TypeVar("T")

__all__ = ["Courier"]

_FEW = 200
"""So many events of the ring are looked through for an endpoint; of more the store is asked."""

_LOOKS_A_TURN = 50
"""So many endpoints whose time has come are looked at before the event loop does other things."""

_AGAIN_SECONDS = 1.0
"""How long what needs the store waits while that is away."""

_log = logging.getLogger("tidings.webhooks")


class Courier:
    """Sends what channels have to send.

    Args:
        store: where events are.
        sender: what makes an attempt.
        clock: what time it is.
        ring: the newest events, fed.
        threads: where the store is called.
        disable: told of an endpoint that is to be disabled, why, and the last attempt.
        skipped: told of an endpoint from whose reading events were pruned, and what is left.

    Attributes:
        sent: how many attempts succeeded.
        failed: how many did not.
        ahead: channels that wait until the feed has come as far as they have.
    """

    def __init__(
        self,
        store: Store,
        sender: Sender,
        clock: Clock,
        ring: Ring,
        threads: Executor,
        *,
        disable: Callable[[Shard, Channel, str, Listed], None],
        skipped: Callable[[Channel, HistoryPruned], None],
    ) -> None:
        self.sent = self.failed = 0
        self.ahead: dict[str, tuple[Shard, Channel]] = {}
        self._store = store
        self._sender = sender
        self._clock = clock
        self._ring = ring
        self._threads = threads
        self._disable = disable
        self._skipped = skipped
        self._timetable = Timetable()
        self._serving: dict[str, Shard] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._rooms = Rooms(sender.limit, self._loop.time)
        self._letting_in: asyncio.TimerHandle | None = None
        self._closing = False

    # What the engine says ------------------------------------------------------------------------

    def look_at(self, shard: Shard, channel: Channel) -> None:
        """Begin whatever may begin for an endpoint now."""
        now = self._clock.now()
        self._serving[channel.id] = shard
        while shard.sending and not self._closing:
            self._begin_requests(shard, channel, now)
            if not (wanted := channel.wants_more(now)) or not self._read_on(shard, channel, wanted):
                break
        self._timetable.set(channel, channel.next_due(now))

    def look_at_due(self) -> int | None:
        """Look at endpoints whose time has come; returns the next instant, past if there are more.

        When thousands come due at once, what the living are sent goes ahead in between.
        """
        for channel in islice(self._timetable.due(self._clock.now()), _LOOKS_A_TURN):
            self._look_again(channel)
        self._let_in_later()  # a request that was broken off before it began told nobody
        return self._timetable.next()

    def feed_moved(self) -> None:
        """The feed was moved on: some may have waited for that."""
        ahead, self.ahead = self.ahead, {}
        for shard, channel in ahead.values():
            if shard.channels.get(channel.id) is channel:
                self.look_at(shard, channel)

    @property
    def under_way(self) -> int:
        """How many requests are under way."""
        return self._rooms.taken

    @property
    def waiting(self) -> int:
        """How many endpoints wait for room."""
        return self._rooms.waiting

    async def close(self, grace: float) -> None:
        """Let requests end for so long (seconds), then break them off: they are made again."""
        self._closing = True
        if self._letting_in is not None:
            self._letting_in.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Requests ------------------------------------------------------------------------------------

    def _look_again(self, channel: Channel) -> None:
        shard = self._serving.get(channel.id)
        if shard is not None and shard.channels.get(channel.id) is channel:
            self.look_at(shard, channel)

    def _begin_requests(self, shard: Shard, channel: Channel, now: int) -> None:
        """Begin what may begin, as far as there is room."""
        room = self._rooms.of(channel)
        while channel.may_send(now):
            if not room.has_place:
                room.wait(channel)
                self._let_in_later()
                return
            job = channel.next_job(now)
            if job is None:
                return
            shard.touch(channel)
            flight = Flight(room, self._loop.time())
            flight.task = self._start(shard, self._send(shard, channel, job, flight))
            # Not at the end of `_send`: one that is cancelled at once never begins.
            flight.task.add_done_callback(flight.end)
            self._watch(channel, flight)

    def _start(self, shard: Shard, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        for tasks in (self._tasks, shard.tasks):
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        return task

    async def _send(self, shard: Shard, channel: Channel, job: Job, flight: Flight) -> None:
        try:
            event = job.event or await self._event_of(channel, job)
            if event is None:
                channel.lose(job)
                self._settle(shard, channel, job, None)
                return
            sent = await self._sender.send(channel.endpoint, event)
            channel.health.answered(slowly=self._loop.time() - flight.began > PROMPT_SECONDS)
            self._came_of(shard, channel, job, event, sent)
        except StoreClosed:
            return
        except asyncio.CancelledError:
            if not flight.broken_off:
                raise
            channel.abandon(job)
        except (StoreUnavailable, OutcomeUnknown):
            await self._again_later(channel, job)
        except Exception:  # noqa: BLE001 - a bug must not keep the rest from being sent
            _log.exception("sending to webhook %s failed; it is tried again", channel.id)
            await self._again_later(channel, job)
        finally:
            flight.end()
            shard.touch(channel)
            self._go_on(shard, channel)

    async def _again_later(self, channel: Channel, job: Job) -> None:
        try:
            await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            channel.abandon(job)

    def _go_on(self, shard: Shard, channel: Channel) -> None:
        """A request has ended: go on with those who wait for room, then with its endpoint."""
        if self._closing:
            return
        self._fill_rooms()
        if shard.channels.get(channel.id) is channel:
            self.look_at(shard, channel)

    def _fill_rooms(self) -> None:
        for waiting in self._rooms.next():
            self._look_again(waiting)
        self._let_in_later()

    def _let_in_later(self) -> None:
        """Have those who wait let in at their pace, also where no request ends."""
        if self._letting_in is None and (pause := self._rooms.pause()) is not None:
            self._letting_in = self._loop.call_later(pause, self._let_in)

    def _let_in(self) -> None:
        self._letting_in = None
        if not self._closing:
            self._fill_rooms()

    def _watch(self, channel: Channel, flight: Flight) -> None:
        """Look at a request now and then, so that one that takes long is in nobody's way."""
        flight.timer = self._loop.call_later(PROMPT_SECONDS, self._is_slow, channel, flight)

    def _is_slow(self, channel: Channel, flight: Flight) -> None:
        if self._rooms.clear_way(flight, self._loop.time()):
            channel.health.takes_long()
            self._fill_rooms()
        else:
            self._watch(channel, flight)

    def _came_of(self, shard: Shard, channel: Channel, job: Job, event: Event, sent: Sent) -> None:
        now = self._clock.now()
        listed = Listed(sent.attempt, event.id, job.position, event.type, job.trigger)
        channel.attempts.append(listed)
        if sent.verdict == "ok":
            self.sent += 1
            channel.succeeded(job, event, now)
            settled = job.waiting
        else:
            self.failed += 1
            settled = channel.failed(job, event, sent.attempt, sent.pause, now)
            if sent.verdict == "gone":
                self._disable(shard, channel, "gone", listed)
            elif channel.health.is_failing_for_good(now):
                self._disable(shard, channel, "failing", listed)
        if settled:
            self._settle(shard, channel, job, event)

    # Lanes ---------------------------------------------------------------------------------------

    def _settle(self, shard: Shard, channel: Channel, job: Job, event: Event | None) -> None:
        if channel.settle(job.lane, job.position, self._clock.now()):
            kind, _, id = job.lane.removeprefix("of:").partition("/")
            if event is not None:
                kind, id = event.aggregate_type or "", event.aggregate_id or ""
            self._start(shard, self._find_next(shard, channel, job, (kind, id)))

    async def _find_next(
        self, shard: Shard, channel: Channel, job: Job, about: tuple[str, str]
    ) -> None:
        """Find the next events of a job's lane, which is about an aggregate (type and id)."""
        while True:
            through = channel.passed(job.lane)
            try:
                read = await self._in_thread(
                    read_lane, self._store, channel.query, about, job.position, through
                )
            except HistoryPruned:
                continue  # pruned just now, while it was read
            except (StoreUnavailable, OutcomeUnknown):
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            all = read.all and through == channel.passed(job.lane)
            if not channel.found(job.lane, job.position, read.events, all=all):
                break
        shard.touch(channel)
        self._go_on(shard, channel)

    async def _event_of(self, channel: Channel, job: Job) -> Event | None:
        """The event of a job, as it is kept now; none where it was pruned."""
        try:
            return await self._in_thread(event_at, self._store, job.position)
        except HistoryPruned as error:
            self._skipped(channel, error)
            return None

    # Reading on ----------------------------------------------------------------------------------

    def _read_on(self, shard: Shard, channel: Channel, wanted: int) -> bool:
        """Read more for an endpoint that is not fed; returns whether that was done already."""
        after = channel.read or 0
        if after > self._ring.end:
            self.ahead[channel.id] = (shard, channel)
            return False
        events = self._ring.after(after) if after >= self._ring.start else None
        if events is None or len(events) > _FEW:
            channel.reading = True
            self._start(shard, self._read_from_store(shard, channel, wanted))
            return False
        events = list(islice((one for one in events if channel.query.matches(one)), wanted))
        enough = len(events) == wanted
        channel.take(events, events[-1].position if enough else None)
        shard.touch(channel)
        return bool(events)

    async def _read_from_store(self, shard: Shard, channel: Channel, wanted: int) -> None:
        after, query, turn = channel.read or 0, channel.query, channel.turn
        before = self._ring.end + 1
        try:
            read = await self._in_thread(read_on, self._store, query, after, before, wanted)
        except HistoryPruned as error:
            self._skipped(channel, error)
            read = Read([], error.first - 1, all=False)
        except (StoreUnavailable, OutcomeUnknown):
            await asyncio.sleep(_AGAIN_SECONDS)
            read = None
        finally:
            channel.reading = False
        if read is not None and (channel.read, channel.query, channel.turn) == (after, query, turn):
            channel.take(read.events, read.position)
            shard.touch(channel)
        self._go_on(shard, channel)

    async def _in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        return await self._loop.run_in_executor(self._threads, call, *arguments)
