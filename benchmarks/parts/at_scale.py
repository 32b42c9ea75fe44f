"""Look-ups whose time must not grow with the log: in 10,000 events and in 10 million.

Both logs have the same shape: a hundred agents at work at a time, a hundred events each, four
agents to a workflow. Which agent or workflow is asked for is drawn anew each time. Both files are
read through before, so that they lie in the system's memory: what grows with the log is compared,
and not a disk with memory. (Where the file is not in memory, the twenty events of an agent lie on
about twenty blocks of the disk.)
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks import sample
from benchmarks.figures import Figure
from benchmarks.rounds import compare
from benchmarks.workplace import Workplace
from tidings.bus import Bus

__all__ = ["LOOK_UPS", "look_ups", "measure", "repeat"]

_SMALL = 10_000
_LARGE = 10_000_000
_AT_ONCE = 20_000
_ROUNDS = 21
LOOK_UPS = 100
_BLOCK = 1024 * 1024


def measure(workplace: Workplace) -> Iterator[Figure]:
    """Each look-up in the large log against the same one in the small log."""
    large = workplace.size(_LARGE, 100_000)
    small_url, large_url = workplace.new_url("small"), workplace.new_url("large")
    _fill(small_url, _SMALL)
    seconds = _fill(large_url, large)
    size = os.path.getsize(large_url.removeprefix("sqlite:///"))
    yield Figure(
        f"filling a store with {large:,} events about agents in workflows",
        large / seconds / 1000,
        unit="thousand/s",
        detail=f"{seconds:.0f} s, {size / 1e9:.1f} GB, {size / large:.0f} B an event",
    )
    for url in (small_url, large_url):
        _read_through(url)
    with Bus(small_url) as small_bus, Bus(large_url) as large_bus:
        for name in look_ups(small_bus, _SMALL):
            things = {
                "small": look_ups(small_bus, _SMALL)[name],
                "large": look_ups(large_bus, large)[name],
            }
            found = compare(
                {key: partial(repeat, look_up) for key, look_up in things.items()},
                workplace.rounds(_ROUNDS),
            )
            yield Figure(
                f"{name} in {large:,} events : in {_SMALL:,}",
                found.slower("large", "small"),
                at_most=2,
                detail=" : ".join(
                    f"{found.median(key) / LOOK_UPS * 1e6:,.0f} µs" for key in ("large", "small")
                ),
            )
    os.remove(large_url.removeprefix("sqlite:///"))


def look_ups(bus: Bus, size: int) -> dict[str, Callable[[], object]]:
    """What is looked up in a log of this size, by name."""
    draw = random.Random(size)
    agents = sample.agent_of(size - 1) + 1

    def agent() -> str:
        return f"agent-{draw.randrange(agents)}"

    def workflow() -> str:
        return f"workflow-{sample.workflow_of(draw.randrange(agents))}"

    return {
        "`latest()`": bus.latest,
        "`latest(type)`": lambda: bus.latest("agent.completed"),
        "`history(20)`": bus.history,
        "`history(20)` of an agent": lambda: bus.history(
            20, aggregate_type="agent", aggregate_id=agent()
        ),
        "`history(20)` of a workflow": lambda: bus.history(20, correlation_id=workflow()),
    }


def repeat(look_up: Callable[[], object]) -> None:
    """Look up `LOOK_UPS` times; each must find something."""
    for _ in range(LOOK_UPS):
        assert look_up()


def _read_through(url: str) -> None:
    with open(url.removeprefix("sqlite:///"), "rb") as file:
        while file.read(_BLOCK):
            pass


def _fill(url: str, size: int) -> float:
    """Fill a store; returns how long it took (seconds)."""
    start = time.monotonic()
    with Bus(f"{url}?durability=process", context=False) as bus:
        for first in range(0, size, _AT_ONCE):
            last = min(first + _AT_ONCE, size)
            bus.emit_many(sample.lifecycle_event(number) for number in range(first, last))
            if last % 1_000_000 == 0:
                print(f"  {last:,} events", file=sys.stderr, flush=True)
    return time.monotonic() - start
