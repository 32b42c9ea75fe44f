"""Who begins when: the broken wait in a line of their own, and what waits costs nobody anything."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.delivery.webhooks.by_hand import (
    WHERE,
    broken_one,
    made_anew,
    shard_with,
    waiting_one,
)
from tests.delivery.webhooks.delivering import MovableClock, endpoint_for, job
from tidings.delivery.webhooks.channel import Channel
from tidings.delivery.webhooks.courier import Courier
from tidings.delivery.webhooks.feed import Ring
from tidings.delivery.webhooks.rooms import BROKEN_EACH_SECOND, Flight, Rooms, Timetable
from tidings.delivery.webhooks.standing import Standing
from tidings.store.memory import MemoryStore
from tidings.subscriptions.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.store.base import Store

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


def test_the_broken_keep_a_share_of_the_places(store: Store) -> None:
    """While others that live, but take long, fill the room again and again, one is let in."""
    time = Time()
    rooms = Rooms(80, time)
    slow = Channel(endpoint_for(store, WHERE), Standing(Progress(0), lagging=True), 0)
    slow.health.takes_long()
    while rooms.of(slow).has_place:
        Flight(rooms.of(slow), time.now)
    dead = broken_one(store)
    rooms.of(dead).wait(dead)
    rooms.of(slow).wait(slow)
    time.now += 10.0
    assert list(rooms.next()) == [dead]


def test_who_waited_before_its_shard_was_loaded_anew_waits_again(store: Store) -> None:
    """What stands in a line, or in the timetable, is not taken for what was made since."""
    rooms, old = Rooms(LIMIT, Time()), broken_one(store)
    new = made_anew(old)
    for channel in (old, new):
        rooms.of(channel).wait(channel)
    assert new in list(rooms.next())
    timetable, old = Timetable(), waiting_one(store, 1000)
    new = made_anew(old)
    for channel in (old, new):
        timetable.set(channel, channel.next_due(0))
    assert new in list(timetable.due(2000))


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
