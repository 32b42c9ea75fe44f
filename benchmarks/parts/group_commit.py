"""Group commit: 64 emitters in one process share transactions, against one transaction each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

from benchmarks import sample
from benchmarks.figures import Figure
from benchmarks.rounds import compare
from benchmarks.workplace import Workplace
from tidings.aio import AsyncBus
from tidings.bus import Bus

_ROUNDS = 15
_EMITTERS = 64
_EMITS = 50
"""For each emitter, one after the other."""

_ALONE = 640
_WARM_UP = 2


def measure(workplace: Workplace) -> Iterator[Figure]:
    """64 emitters, each waiting for its event to be durable before it emits the next."""
    with asyncio.Runner() as runner, Bus(workplace.new_url("alone")) as alone:
        bus = AsyncBus(workplace.new_url("together"))
        things = {"together": _together(runner, bus), "alone": _one_by_one(alone)}
        found = compare(things, workplace.rounds(_ROUNDS), workplace.rounds(_WARM_UP))
        runner.run(bus.close())
    yield Figure(
        f"`AsyncBus.emit` by {_EMITTERS} emitters : `Bus.emit`, a transaction each",
        found.faster("together", "alone"),
        detail=f"{_EMITTERS * _EMITS / found.median('together'):,.0f}/s : "
        f"{_EMITTERS * _EMITS / found.median('alone'):,.0f}/s",
    )


def _together(runner: asyncio.Runner, bus: AsyncBus) -> Callable[[], None]:
    async def emitter() -> None:
        for _ in range(_EMITS):
            await bus.emit(sample.TYPE, sample.PROJECT, payload=sample.PAYLOAD)

    async def all_of_them() -> None:
        await asyncio.gather(*(emitter() for _ in range(_EMITTERS)))

    return lambda: runner.run(all_of_them())


def _one_by_one(bus: Bus) -> Callable[[], float]:
    def run() -> float:
        start = time.perf_counter()
        for _ in range(_ALONE):
            bus.emit(sample.TYPE, sample.PROJECT, payload=sample.PAYLOAD)
        return (time.perf_counter() - start) * _EMITTERS * _EMITS / _ALONE

    return run
