"""Reading one million events, oldest first: payloads untouched, and each payload touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from eventsourcing.application import Application
from eventsourcing.persistence import ApplicationRecorder, Notification
from eventsourcing.sqlite import SQLiteApplicationRecorder

from benchmarks import peers, sample
from benchmarks.figures import Figure
from benchmarks.rounds import compare
from benchmarks.workplace import Workplace
from tidings.bus import Bus

_ROUNDS = 5
_EVENTS = 1_000_000
_AT_ONCE = 5_000
_SECTION = 1_000


def measure(workplace: Workplace) -> Iterator[Figure]:
    """Ours against eventsourcing, with the same work on both sides.

    Untouched: our events against the notifications of its recorder, whose state stays bytes; both
    hold the same. Touched: one value of each payload, against the same value of the event that its
    application's mapper makes of a notification; those hold the payload and no context, so less is
    read there. `json.loads` in place of the mapper is told too.
    """
    size = workplace.size(_EVENTS, 50_000)
    with Bus(workplace.new_url("million", "?durability=process")) as bus:
        recorder = peers.recorder(workplace.new_directory("eventsourcing"))
        application = peers.application(workplace.new_directory("application"))
        _fill(bus, recorder, application, size)
        things = {
            "untouched": _untouched(bus, size),
            "touched": _touched(bus, size),
            "recorder": _recorder(recorder, size),
            "mapper": _mapper(application, size),
            "decoded": _decoded(recorder, size),
        }
        found = compare(things, workplace.rounds(_ROUNDS))
    for ours, other, peer, least in (
        ("untouched", "recorder", "eventsourcing's recorder, state left as bytes", 2),
        ("touched", "mapper", "eventsourcing's recorder and mapper", 1),
        ("touched", "decoded", "eventsourcing's recorder and `json.loads`", None),
        ("touched", "recorder", "eventsourcing's recorder, state left as bytes", None),
    ):
        yield Figure(
            f"reading {size:,} events, payload {ours} : {peer}",
            found.faster(ours, other),
            at_least=least,
            detail=f"{size / found.median(ours):,.0f}/s : {size / found.median(other):,.0f}/s",
        )


def _fill(
    bus: Bus, recorder: SQLiteApplicationRecorder, application: Application[Any], size: int
) -> None:
    event = bus.event(sample.TYPE, sample.PROJECT, payload=sample.PAYLOAD)
    state = json.dumps(event.to_dict(), separators=(",", ":")).encode()
    for _ in range(0, size, _AT_ONCE):
        bus.emit_many(
            bus.event(sample.TYPE, sample.PROJECT, payload=sample.PAYLOAD) for _ in range(_AT_ONCE)
        )
        recorder.insert_events([peers.stored_event(state) for _ in range(_AT_ONCE)])
        application.recorder.insert_events(peers.job_events(application, _AT_ONCE))


def _untouched(bus: Bus, size: int) -> Callable[[], None]:
    def run() -> None:
        read = sum(1 for event in bus.read() if event.type)
        assert read == size

    return run


def _touched(bus: Bus, size: int) -> Callable[[], None]:
    def run() -> None:
        read = sum(1 for event in bus.read() if event.payload["job_id"])
        assert read == size

    return run


def _notifications(recorder: ApplicationRecorder) -> Iterator[Notification]:
    """All of them, section by section, as eventsourcing's own readers take them."""
    start = 1
    while section := recorder.select_notifications(start, _SECTION):
        yield from section
        start = section[-1].id + 1


def _recorder(recorder: SQLiteApplicationRecorder, size: int) -> Callable[[], None]:
    def run() -> None:
        read = sum(1 for notification in _notifications(recorder) if notification.topic)
        assert read == size

    return run


def _decoded(recorder: SQLiteApplicationRecorder, size: int) -> Callable[[], None]:
    def run() -> None:
        read = sum(1 for one in _notifications(recorder) if json.loads(one.state)["payload"])
        assert read == size

    return run


def _mapper(application: Application[Any], size: int) -> Callable[[], None]:
    def run() -> None:
        decode = application.mapper.to_domain_event
        read = sum(1 for one in _notifications(application.recorder) if decode(one).job_id)
        assert read == size

    return run
