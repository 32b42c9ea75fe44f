"""From emit to the clients of the live stream: 1,000 events a second, 100 clients.

A process of its own emits at that rate: by POST, one event each, or into the same store as an
embedded bus, so that the server has to notice what another process wrote. Each event carries the
time at which it was due to be emitted; what counts is from then until its bytes have reached a
client, for every client and every event after the first two seconds. The sender does not wait for
answers, so a stall counts for all that was due meanwhile.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator

from benchmarks.figures import Figure
from benchmarks.load.streams import Streams, runner
from benchmarks.rounds import percentile, spread
from benchmarks.servers import Server, allow_many_files, tidings_server
from benchmarks.workplace import Workplace

_ROUNDS = 3
_CLIENTS = 100
_RATE = 1000
_SECONDS = 12
_WARM_UP_SECONDS = 2
_LATEST_SECONDS = 30
_PERCENTILE = 99

# A frame has the payload twice: the seed calls it `attributes`. The monotonic clock is one for all
# processes of a machine.
_DUE = re.compile(rb'"payload": ?{[^}]*"due": ?"([0-9.]+)"')


def measure(workplace: Workplace) -> Iterator[Figure]:
    """Through the server, and across processes."""
    allow_many_files()
    url = workplace.new_url("streamed")
    with tidings_server(workplace, url) as server, runner() as running:
        for what, where, most in (
            ("`POST` → SSE client", server.url, 50),
            ("`Bus.emit` in another process → SSE client", url, 75),
        ):
            rounds = [
                running.run(_delays(server, where, workplace.size(_SECONDS, 4)))
                for _ in range(workplace.rounds(_ROUNDS))
            ]
            yield _figure(what, most, rounds)


def _figure(what: str, most: int, rounds: list[_Delays]) -> Figure:
    delays = [each.seconds() for each in rounds]
    p50, p99 = (
        spread([percentile(each, percent) * 1e3 for each in delays])
        for percent in (50, _PERCENTILE)
    )
    return Figure(
        f"{what}, {_RATE:,} events/s to {_CLIENTS} clients, p{_PERCENTILE}",
        p99,
        at_most=most,
        unit="ms",
        detail=f"p50 {p50.median:.1f} ms, longest {max(map(max, delays)) * 1e3:.0f} ms of "
        f"{sum(map(len, delays)):,}; the sender was late by "
        f"{max(each.sender_late for each in rounds) * 1e3:.0f} ms at most",
    )


class _Delays:
    """What the clients see: when each event was due, and when each client had it."""

    def __init__(self) -> None:
        self.sender_late = 0.0
        self._due: list[float] = []
        self._seen: list[float] = []

    def see(self, chunk: bytes, now: float) -> None:
        due = _DUE.findall(chunk)
        self._due += map(float, due)
        self._seen += [now] * len(due)

    def seconds(self) -> list[float]:
        """The delays that count."""
        start = min(self._due) + _WARM_UP_SECONDS
        return [seen - due for due, seen in zip(self._due, self._seen, strict=True) if due >= start]


async def _delays(server: Server, where: str, seconds: int) -> _Delays:
    delays = _Delays()
    streams = Streams(server, each_chunk=delays.see)
    await streams.open(_CLIENTS)
    sender = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.load.steady", where, str(_RATE), str(seconds)),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(seconds + _LATEST_SECONDS):
        said, _ = await sender.communicate()
        assert sender.returncode == 0
        await streams.received(_RATE * seconds)
    streams.close()
    delays.sender_late = float(said)
    # One that two reads cut apart is not seen; more than a few would be too many.
    counted = _RATE * _CLIENTS * (seconds - _WARM_UP_SECONDS)
    assert len(delays.seconds()) > counted * 0.98, (len(delays.seconds()), counted)
    return delays
