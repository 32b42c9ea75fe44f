"""`emit()`, one event at a time, each durable when the call returns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from benchmarks import peers, sample
from benchmarks.figures import Figure
from benchmarks.rounds import Comparison, compare
from benchmarks.workplace import Workplace
from tidings.bus import Bus

_ROUNDS = 41
_EMITS = 150
_WARM_UP = 8
"""Rounds until every WAL has been filled once: it is then written over, no longer made longer."""

_SCITEX_ROUNDS = 7
_SCITEX_EMITS = 300
"""It writes its history anew for each event, and after some dozens waits for the disk each time."""


def measure(workplace: Workplace) -> Iterator[Figure]:
    """Ours, and with `durability=process`, against scitex-events and eventsourcing."""
    process_url = workplace.new_url("process", "?durability=process")
    with Bus(workplace.new_url("power")) as power, Bus(process_url) as process:
        yield _against_scitex(workplace, power)
        directory = workplace.new_directory("eventsourcing")
        things = {
            "ours": _emitting(power, _EMITS),
            "ours, process": _emitting(process, _EMITS),
            "recorder": _recorder(directory, _encoded(power)),
            "application": _application(directory),
        }
        found = compare(things, workplace.rounds(_ROUNDS), workplace.rounds(_WARM_UP))
    yield from _figures(found)


def _against_scitex(workplace: Workplace, bus: Bus) -> Figure:
    peers.prepare_scitex(workplace.new_directory("scitex"))
    emits = workplace.size(_SCITEX_EMITS, 30)
    things = {"ours": _emitting(bus, emits), "scitex-events": _scitex(emits)}
    found = compare(things, workplace.rounds(_SCITEX_ROUNDS))
    return Figure(
        "`emit` : scitex-events' `emit`",
        found.faster("ours", "scitex-events"),
        at_least=10,
        detail=f"{_rate(found, 'ours', emits)} : {_rate(found, 'scitex-events', emits)}",
    )


def _figures(found: Comparison) -> Iterator[Figure]:
    for name, what, other, least in (
        ("ours", "`emit` : eventsourcing's SQLite recorder", "recorder", 1.0),
        ("ours", "`emit` : eventsourcing's `Application.save`", "application", 1.5),
        ("ours, process", "`emit`, `durability=process` : the recorder as above", "recorder", 1.7),
    ):
        yield Figure(
            what,
            found.faster(name, other),
            at_least=least,
            detail=f"{_rate(found, name, _EMITS)} : {_rate(found, other, _EMITS)}",
        )


def _rate(found: Comparison, name: str, emits: int) -> str:
    return f"{emits / found.median(name):,.0f}/s"


def _encoded(bus: Bus) -> bytes:
    """An event as bytes with all that we keep of it."""
    event = bus.event(sample.TYPE, sample.PROJECT, payload=sample.PAYLOAD)
    return json.dumps(event.to_dict(), separators=(",", ":")).encode()


def _emitting(bus: Bus, emits: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(emits):
            bus.emit(sample.TYPE, sample.PROJECT, payload=sample.PAYLOAD)

    return run


def _scitex(emits: int) -> Callable[[], None]:
    from scitex_events import emit

    def run() -> None:
        for _ in range(emits):
            emit(sample.TYPE, sample.PROJECT, payload=sample.PAYLOAD)

    return run


def _recorder(directory: str, state: bytes) -> Callable[[], None]:
    recorder = peers.recorder(directory)

    def run() -> None:
        for _ in range(_EMITS):
            recorder.insert_events([peers.stored_event(state)])

    return run


def _application(directory: str) -> Callable[[], None]:
    application = peers.application(directory)

    def run() -> None:
        for _ in range(_EMITS):
            application.save(peers.Job(project=sample.PROJECT, **sample.PAYLOAD))

    return run
