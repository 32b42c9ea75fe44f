"""Ten thousand webhook endpoints, of which half are dead: what that costs the living ones.

A third of the dead refuse connections, a third answers 500, a third answers nothing. Each endpoint
wants a project of its own; a hundred events a second are emitted about projects drawn at random, so
half of them are for dead endpoints. What counts is from when an event was due to be emitted until a
living receiver has it. The same is measured with the living endpoints alone, and the same events.
Before it is measured, each dead endpoint got an event, so it is known that they are dead; what the
living notice of that is told apart.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.figures import Figure
from benchmarks.rounds import percentile, spread
from benchmarks.servers import allow_many_files
from benchmarks.workplace import Workplace
from tidings.bus import Bus
from tidings.delivery.webhooks.endpoint import Endpoint, Secret
from tidings.delivery.webhooks.endpoints import CONCURRENCY
from tidings.delivery.webhooks.keys import ENDPOINT, STANDING
from tidings.delivery.webhooks.signing import new_secret
from tidings.delivery.webhooks.standing import Standing
from tidings.event import Event
from tidings.store import open_store
from tidings.store.base import Put
from tidings.subscriptions.progress import Progress

__all__ = ["measure"]

_ROUNDS = 3
_ENDPOINTS = 10_000
_RATE = 100
_SECONDS = 20
_WARM_UP_SECONDS = 10
_SETTLING_SECONDS = 60
_REFUSED = 9  # the discard service, which nobody runs


def measure(workplace: Workplace) -> Iterator[Figure]:
    """With the dead, and without them."""
    allow_many_files()
    count = workplace.size(_ENDPOINTS, 300)
    with_dead: list[float] = []
    alone: list[float] = []
    shocks: list[float] = []
    for number in range(workplace.rounds(_ROUNDS)):
        for dead in (True, False) if number % 2 else (False, True):
            shock, delays = _delays(workplace, count, dead=dead)
            (with_dead if dead else alone).append(percentile(delays, 99))
            if dead:
                shocks.append(percentile(shock, 99))
    yield Figure(
        f"webhooks, {count:,} endpoints of which half are dead : the living half alone, p99",
        spread([a / b for a, b in zip(with_dead, alone, strict=True)]),
        at_most=2,
        detail=" : ".join(f"{spread(each).median * 1e3:.1f} ms" for each in (with_dead, alone)),
    )
    yield Figure(
        "p99 of the living while all the dead are found out at once",
        spread([each * 1e3 for each in shocks]),
        unit="ms",
        detail=f"{count // 2:,} dead endpoints get their first event within a second",
    )


def _delays(workplace: Workplace, count: int, *, dead: bool) -> tuple[list[float], list[float]]:
    """The delays of the living: while the dead are found out, and afterwards (seconds)."""
    url = workplace.new_url("webhooks", "?durability=process")
    with _process("receive") as receiving:
        assert receiving.stdout is not None
        ports = json.loads(receiving.stdout.readline())
        made = _make_endpoints(url, count, ports, dead=dead)
        with _process("deliver", url, str(made)) as delivering, Bus(url, context=False) as bus:
            assert delivering.stdout is not None
            assert delivering.stdout.readline() == "ready\n"
            rate = min(_RATE, count)
            _emit(bus, count, rate, workplace.size(_WARM_UP_SECONDS, 1), 2)
            began = time.monotonic()
            bus.emit_many(_event(n) for n in range(1, count, 2))
            _emit(bus, count, rate, workplace.size(_SETTLING_SECONDS, 5))
            settled = time.monotonic()
            _emit(bus, count, rate, workplace.size(_SECONDS, 5))
            time.sleep(2)
        said, _ = receiving.communicate(timeout=60)
    received = [(due, seen - due) for due, seen in json.loads(said)]
    shock = [delay for due, delay in received if began <= due < settled]
    delays = [delay for due, delay in received if due >= settled]
    assert delays
    return shock, delays


def _event(number: int) -> Event:
    return Event("job_done", f"p{number}", payload={"due": time.monotonic()}, source="local")


def _emit(bus: Bus, count: int, rate: int, seconds: int, step: int = 1) -> None:
    """Emit at a rate, each event when it is due, however late the one before was.

    Args:
        bus: where.
        count: about so many projects.
        rate: so many in a second.
        seconds: for so long.
        step: about every second project only, which are those of the living.
    """
    draw = random.Random(count)
    start = time.monotonic()
    for n in range(rate * seconds):
        due = start + n / rate
        time.sleep(max(0.0, due - time.monotonic()))
        bus.emit(
            "job_done", f"p{draw.randrange(0, count, step)}", payload={"due": due}, source="local"
        )


def _make_endpoints(url: str, count: int, ports: Sequence[int], *, dead: bool) -> int:
    """Endpoints of even number live, those of odd number are dead in turn in three ways.

    Returns:
        How many were made.
    """
    secret = Secret(new_secret())
    living, failing, hanging = ports
    with open_store(url) as store:
        puts = []
        for number in range(0, count, 1 if dead else 2):
            port = (failing, hanging, _REFUSED)[number // 2 % 3] if number % 2 else living
            id = f"wh_{number:016x}"
            endpoint = Endpoint(
                id, f"http://127.0.0.1:{port}/{number}", {"project": [f"p{number}"]}, "",
                "cloudevents", (secret,), {}, True, CONCURRENCY, 0, False, "", 0,
            )  # fmt: skip
            puts.append(Put(ENDPOINT + id, endpoint.to_value()))
            puts.append(Put(STANDING + id, Standing(Progress(0), lagging=True).to_value()))
        for first in range(0, len(puts), 1000):
            store.append([], put=puts[first : first + 1000])
    return len(puts) // 2


@contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load.webhooks", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
        if process.returncode is None:
            process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
