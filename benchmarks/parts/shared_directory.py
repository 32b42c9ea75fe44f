"""The shared directory, on a local disk: 16 processes that emit, and many entries put in order."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median
from uuid import uuid4

from benchmarks import sample
from benchmarks.figures import Figure
from benchmarks.rounds import spread
from benchmarks.workplace import Workplace
from tidings.event import Event
from tidings.fields import encode_json
from tidings.store import open_store
from tidings.store.shared import SharedLog

_PROCESSES = 16
_EMITS = 100
"""For each process, one after the other."""

_ROUNDS = 7
_WAITING = 10_000

# It starts with the line it is given, together with the others, and tells when it was done. The
# monotonic clock is one for all processes of a machine.
_EMITTER = """
import sys, time
from tidings.event import Event
from tidings.store import open_store

with open_store(sys.argv[1], deadline=60) as store:
    store.append([Event("ready")])
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(sys.argv[2])):
        store.append([Event("job_done", "figrecipe", payload={"job_id": number})])
    print(time.monotonic(), flush=True)
"""


def measure(workplace: Workplace) -> Iterator[Figure]:
    """Each emit is durable, and read back from the replica of the machine."""
    rounds = workplace.rounds(_ROUNDS)
    emits = workplace.size(_EMITS, 10)
    rates = [_rate(_url(workplace, "many"), _PROCESSES, emits) for _ in range(rounds)]
    alone = [_rate(_url(workplace, "one"), 1, emits) for _ in range(rounds)]
    yield Figure(
        f"{_PROCESSES} processes that emit to a shared directory",
        spread(rates),
        at_least=1000,
        unit="emits/s",
        detail=f"one process alone: {median(alone):,.0f}/s",
    )
    waiting = workplace.size(_WAITING, 1000)
    seconds = [_ordering(workplace, waiting) for _ in range(workplace.rounds(3))]
    yield Figure(
        f"putting {waiting:,} entries in order, each in a file of its own",
        spread(seconds),
        at_most=2,
        unit="s",
        detail="into one segment",
    )


def _url(workplace: Workplace, name: str) -> str:
    directory = workplace.new_directory(name)
    return f"shared:///{directory}/shared?replica={directory}/replica"


def _rate(url: str, processes: int, emits: int) -> float:
    """How many emits a second the processes make together."""
    command = (sys.executable, "-c", _EMITTER, url, str(emits))
    with open_store(url):
        emitters = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        for emitter in emitters:
            assert emitter.stdout is not None
            assert emitter.stdout.readline() == "ready\n"
        start = time.monotonic()
        ends = [float(emitter.communicate()[0]) for emitter in _told(emitters)]
    return processes * emits / (max(ends) - start)


def _told(emitters: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    """Let all of them go before the first is waited for."""
    for emitter in emitters:
        assert emitter.stdin is not None
        emitter.stdin.write("go\n")
        emitter.stdin.flush()
    return emitters


def _ordering(workplace: Workplace, waiting: int) -> float:
    """How long it takes to put in order what many nodes have published (seconds)."""
    log = SharedLog(workplace.new_directory("waiting") + "/shared", "")
    event = Event(sample.TYPE, sample.PROJECT, payload=sample.PAYLOAD)
    data = encode_json(event.to_dict()).encode()
    for _ in range(waiting):
        log.publish([(uuid4().hex, data)], 1.0)
    start = time.perf_counter()
    entries = log.read(0)
    taken = time.perf_counter() - start
    assert len(entries) == waiting
    log.close()
    return taken
