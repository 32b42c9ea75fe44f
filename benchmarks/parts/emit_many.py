"""`emit_many`, a thousand events a call, each call durable when it returns."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from itertools import count

from benchmarks import peers, sample
from benchmarks.figures import Figure
from benchmarks.rounds import Comparison, compare
from benchmarks.workplace import Workplace
from tidings.bus import Bus
from tidings.event import Event
from tidings.record import CHECKSUM, POSITION, RECORDED
from tidings.store.sqlite.statements import SQL
from tidings.timestamps import now_instant

_ROUNDS = 21
_CALLS = 4
_EVENTS = 1000
_WARM_UP = 3


def measure(workplace: Workplace) -> Iterator[Figure]:
    """Ours against a bare `executemany` into the same table, and against eventsourcing."""
    directory = workplace.new_directory("eventsourcing")
    with Bus(workplace.new_url("ours")) as bus, Bus(workplace.new_url("dicts")) as of_dicts:
        things = {
            "ours": _of_events(bus),
            "ours, of dicts": _of_dicts(of_dicts),
            "executemany": _bare(workplace.new_url("bare")),
            "recorder": _recorder(directory),
            "application": _application(directory),
        }
        found = compare(things, workplace.rounds(_ROUNDS), workplace.rounds(_WARM_UP))
    yield from _figures(found)


def _figures(found: Comparison) -> Iterator[Figure]:
    def rate(name: str) -> str:
        return f"{_CALLS * _EVENTS / found.median(name):,.0f}/s"

    for other, what, least in (
        ("executemany", "a bare `executemany` of rows made before, same table and indexes", 0.55),
        ("application", "eventsourcing's `Application.save`", 1.5),
        ("recorder", "eventsourcing's SQLite recorder, fed bytes, one index", None),
    ):
        yield Figure(
            f"`emit_many` of 1,000 events : {what}",
            found.faster("ours", other),
            at_least=least,
            detail=f"{rate('ours')} : {rate(other)}",
        )
    yield Figure(
        "`emit_many` of 1,000 dicts : of 1,000 events",
        found.faster("ours, of dicts", "ours"),
        detail=f"{rate('ours, of dicts')} : {rate('ours')}",
    )


def _of_events(bus: Bus) -> Callable[[], None]:
    """Making the events is part of the time."""

    def run() -> None:
        for _ in range(_CALLS):
            bus.emit_many(
                bus.event(sample.TYPE, sample.PROJECT, payload=sample.PAYLOAD)
                for _ in range(_EVENTS)
            )

    return run


def _of_dicts(bus: Bus) -> Callable[[], None]:
    def run() -> None:
        for _ in range(_CALLS):
            bus.emit_many(sample.job_fields(number) for number in range(_EVENTS))

    return run


def _bare(url: str) -> Callable[[], float]:
    """Rows are made before, and positions counted along: nothing is looked up or decided."""
    with Bus(url) as bus:
        context = bus.emit(sample.TYPE).context
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint=4000")
    positions = count(2)

    def row() -> tuple[object, ...]:
        event = Event(sample.TYPE, sample.PROJECT, payload=sample.PAYLOAD, context=context)
        values = list(event.record)
        values[POSITION], values[RECORDED], values[CHECKSUM] = next(positions), now_instant(), 0
        return tuple(values)

    def run() -> float:
        calls = [[row() for _ in range(_EVENTS)] for _ in range(_CALLS)]
        start = time.perf_counter()
        for rows in calls:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(SQL["insert_event"], rows)
            connection.execute("COMMIT")
        return time.perf_counter() - start

    return run


def _recorder(directory: str) -> Callable[[], float]:
    recorder = peers.recorder(directory)
    event = Event(sample.TYPE, sample.PROJECT, payload=sample.PAYLOAD)
    state = json.dumps(event.to_dict(), separators=(",", ":")).encode()

    def run() -> float:
        calls = [[peers.stored_event(state) for _ in range(_EVENTS)] for _ in range(_CALLS)]
        start = time.perf_counter()
        for events in calls:
            recorder.insert_events(events)
        return time.perf_counter() - start

    return run


def _application(directory: str) -> Callable[[], None]:
    """Making the aggregates is part of the time, as making the events is of ours."""
    application = peers.application(directory)

    def run() -> None:
        for _ in range(_CALLS):
            application.save(
                *(peers.Job(project=sample.PROJECT, **sample.PAYLOAD) for _ in range(_EVENTS))
            )

    return run
