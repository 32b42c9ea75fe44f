"""Waking: how soon a waiting process sees another's event, and what waiting costs meanwhile."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.figures import Figure
from benchmarks.rounds import percentile
from benchmarks.workplace import Workplace
from tidings.event import Event
from tidings.store import open_store
from tidings.store.base import Store

_WAKES = 400
_LONGEST_GAP = 0.05
_IDLE_SECONDS = 20
_PERCENTILE = 99

# The monotonic clock is one for all processes of a machine.
_WAITER = """
import sys, time
from tidings.store import open_store

store = open_store(sys.argv[1])
head = store.head()
print("ready", flush=True)
for _ in range(int(sys.argv[2])):
    head = store.wait(head)
    print(time.monotonic(), flush=True)
"""

_IDLER = """
import sys, time
from tidings.store import open_store

store = open_store(sys.argv[1])
head = store.head()
before = time.process_time(), time.monotonic()
store.wait(head, float(sys.argv[2]))
print((time.process_time() - before[0]) / (time.monotonic() - before[1]))
"""


def measure(workplace: Workplace) -> Iterator[Figure]:
    """From the return of an append to the return of `wait` in another process."""
    url = workplace.new_url("woken")
    with open_store(url) as store:
        store.append([Event("first")])
        delays = _delays(store, url, workplace.size(_WAKES, 40))
        idle = _share_of_a_core(url, workplace.size(_IDLE_SECONDS, 3))
    yield Figure(
        f"waking another process's `wait`, p{_PERCENTILE}",
        percentile(delays, _PERCENTILE) * 1e3,
        at_most=25,
        unit="ms",
        detail=f"p50 {percentile(delays, 50) * 1e3:.1f} ms, "
        f"longest {max(delays) * 1e3:.1f} ms of {len(delays)}",
    )
    yield Figure(
        "processor time of a process that waits, while nothing happens",
        idle * 100,
        at_most=1,
        unit="% of a core",
    )


def _delays(store: Store, url: str, wakes: int) -> list[float]:
    command = (sys.executable, "-c", _WAITER, url, str(wakes))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiter:
        assert waiter.stdout is not None
        assert waiter.stdout.readline() == "ready\n"
        delays = []
        for _ in range(wakes):
            time.sleep(random.uniform(0.001, _LONGEST_GAP))
            store.append([Event("woke")])
            appended = time.monotonic()
            delays.append(float(waiter.stdout.readline()) - appended)
    return delays


def _share_of_a_core(url: str, seconds: int) -> float:
    command = (sys.executable, "-c", _IDLER, url, str(seconds))
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
