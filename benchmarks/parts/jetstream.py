"""A store behind NATS JetStream: appends that read their own writes, and an empty replica.

Measured against nats-py publishing each event alone, 64 at once, on the same server; that publishes
only, while an append is also applied to the replica and read back from there.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator

from nats.aio.client import Client

from benchmarks import sample
from benchmarks.engines import nats
from benchmarks.figures import Figure
from benchmarks.rounds import compare, spread
from benchmarks.workplace import Workplace
from tidings.aio import AsyncBus
from tidings.event import Event
from tidings.store import open_store
from tidings.store.base import Store

_ROUNDS = 11
_WARM_UP = 2
_EMITTERS = 64
_EMITS = 40
"""For each emitter, one after the other."""

_EVENTS = 200_000
_AT_ONCE = 64
_CATCH_UPS = 5


def measure(workplace: Workplace) -> Iterator[Figure]:
    """Both settings of the server, and then a machine that is new."""
    for sync_always in (False, True):
        yield _appends(workplace, sync_always=sync_always)
    yield _catch_up(workplace)


def _appends(workplace: Workplace, *, sync_always: bool) -> Figure:
    with nats(workplace, sync_always=sync_always) as server, asyncio.Runner() as runner:
        replica = workplace.new_directory("replica")
        bus = AsyncBus(f"{server.url}/together?replica={replica}")
        client = runner.run(_connected(server.url))
        things = {"together": _together(runner, bus), "alone": _alone(runner, client)}
        found = compare(things, workplace.rounds(_ROUNDS), workplace.rounds(_WARM_UP))
        runner.run(bus.close())
        runner.run(client.close())
    setting = "sync_interval always" if sync_always else "default sync_interval"
    count = _EMITTERS * _EMITS
    return Figure(
        f"JetStream, {setting}: `AsyncBus.emit` by {_EMITTERS} emitters : nats-py alone",
        found.faster("together", "alone"),
        at_least=1.5,
        detail=f"{count / found.median('together'):,.0f}/s : "
        f"{count / found.median('alone'):,.0f}/s",
    )


async def _connected(url: str) -> Client:
    client = Client()
    await client.connect(url)
    await client.jetstream().add_stream(name="alone", subjects=["alone"])
    return client


def _together(runner: asyncio.Runner, bus: AsyncBus) -> Callable[[], None]:
    async def emitter() -> None:
        for _ in range(_EMITS):
            await bus.emit(sample.TYPE, sample.PROJECT, payload=sample.PAYLOAD)

    async def all_of_them() -> None:
        await asyncio.gather(*(emitter() for _ in range(_EMITTERS)))

    return lambda: runner.run(all_of_them())


def _alone(runner: asyncio.Runner, client: Client) -> Callable[[], None]:
    jetstream = client.jetstream()
    # Encoded once: what it is measured against pays for its messages only.
    event = Event(sample.TYPE, project=sample.PROJECT, payload=sample.PAYLOAD)
    message = json.dumps(event.to_dict()).encode()

    async def emitter() -> None:
        for _ in range(_EMITS):
            await jetstream.publish("alone", message)

    async def all_of_them() -> None:
        await asyncio.gather(*(emitter() for _ in range(_EMITTERS)))

    return lambda: runner.run(all_of_them())


def _catch_up(workplace: Workplace) -> Figure:
    """How fast a machine with no replica has what the stream has."""
    size = workplace.size(_EVENTS, 20_000)
    with nats(workplace) as server:
        with _opened(workplace, server.url) as store:
            for start in range(0, size, _AT_ONCE):
                numbers = range(start, min(start + _AT_ONCE, size))
                store.append([Event(**sample.job_fields(number)) for number in numbers])
        rates = [
            size / _seconds_to_read(workplace, server.url, size)
            for _ in range(workplace.rounds(_CATCH_UPS))
        ]
    return Figure(
        "JetStream: an empty replica catches up",
        spread(rates),
        at_least=25_000,
        unit="events/s",
        detail=f"{size:,} events in messages of {_AT_ONCE}",
    )


def _opened(workplace: Workplace, url: str) -> Store:
    replica = os.path.join(workplace.new_directory("replica"), "replica")
    return open_store(f"{url}/catch-up?replica={replica}", deadline=60)


def _seconds_to_read(workplace: Workplace, url: str, size: int) -> float:
    start = time.perf_counter()
    with _opened(workplace, url) as store:
        assert store.catch_up() == size
    return time.perf_counter() - start
