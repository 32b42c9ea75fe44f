"""Workers are killed at random while events flow: none is lost, and order holds (promise 3)."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event as Flag
from time import monotonic
from uuid import uuid4

import pytest

from tests.engines.nats import NatsServer
from tests.engines.postgres import shared_postgres
from tests.subscriptions.nursery import Nursery
from tidings import Bus, Event
from tidings.store.query import Query
from tidings.subscriptions.registry import Subscriptions
from tidings.testing.elsewhere import PATIENCE

THINGS, EVENTS = 20, 1_500
KILLS = 3


@pytest.fixture(params=["sqlite", "postgres", "jetstream"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty store on each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/events.db"
    elif request.param == "postgres":
        server = shared_postgres(request.config)
        schema = f"killed_{uuid4().hex}"
        yield server.url(schema=schema)
        server.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    else:
        with NatsServer(tmp_path / "nats") as nats:
            yield f"{nats.url}/{uuid4().hex}?replica={tmp_path}/replica"


def test_killed_workers_lose_and_disorder_nothing(url: str, tmp_path: Path) -> None:
    """Each event is handled at least once, in order for each aggregate, and followed up once."""
    with Bus(url, deadline=PATIENCE) as bus, Nursery(url, tmp_path / "notes") as nursery:
        for _ in range(3):
            nursery.start()
        for part in range(KILLS):
            _tell(bus, part)
            at_least = (2 * part + 1) * EVENTS // (2 * KILLS)
            _until(partial(_has_noted, nursery, at_least))
            nursery.kill(random.choice(nursery.workers))
            nursery.start()
        _until(lambda: len(set(nursery.noted())) == EVENTS)
        _until(lambda: bus.store.count(Query(types="followed")).value >= EVENTS)
        for worker in list(nursery.workers):
            nursery.kill(worker, signal.SIGTERM)
            _until(partial(nursery.has_ended, worker))
        followed = Counter(event.payload["n"] for event in bus.read(types="followed"))
        states = {state.name: state for state in Subscriptions(bus.store).list()}
    assert followed == Counter(range(EVENTS))
    noted = nursery.noted()
    twice = len(noted) - EVENTS
    for thing in range(THINGS):
        first = list(dict.fromkeys(n for about, n in noted if about == str(thing)))
        assert first == list(range(thing, EVENTS, THINGS)), f"thing {thing}; {twice} came twice"
    assert (states["notify"].waiting, states["notify"].dead_letters) == (0, 0)
    assert states["follow"].handled == EVENTS
    assert 0 <= twice < EVENTS
    print(f"{EVENTS} events, {KILLS} kills: {twice} were handled twice")


def test_who_was_paused_writes_no_old_position(tmp_path: Path) -> None:
    """A worker that stands still is taken over from; when it goes on, positions only grow."""
    url = f"sqlite:///{tmp_path}/events.db"
    with Bus(url, deadline=PATIENCE) as bus, Nursery(url, tmp_path / "notes", 1) as nursery:
        paused = nursery.start()
        _tell(bus, 0)
        _until(lambda: len(nursery.noted()) > EVENTS // KILLS // 4)
        with sqlite3.connect(tmp_path / "events.db", isolation_level=None) as lock:
            # Nobody writes now; else it might stand still with the lock, and everybody with it.
            lock.execute("PRAGMA busy_timeout=60000")
            lock.execute("BEGIN IMMEDIATE")
            os.kill(paused, signal.SIGSTOP)
        lock.close()
        nursery.start()
        _tell(bus, 1)
        noted = 2 * EVENTS // KILLS
        _until(lambda: len(set(nursery.noted())) == noted and _lag(bus) == 0)
        before = Subscriptions(bus.store).get("notify").position
        os.kill(paused, signal.SIGCONT)
        _until(lambda: len(bus.store.keys("worker/")) == 2)
        _tell(bus, 2)
        noted = 3 * EVENTS // KILLS
        _until(lambda: len(set(nursery.noted())) == noted and _lag(bus) == 0)
        assert Subscriptions(bus.store).get("notify").position >= before + EVENTS // KILLS
        assert len(nursery.noted()) < 2 * noted


def _has_noted(nursery: Nursery, number: int) -> bool:
    return len(nursery.noted()) >= number


def _lag(bus: Bus) -> int:
    newest = bus.latest("told")
    assert newest is not None
    assert newest.position is not None
    return max(0, newest.position - Subscriptions(bus.store).get("notify").position)


def _tell(bus: Bus, part: int) -> None:
    """Keep one part of the events, in several batches, so that positions move while they work."""
    numbers = range(part * EVENTS // KILLS, (part + 1) * EVENTS // KILLS)
    for begin in range(numbers.start, numbers.stop, 100):
        bus.emit_many(
            [
                Event(
                    "told", payload={"n": n}, aggregate_type="thing", aggregate_id=str(n % THINGS)
                )
                for n in range(begin, min(begin + 100, numbers.stop))
            ]
        )


def _until(condition: Callable[[], bool]) -> None:
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end, "it did not come about"
        Flag().wait(0.02)
