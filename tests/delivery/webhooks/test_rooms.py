"""Who begins when: the broken wait in a line of their own, and what waits costs nobody anything."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.delivery.webhooks.delivering import MovableClock, endpoint_for, job
from tidings.delivery.webhooks.attempts import Listed
from tidings.delivery.webhooks.channel import Channel
from tidings.delivery.webhooks.courier import Courier
from tidings.delivery.webhooks.feed import Ring
from tidings.delivery.webhooks.rooms import BROKEN_EACH_SECOND, Flight, Rooms
from tidings.delivery.webhooks.shard import Shard
from tidings.delivery.webhooks.standing import Standing
from tidings.store.memory import MemoryStore
from tidings.subscriptions.lease import Lease
from tidings.subscriptions.progress import Attempt, Lane, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.store.base import Store

WHERE = "http://127.0.0.1:9/hook"
FAILED = Attempt(1, 0.1, "HTTPStatus: answered 500", 500)
LIMIT = 4000


class Time:
    """A monotonic time that is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty store."""
    with MemoryStore() as store:
        yield store


def broken_one(store: Store) -> Channel:
    """An endpoint that failed when it was last heard of."""
    standing = Standing(Progress(0), lagging=True, failing_since=1)
    return Channel(endpoint_for(store, WHERE), standing, 0)


def waiting_one(store: Store, due: int) -> Channel:
    """An endpoint at which one event failed, and waits to be tried again."""
    lanes = {"event:1": Lane(1, "e1", due, (FAILED,))}
    return Channel(endpoint_for(store, WHERE), Standing(Progress(1, lanes), lagging=True), 0)


def shard_with(channels: list[Channel], value: dict[str, Any], store: Store) -> Shard:
    """A shard of which this process sends."""
    revision = store.put("webhook-shard/0", value)
    record = store.get("webhook-shard/0")
    assert record is not None
    assert record.revision == revision
    lease = Lease(store, "webhook-shard/0", "w1", record)
    shard = Shard(0, lease, {channel.id: channel for channel in channels})
    shard.sending = True
    return shard


def test_so_many_broken_ones_begin_in_a_second_the_longest_waiting_first(store: Store) -> None:
    """However many broken endpoints wait, few are let in, evenly, and each has its turn."""
    time = Time()
    rooms = Rooms(LIMIT, time)
    channels = [broken_one(store) for _ in range(BROKEN_EACH_SECOND + 20)]
    for channel in channels:
        rooms.of(channel).wait(channel)
    begun: list[Channel] = []
    at_once = 0
    while rooms.waiting and time.now < 101.0:
        before = len(begun)
        for channel in rooms.next():
            Flight(rooms.of(channel), time.now).end()
            begun.append(channel)
        at_once = max(at_once, len(begun) - before)
        pause = rooms.pause()
        assert pause is None or 0 < pause <= 1
        time.now += pause or 0.0
    assert begun == channels[: len(begun)]
    assert BROKEN_EACH_SECOND <= len(begun) < len(channels)
    assert at_once < BROKEN_EACH_SECOND / 5
    assert rooms.waiting == len(channels) - len(begun)


def test_who_is_not_broken_waits_for_no_pace(store: Store) -> None:
    """Endpoints whose requests take long are let in while the broken wait for theirs."""
    time = Time()
    rooms = Rooms(LIMIT, time)
    dead = broken_one(store)
    slow = Channel(endpoint_for(store, WHERE), Standing(Progress(0), lagging=True), 0)
    while rooms.of(dead).has_place:
        Flight(rooms.of(dead), time.now)
    slow.health.takes_long()
    assert rooms.of(slow).has_place
    for channel in (dead, slow):
        rooms.of(channel).wait(channel)
    assert list(rooms.next()) == [slow]
    assert rooms.waiting == 1


def test_a_broken_one_takes_no_place_where_there_is_none(store: Store) -> None:
    """While requests that hang fill the room of the doubtful, no pace lets a broken one in."""
    time = Time()
    rooms = Rooms(8, time)
    dead = broken_one(store)
    flights = []
    while rooms.of(dead).has_place:
        flights.append(Flight(rooms.of(dead), time.now))
        time.now += 1.0
    rooms.of(dead).wait(dead)
    time.now += 10.0
    assert not list(rooms.next())
    assert rooms.pause() is None
    flights[0].end()
    assert list(rooms.next()) == [dead]


class Silent:
    """Sends to endpoints that never answer."""

    limit = LIMIT

    async def send(self, *_: object) -> None:
        """Hang."""
        await asyncio.Event().wait()


async def _begun(store: Store) -> list[int]:
    """How many requests are under way after each look, when many become due at once."""
    clock = MovableClock()
    due = clock.now() + 5_000_000
    (event,) = store.append([job(1)])
    assert event.position == 1
    channels = [waiting_one(store, due) for _ in range(120)]
    shard = shard_with(channels, {"position": 1, "writes": 0}, store)
    with ThreadPoolExecutor(1) as threads:
        silent: Any = Silent()
        courier = Courier(store, silent, clock, Ring(), threads, disable=_nothing, skipped=_nothing)
        for channel in channels:
            courier.look_at(shard, channel)
        assert courier.under_way == 0
        assert courier.look_at_due() == due
        clock.move(10)
        begun = []
        while (next := courier.look_at_due()) is not None and next <= clock.now():
            begun.append(courier.under_way)
        begun.append(courier.under_way)
        await courier.close(0)
    return begun


def _nothing(*_: object) -> None:
    """Nobody is told."""


def test_thousands_that_become_due_at_once_are_taken_in_turns(store: Store) -> None:
    """Between the looks at those that are due, the event loop does other things."""
    assert asyncio.run(_begun(store)) == [50, 100, 120]


async def _writes(store: Store) -> None:
    """What is looked at for each of three writes, and what the shard's position is then."""
    events = store.append([job(n) for n in range(6)])
    waiting = [waiting_one(store, 2_000_000_000_000_000) for _ in range(3)]
    level = Channel(endpoint_for(store, WHERE), Standing(Progress(0), lagging=False), 4)
    shard = shard_with([*waiting, level], {"position": 4, "writes": 0}, store)
    level.take([], None)
    assert level.offer(events[4])
    seen = []
    for _ in range(2):
        waiting[0].attempts.append(Listed(FAILED, "e1", 1, "job.done", "retry"))
        shard.touch(waiting[0])
        snapshot = shard.snapshot(6, 0, all=True)
        assert snapshot is not None
        assert snapshot.position == 4, "an event before the shard's position was not sent yet"
        shard.written(snapshot)
        seen.append(set(snapshot.settled))
    assert seen == [set(shard.channels), {waiting[0].id, level.id}]
    sent = level.next_job(0)
    assert sent is not None
    level.succeeded(sent, events[4], 0)
    shard.touch(level)
    snapshot = shard.snapshot(6, 0, all=True)
    assert snapshot is not None
    assert (snapshot.position, set(snapshot.settled)) == (6, {level.id})
    shard.failed(snapshot)
    again = shard.snapshot(6, 0, all=True)
    assert again is not None
    assert (again.position, set(again.settled)) == (6, {level.id})


def test_a_write_looks_only_at_what_it_may_be_about(store: Store) -> None:
    """Endpoints that wait for their schedule cost a write nothing; nothing unsent is passed by."""
    asyncio.run(_writes(store))
