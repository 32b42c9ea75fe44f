"""What is written of a shard, and when: nothing that was not sent is passed by."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.delivery.webhooks.by_hand import FAILED, WHERE, shard_with, waiting_one
from tests.delivery.webhooks.delivering import endpoint_for, job
from tidings.delivery.webhooks.attempts import AttemptLog, Listed
from tidings.delivery.webhooks.channel import Channel
from tidings.delivery.webhooks.keys import STANDING
from tidings.delivery.webhooks.shard import load_channel, write
from tidings.delivery.webhooks.standing import Standing
from tidings.errors import StoreUnavailable
from tidings.store.base import Batch
from tidings.store.memory import MemoryStore
from tidings.subscriptions.progress import Lane, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.store.base import Store

FOR_LONG = 30
"""More attempts than the schedule has."""


class Away(MemoryStore):
    """A store that is away after so many more writes to a shard, or for every removal."""

    def __init__(self) -> None:
        super().__init__()
        self.left: int | None = None
        self.removes = True

    def append_all(self, batches: Any) -> Any:
        """See `Store.append_all`."""
        batches = list(batches)
        keys = [put.key for batch in batches for put in Batch(*batch).put]
        if self.left is not None and any(key.startswith("webhook-shard/") for key in keys):
            self.left -= 1
            if self.left < 0:
                raise StoreUnavailable("it is away")
        return super().append_all(batches)

    def delete(self, key: str, revision: int | None = None) -> bool:
        """See `Store.delete`."""
        if not self.removes:
            raise StoreUnavailable("it is away")
        return super().delete(key, revision)


@pytest.fixture
def store() -> Iterator[Away]:
    """An empty store."""
    with Away() as store:
        yield store


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


def hanging(store: Store) -> Channel:
    """An endpoint that took two of six events, keeps up since, and has not answered the third."""
    events = store.append([job(n) for n in range(6)])
    endpoint, standing = endpoint_for(store, WHERE), Standing(Progress(2), lagging=True)
    store.put(STANDING + endpoint.id, standing.to_value())
    channel = Channel(endpoint, standing, 0)
    channel.take(events[2:], None)
    under_way = channel.next_job(0)
    assert under_way is not None
    assert under_way.position == 3
    return channel


def goes_on_from(store: Store, channel: Channel) -> int:
    """The position from which whoever loads an endpoint now goes on."""
    record = store.get("webhook-shard/0")
    assert record is not None
    loaded = load_channel(store, channel.id, record.value["position"])
    assert loaded is not None
    return loaded.progress.position


async def _failed_after_all_was_written(store: Away) -> None:
    channel, log = hanging(store), AttemptLog(store)
    shard = shard_with([channel], {"position": 6, "writes": 0}, store)
    shard.asks.append("webhook-ask/a")
    snapshot = shard.snapshot(6, 0, all=True)
    assert snapshot is not None
    store.removes = False
    with pytest.raises(StoreUnavailable):
        write(store, snapshot, log)
    shard.failed(snapshot)
    store.removes = True
    level = Channel(endpoint_for(store, WHERE), Standing(Progress(0), lagging=False), 6)
    level.read = None
    shard.add(level)
    snapshot = shard.snapshot(6, 6, all=True)  # by now the one that hangs lags
    assert snapshot is not None
    write(store, snapshot, log)
    assert goes_on_from(store, channel) == 2


def test_a_write_that_failed_when_all_was_written_loses_nothing(store: Away) -> None:
    """What may be in the ledger already is written again, also where it is as it was before."""
    asyncio.run(_failed_after_all_was_written(store))


async def _died_in_the_middle(store: Away) -> None:
    channel = hanging(store)
    shard = shard_with([channel], {"position": 6, "writes": 0}, store)
    snapshot = shard.snapshot(6, 0, all=True)
    assert snapshot is not None
    assert snapshot.position == 2
    large = {f"wh_{n}": {"text": "x" * 200_000} for n in (1, 2)}
    store.left = 1
    with pytest.raises(StoreUnavailable):
        write(
            store, snapshot._replace(standings={**snapshot.standings, **large}), AttemptLog(store)
        )
    assert goes_on_from(store, channel) == 2


def test_a_write_in_parts_loses_nothing_if_it_ends_between_two(store: Away) -> None:
    """No part has a position past what those that rely on it have reached."""
    asyncio.run(_died_in_the_middle(store))


async def _given_up_twice(store: Away) -> None:
    (event,) = store.append([job(1)])
    attempts = (FAILED,) * FOR_LONG
    lanes = {
        "event:1": Lane(1, event.id, 0, attempts),
        "replay:1": Lane(1, event.id, 0, attempts, alone=True),
    }
    standing = Standing(Progress(1, lanes), lagging=True)
    channel = Channel(endpoint_for(store, WHERE, concurrency=2), standing, 0)
    shard = shard_with([channel], {"position": 1, "writes": 0}, store)
    for _ in range(2):
        begun = channel.next_job(10)
        assert begun is not None
        assert channel.failed(begun, event, FAILED, None, 10)
        channel.settle(begun.lane, 1, 10)
    shard.touch(channel)
    snapshot = shard.snapshot(1, 0, all=True)
    assert snapshot is not None
    write(store, snapshot, AttemptLog(store))
    assert len(store.keys("dead-letter/")) == 1


def test_an_event_that_is_given_up_twice_is_one_dead_letter(store: Away) -> None:
    """In its lane and as a replay at once; the shard goes on being written."""
    asyncio.run(_given_up_twice(store))


async def _held(store: Away) -> None:
    events = store.append([job(n, about="a") for n in range(4)])
    lanes = {"of:thing/a": Lane(1, events[0].id, 0, (FAILED,))}
    standing = Standing(Progress(4, lanes), lagging=True)
    channel = Channel(endpoint_for(store, WHERE), standing, 0)
    shard = shard_with([channel], {"position": 4, "writes": 0}, store)
    begun = channel.next_job(10)
    assert begun is not None
    channel.succeeded(begun, events[0], 10)
    assert channel.settle(begun.lane, 1, 10)
    channel.health.failed(FAILED, 60.0, 20)  # another lane was asked to pause
    channel.found(begun.lane, 1, events[1:], all=True)
    snapshot = shard.snapshot(4, 0, all=True)
    assert snapshot is not None
    shard.written(snapshot)
    assert channel.id in shard.busy


def test_who_holds_events_is_told_that_some_were_redacted(store: Away) -> None:
    """Also events of a lane that rests: they are read again before they are sent."""
    asyncio.run(_held(store))
