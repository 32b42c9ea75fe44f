"""Serving: what the engine's event loop does, from the first lease to the last write.

It takes the shards whose leases come, reads the log once for all of their endpoints (`feed`), finds
who wants an event (`matching`), has it sent (`courier`) and has written how far each endpoint has
come (`writing`). It keeps promise 3 by its order: what was sent is written after it was sent, by
whoever holds the lease. Whatever the store does, it waits and goes on.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tidings.delivery.webhooks.attending import Attending
from tidings.delivery.webhooks.courier import Courier
from tidings.delivery.webhooks.endpoints import Endpoints
from tidings.delivery.webhooks.feed import MOST_EVENTS, Feed, Ring
from tidings.delivery.webhooks.keys import SHARDS, shard_key, shard_of
from tidings.delivery.webhooks.matching import Matching
from tidings.delivery.webhooks.shard import Shard, load
from tidings.delivery.webhooks.telling import tell_disabled, tell_skipped, tell_skipped_by_many
from tidings.delivery.webhooks.writing import BUSY_SECONDS, Writing
from tidings.errors import NotFound, OutcomeUnknown, StoreUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from threading import Event as Signal
    from typing import Any, TypeVar

    from tidings.clock import Clock
    from tidings.delivery.webhooks.attempts import Listed
    from tidings.delivery.webhooks.channel import Channel
    from tidings.delivery.webhooks.sending import Sender
    from tidings.errors import HistoryPruned
    from tidings.event import Event
    from tidings.store.base import Store
    from tidings.subscriptions.leases import Lease, Leases

    T = TypeVar("T")

__all__ = ["Serving"]

_TURN_SECONDS = 0.25
"""The longest pause between two looks at clock and leases."""

_COMPARE_SECONDS = 60.0
"""How often all endpoints are compared with those known, in case a change was not noted."""

_LEAVE_SECONDS = 2.0
"""So long requests may take before a shard is handed over; those that take longer are made again by
whoever takes it. All its endpoints wait meanwhile."""

_LAST_SECONDS = 2.0
"""So long its end waits for what needs the store, each time."""

_MANY = 1000
"""So many endpoints are hidden from the garbage collector."""

_AGAIN_SECONDS = 1.0
_STORE_THREADS = 2
"""More would only take turns with the event loop, which has to wait for each."""

_MICROSECONDS = 1_000_000

_log = logging.getLogger("tidings.webhooks")


class Serving:
    """One life of the engine's event loop; used from there alone, but for `wake` and `counts`.

    Args:
        store: whose events and endpoints they are.
        leases: what this process holds.
        clock: what time it is.
        sender: what makes an attempt.
    """

    def __init__(self, store: Store, leases: Leases, clock: Clock, sender: Sender) -> None:
        self._store = store
        self._leases = leases
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._awake = asyncio.Event()
        self._threads = ThreadPoolExecutor(_STORE_THREADS, "tidings-webhooks")
        self._writer = ThreadPoolExecutor(1, "tidings-webhooks-writer")
        self._ring = Ring()
        self._feed: Feed | None = None
        self._matching = Matching()
        self._shards: dict[int, Shard] = {}
        self._loading = False
        self._compare_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._courier = Courier(
            store,
            sender,
            clock,
            self._ring,
            self._threads,
            disable=self._disable,
            skipped=self._skipped,
        )
        self._attending = Attending(
            store,
            clock,
            self._shards,
            self._matching,
            self._courier,
            self._ring,
            self._threads,
            self._writer,
            self._start,
        )
        self._writing = Writing(
            store,
            self._shards,
            self._ring,
            self._writer,
            self._start,
            removed=self._attending.forget,
            lost=self._drop,
        )

    def wake(self) -> None:
        """Look at clock and leases now; from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._awake.set)
        except RuntimeError:
            return  # the loop has ended

    def counts(self) -> dict[str, int]:
        """As `Webhooks.counts`; from any thread."""
        courier = self._courier
        return {
            "sent": courier.sent,
            "failed": courier.failed,
            "under_way": courier.under_way,
            "waiting": courier.waiting,
            "endpoints": sum(len(shard.channels) for shard in list(self._shards.values())),
        }

    async def until(self, stopping: Signal) -> None:
        """Serve until this is set."""
        await self._attending.begin()
        while not stopping.is_set():
            self._awake.clear()
            due = self._turn()
            rest = BUSY_SECONDS if self._courier.under_way else _TURN_SECONDS
            if due is not None:
                rest = min(rest, max(0.0, (due - self._clock.now()) / _MICROSECONDS))
            try:
                async with asyncio.timeout(rest):
                    await self._awake.wait()
            except TimeoutError:
                continue

    async def finish(self, grace: float) -> None:
        """Let requests end for so long (seconds), and write what there is to write."""
        if self._feed is not None:
            self._feed.stop()
        await self._courier.close(grace)
        # Not for ever: if the store is away, who delivers next begins with what was written before.
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_SECONDS)
        last = [self._start(self._writing.write_last(shard)) for shard in self._shards.values()]
        if last:
            await asyncio.wait(last, timeout=_LAST_SECONDS)

    def let_go(self) -> None:
        """End its threads."""
        if self._feed is not None:
            self._feed.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._writer.shutdown(wait=False, cancel_futures=True)

    def _turn(self) -> int | None:
        """One look at everything; returns the next instant when something is due."""
        self._see_leases()
        now = self._loop.time()
        if now >= self._compare_at and self._shards:
            self._compare_at = now + _COMPARE_SECONDS
            self._start(self._attending.look(compare=True))
        self._writing.turn(self._courier.sent + self._courier.failed)
        return self._courier.look_at_due()

    # Shards --------------------------------------------------------------------------------------

    def _see_leases(self) -> None:
        new = {}
        for number in range(SHARDS):
            lease = self._leases.held(shard_key(number))
            shard = self._shards.get(number)
            if shard is not None and not self._keep(shard, lease):
                self._drop(shard)
                shard = None
            if shard is None and lease is not None:
                if lease.wanted:
                    self._start(self._give_up(lease))
                else:
                    new[number] = lease
        if new and not self._loading:
            self._loading = True
            self._start(self._load(new))

    def _keep(self, shard: Shard, lease: Lease | None) -> bool:
        """Note whether a shard may be served now; returns whether it may be again."""
        if shard.lease.lost or lease not in (None, shard.lease):
            return False
        held = lease is not None and not lease.wanted
        may_send = held and shard.ready and not shard.leaving
        if may_send and not shard.sending:
            shard.sending = True
            # All: one that lags and about which all is written is not among the busy.
            for channel in list(shard.channels.values()):
                self._courier.look_at(shard, channel)
        shard.sending = may_send
        if shard.lease.wanted and not shard.leaving:
            shard.leaving = True
            self._start(self._leave(shard))
        return True

    async def _give_up(self, lease: Lease) -> None:
        """Another process is to serve a shard that was not even loaded here."""
        await self._in_thread(self._leases.release, lease.key)

    async def _load(self, leases: dict[int, Lease]) -> None:
        self._attending.remember()
        try:
            calls = [self._in_thread(load, self._store, *item) for item in leases.items()]
            loaded = await asyncio.gather(*calls)
            ids = {id for each in loaded for id in each.channels}
            await self._writing.learn(ids)
            head = await self._in_thread(self._store.head)
            await self._begin([each for each in loaded if self._holds(each)], head)
        except (StoreUnavailable, OutcomeUnknown):
            await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            self._loading = False

    async def _begin(self, shards: Sequence[Shard], head: int) -> None:
        """Serve shards, from what people asked for while nobody served them."""
        if self._feed is None and shards:
            self._begin_feed(_first_position(shards, head))
        for shard in shards:
            self._shards[shard.number] = shard
            self._attending.begin_shard(shard.number)
            for channel in shard.channels.values():
                self._matching.add(channel.id, channel.query)
        await self._attending.loaded()
        if sum(len(shard.channels) for shard in shards) >= _MANY:
            # They stay, and a collection that walks through all of them takes up to half a second,
            # in which nothing is sent.
            gc.freeze()
        for shard in shards:
            shard.ready = True
        self._awake.set()

    def _holds(self, shard: Shard) -> bool:
        return self._leases.held(shard.lease.key) is shard.lease

    def _begin_feed(self, position: int) -> None:
        self._ring.begin(position)
        self._feed = Feed(
            self._store,
            self._loop,
            position,
            take=self._take,
            skipped=self._feed_skipped,
            removed=self._removed,
            rang=lambda: self._start(self._attending.look()),
        )

    async def _leave(self, shard: Shard) -> None:
        """Hand a shard over: let its requests end, write, give the lease up."""
        shard.sending = False
        if shard.tasks:
            await asyncio.wait(shard.tasks, timeout=_LEAVE_SECONDS)
        for task in list(shard.tasks):
            task.cancel()
        await self._writing.write_last(shard)
        self._drop(shard)
        await self._in_thread(self._leases.release, shard.lease.key)

    def _drop(self, shard: Shard) -> None:
        """Serve a shard no longer; what is under way is broken off, and nothing is written."""
        if self._shards.get(shard.number) is shard:
            del self._shards[shard.number]
        shard.sending = False
        for task in list(shard.tasks):
            task.cancel()
        for id in shard.channels:
            self._matching.remove(id)
        shard.channels.clear()
        shard.busy.clear()

    # The feed ------------------------------------------------------------------------------------

    def _take(self, events: Sequence[Event], end: int) -> None:
        self._ring.append(events, end)
        moved: dict[str, tuple[Shard, Channel]] = {}
        for event in events:
            for id in self._matching.wanting(event):
                shard = self._shards.get(shard_of(id))
                channel = None if shard is None else shard.channels.get(id)
                if shard is None or channel is None or channel.read is not None:
                    continue
                shard.touch(channel)
                channel.offer(event)
                moved[id] = shard, channel
        for shard, channel in moved.values():
            self._courier.look_at(shard, channel)
        self._courier.feed_moved()

    def _feed_skipped(self, position: int) -> None:
        """Events were pruned before the feed could read them."""
        self._ring.begin(position)
        for shard in self._shards.values():
            level = sum(not channel.standing.lagging for channel in shard.channels.values())
            if level:
                call = partial(tell_skipped_by_many, self._store, shard.number, level, position + 1)
                self._start(self._patiently(call))
        self._courier.feed_moved()

    def _removed(self) -> None:
        """Events were redacted or pruned: what is in memory is read again before it is sent."""
        self._ring.begin(self._ring.end)
        for shard in self._shards.values():
            for channel in list(shard.busy.values()):
                channel.drop_queue()
                self._courier.look_at(shard, channel)

    def _skipped(self, channel: Channel, error: HistoryPruned) -> None:
        self._start(
            self._patiently(partial(tell_skipped, self._store, channel.endpoint, error.first))
        )

    # What endpoints do ----------------------------------------------------------------------------

    def _disable(self, shard: Shard, channel: Channel, why: str, last: Listed) -> None:
        """Stop an endpoint because of what it did."""
        endpoint, since = channel.endpoint, channel.health.failing_since
        channel.reconfigure(endpoint._replace(disabled=why))
        shard.touch(channel)

        def told() -> None:
            try:
                Endpoints(self._store).disable(endpoint.id, why, endpoint.url)
            except NotFound:
                return
            tell_disabled(self._store, endpoint, why, since, last)

        self._start(self._patiently(told))

    # Threads and tasks ---------------------------------------------------------------------------

    async def _in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        return await self._loop.run_in_executor(self._threads, call, *arguments)

    async def _patiently(self, call: Callable[[], object]) -> None:
        """Call this in a thread, again and again while the store is away."""
        while True:
            try:
                await self._in_thread(call)
            except (StoreUnavailable, OutcomeUnknown):
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("delivering webhooks: a task failed", exc_info=error)


def _first_position(shards: Sequence[Shard], head: int) -> int:
    """From where the feed begins: where those that keep up are, and those only a little behind."""
    level: list[int] = [each.lease.value["position"] for each in shards if each.level]
    behind: list[int] = [
        max(channel.read or 0, head - MOST_EVENTS)
        for each in shards
        for channel in each.channels.values()
        if channel.endpoint.active
    ]
    return min([head, *level, *behind])
