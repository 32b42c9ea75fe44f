"""Handlers: how many events a second one worker has handled, and how soon it picks up a new one."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from threading import Event as Signal
from typing import Any

from benchmarks import sample
from benchmarks.figures import Figure
from benchmarks.rounds import compare, percentile, spread
from benchmarks.workplace import Workplace
from tidings import Bus, Event
from tidings.handlers import Handler
from tidings.outbox import Outbox
from tidings.store.query import Query
from tidings.subscriptions.registry import Subscriptions
from tidings.subscriptions.worker import Worker

_EVENTS = 200_000
_AT_ONCE = 5_000
_ROUNDS = 5
_PICK_UPS = 300
_LONGEST_GAP = 0.05
_PERCENTILE = 99
_PATIENCE = 300.0

# The monotonic clock is one for all processes of a machine.
_WORKER = """
import sys, threading, time
from tidings import Bus
from tidings.subscriptions.worker import Worker

left, done = [int(sys.argv[2])], threading.Event()
with Bus(sys.argv[1]) as bus:

    @bus.on("woke", name="pick-up")
    def handle(event):
        print(time.monotonic(), flush=True)
        left[0] -= 1
        if not left[0]:
            done.set()

    with Worker(bus):
        done.wait()
"""


def measure(workplace: Workplace) -> Iterator[Figure]:
    """A worker with a handler that only counts, against a loop that reads the same and counts.

    In all cases the time includes beginning: a new subscription, its lease and its first
    checkpoint.
    """
    size = workplace.size(_EVENTS, 20_000)
    with Bus(workplace.new_url("handled")) as bus:
        _fill(bus, size)
        found = compare(
            {
                "loop": lambda: _loop(bus),
                "handled": _handled(bus, size),
                "partitions": _handled(bus, size, partitions=4),
            },
            workplace.rounds(_ROUNDS),
        )
        asynchronous = compare({"async": _handled(bus, size, is_async=True)}, 1, warm_up=0)
    yield Figure(
        "handlers: one worker, a handler that counts",
        spread([size / seconds for seconds in found.seconds["handled"]]),
        at_least=20_000,
        unit="events/s",
        detail=f"{size:,} events, one partition, checkpoints every 0.1 s; async functions: "
        f"{size / asynchronous.median('async'):,.0f}/s",
    )
    yield Figure(
        "handlers: the same worker : a loop that reads and counts",
        found.faster("handled", "loop"),
        detail=f"{size / found.median('handled'):,.0f}/s : {size / found.median('loop'):,.0f}/s; "
        f"with four partitions {size / found.median('partitions'):,.0f}/s",
    )
    yield _outbox(workplace)
    yield _pick_up(workplace)


def _fill(bus: Bus, size: int) -> None:
    for start in range(0, size, _AT_ONCE):
        bus.emit_many([sample.lifecycle_event(n) for n in range(start, start + _AT_ONCE)])


def _loop(bus: Bus) -> None:
    """What cannot be done without: read them all, and count."""
    counted = count(1)
    for _ in bus.read(Query()):
        next(counted)


_names = count()


def _handled(
    bus: Bus, size: int, *, partitions: int = 1, is_async: bool = False
) -> Callable[[], None]:
    """A new subscription, and a worker that runs it until all is handled."""

    def measured() -> None:
        counted = count(1)
        done = Signal()

        def handle(event: Event) -> None:  # noqa: ARG001 - it counts
            if next(counted) == size:
                done.set()

        async def handle_async(event: Event) -> None:
            handle(event)

        handler = Handler(
            handle_async if is_async else handle,
            name=f"count-{next(_names)}",
            query=Query(),
            partitions=partitions,
        )
        _work(bus, handler, done)

    return measured


def _outbox(workplace: Workplace) -> Figure:
    """Each event is followed up by one, in one transaction with the checkpoint."""
    size = workplace.size(_EVENTS // 10, 5_000)
    rates = []
    for _ in range(workplace.rounds(3)):
        with Bus(workplace.new_url("followed")) as bus:
            _fill(bus, size)
            counted, done = count(1), Signal()

            def handle(
                event: Event, outbox: Outbox, counted: Any = counted, done: Signal = done
            ) -> None:
                outbox.emit("followed", payload={"of": event.id})
                if next(counted) == size:
                    done.set()

            query = Query(types=["agent.*", "tool.*"])
            started = time.perf_counter()
            _work(bus, Handler(handle, name="follow", query=query, outbox=True), done)
            rates.append(size / (time.perf_counter() - started))
            assert bus.store.count(Query(types="followed")).value == size
    return Figure(
        "handlers: the same, each event followed up by one through the outbox",
        spread(rates),
        unit="events/s",
        detail=f"{size:,} events; each follow-up is kept once, with the position",
    )


def _work(bus: Bus, handler: Handler, done: Signal) -> None:
    with Worker(bus, [handler]):
        assert done.wait(_PATIENCE)
    assert handler.name is not None
    Subscriptions(bus.store).get(handler.name)


def _pick_up(workplace: Workplace) -> Figure:
    """From the return of an emit to a handler in another process."""
    url = workplace.new_url("picked-up")
    wakes = workplace.size(_PICK_UPS, 30)
    command = (sys.executable, "-c", _WORKER, url, str(wakes + 1))
    with (
        Bus(url) as bus,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker,
    ):
        assert worker.stdout is not None
        bus.emit("woke")
        worker.stdout.readline()
        delays = []
        for _ in range(wakes):
            time.sleep(random.uniform(0.001, _LONGEST_GAP))
            bus.emit("woke")
            emitted = time.monotonic()
            delays.append(float(worker.stdout.readline()) - emitted)
    return Figure(
        f"handlers: pick-up of a fresh event in another process, p{_PERCENTILE}",
        percentile(delays, _PERCENTILE) * 1e3,
        at_most=50,
        unit="ms",
        detail=f"p50 {percentile(delays, 50) * 1e3:.1f} ms, "
        f"longest {max(delays) * 1e3:.1f} ms of {len(delays)}",
    )
