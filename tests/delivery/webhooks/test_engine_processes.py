"""Webhooks through crashes: processes are killed while events flow, on every kind of backend.

Each event arrives at least once and in order within its aggregate; how many arrive twice is told.
"""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import pytest

from tests.delivery.webhooks.delivering import endpoint_for, eventually, job, numbers
from tests.delivery.webhooks.receivers import OK, Receiver, answer
from tests.engines.nats import NatsServer
from tests.engines.postgres import shared_postgres
from tidings.delivery.webhooks.attempts import KEPT, Attempts
from tidings.store import open_store
from tidings.testing.elsewhere import PATIENCE
from tidings.timestamps import now_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.delivery.webhooks.receivers import Answer, Exchange, Got

ABOUT = 20
"""So many aggregates the events are about."""


class Process:
    """A process that delivers; killed in the end, if it was not before."""

    def __init__(self, url: str, began: int, errors: Path) -> None:
        self._errors = errors.open("ab")
        command = [sys.executable, "-m", "tests.delivery.webhooks.engine_process", url, str(began)]
        root = Path(__file__).parents[3]
        self._process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, stderr=self._errors
        )

    def kill(self) -> None:
        """End it with no chance to do anything."""
        self._process.kill()
        self._process.wait()

    def end(self) -> int:
        """Have it end by itself; returns its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._errors.close()


def fails_once(*failing: int) -> Answer:
    """Answers that fail at the first attempt for some events."""
    left = set(failing)

    async def say(exchange: Exchange) -> None:
        (number,) = numbers([exchange.got])
        sick = number in left
        left.discard(number)
        await (answer(503) if sick else OK)(exchange)

    return say


def has_all(receiver: Receiver, events: int) -> bool:
    """Whether so many different events were received."""
    return len(set(numbers(receiver.got))) == events


def hold_against(events: int, got: Iterable[Got], failed: Iterable[int] = ()) -> int:
    """Hold what was received against what was emitted; returns how much came twice for nothing."""
    got = list(got)
    assert set(numbers(got)) == set(range(events))
    for about in range(ABOUT):
        first = list(dict.fromkeys(numbers(got, about)))
        assert first == sorted(first)
    return len(got) - events - len(list(failed))


def deliver_while_killing(url: str, directory: Path, *, events: int, kills: int) -> int:
    """Two processes deliver to two endpoints, and are killed at random; returns how much repeats.

    One of the endpoints fails now and then, so that there are lanes when a process dies.
    """
    failing = range(0, events, max(1, events // 5))
    began = now_instant()
    chance = random.Random(events)
    with (
        open_store(url, deadline=PATIENCE) as store,
        Receiver() as one,
        Receiver(fails_once(*failing)) as two,
        ExitStack() as running,
    ):
        endpoints = [endpoint_for(store, each.url) for each in (one, two)]

        def start() -> Process:
            return running.enter_context(Process(url, began, directory / "errors"))

        processes = [start(), start()]
        emitted = 0
        for kill in range(kills + 1):
            until = events * (kill + 1) // (kills + 1)
            for n in range(emitted, until, 50):
                store.append([job(m, about=m % ABOUT) for m in range(n, min(n + 50, until))])
            emitted = until
            one.wait((len(one.got) + until) // 2)
            if kill < kills:
                dying = chance.randrange(2)
                processes[dying].kill()
                processes[dying] = start()
        for receiver in (one, two):
            eventually(partial(has_all, receiver, events))
        assert [process.end() for process in processes] == [0, 0]
        listed = {each.event_id for each in Attempts(store).of(endpoints[0].id, limit=10_000)}
        assert len(listed) == min(events, KEPT)
        return hold_against(events, one.got) + hold_against(events, two.got, failing)


def test_killed_on_sqlite(tmp_path: Path, record_property: Callable[[str, int], None]) -> None:
    """Thousands of events arrive, in order, though processes die at any moment; on SQLite."""
    url = f"sqlite:///{tmp_path}/events.db"
    repeats = deliver_while_killing(url, tmp_path, events=1500, kills=3)
    record_property("repeats", repeats)
    print("repeats", repeats)


def test_killed_on_postgres(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """The same on PostgreSQL, with fewer."""
    server = shared_postgres(pytestconfig)
    schema = f"webhooks_{uuid4().hex}"
    try:
        deliver_while_killing(server.url(schema=schema), tmp_path, events=200, kills=1)
    finally:
        server.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def test_killed_on_jetstream(tmp_path: Path) -> None:
    """The same on JetStream, with fewer."""
    with NatsServer(tmp_path / "nats") as server:
        url = f"{server.url}/{uuid4().hex}?replica={tmp_path}/replica"
        deliver_while_killing(url, tmp_path, events=200, kills=1)
