"""Deliveries to 200 clients of the live stream, against a bare ASGI stream that coalesces.

Both send the same bytes: what one client of ours received is what the bare stream publishes. Both
are fed alike: one connection POSTs batch after batch, each as soon as the one before is answered,
and the time counts from the first POST until each client has received all. Ours keeps each batch
durably and encodes it in that time; the bare one is given frames. Both are read by the same 200
clients in this process, whose own share of a core is told: where it is the whole core on both
sides, both are as fast as the clients.

Batches of ten: small enough that waking 200 clients for each costs more than copying bytes.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks import sample
from benchmarks.figures import Figure
from benchmarks.load.feeder import Feeder
from benchmarks.load.streams import Streams, runner
from benchmarks.rounds import compare
from benchmarks.servers import Server, allow_many_files, reference_server, tidings_server
from benchmarks.workplace import Workplace

_ROUNDS = 11
_WARM_UP = 2
_CLIENTS = 200
_BATCHES = 300
_EVENTS = 10
_SECONDS = 120


def measure(workplace: Workplace) -> Iterator[Figure]:
    """The same events to the same clients by both."""
    allow_many_files()
    batches = workplace.size(_BATCHES, 20)
    with ExitStack() as started:
        running = started.enter_context(runner())
        ours = started.enter_context(tidings_server(workplace, workplace.new_url("streamed")))
        bare = started.enter_context(reference_server(workplace, "bare_stream"))
        feeds = [_ndjson(number) for number in range(batches)]
        fans = {"ours": _Fan(running, ours, feeds), "bare": _Fan(running, bare, [])}
        fans["bare"].feeds = _frames_of(fans["ours"], batches)
        found = compare(fans, workplace.rounds(_ROUNDS), workplace.rounds(_WARM_UP))
        for fan in fans.values():
            fan.close()
    deliveries = batches * _EVENTS * _CLIENTS
    size = sum(map(len, fans["bare"].feeds)) / batches / _EVENTS
    yield Figure(
        f"SSE deliveries to {_CLIENTS} clients : a bare ASGI stream that coalesces",
        found.faster("ours", "bare"),
        at_least=0.8,
        detail=" : ".join(f"{deliveries / found.median(name):,.0f}/s" for name in ("ours", "bare"))
        + f"; {size:.0f} B an event; of a core, the clients took "
        + " : ".join(f"{fans[name].clients_share:.0%}" for name in ("ours", "bare"))
        + ", the servers "
        + " : ".join(f"{fans[name].server_share:.0%}" for name in ("ours", "bare")),
    )


class _Fan:
    """A server, its 200 clients, and the one connection that feeds it.

    Called, it feeds all and returns once each client has received all.
    """

    def __init__(self, running: asyncio.Runner, server: Server, feeds: list[bytes]) -> None:
        self.feeds = feeds
        self.streams = Streams(server)
        self._running = running
        self._server = server
        self._feeder = running.run(Feeder.connect(server))
        self._spent = {"clock": 0.0, "clients": 0.0, "server": 0.0}
        running.run(self.streams.open(_CLIENTS))

    def __call__(self) -> None:
        before = self._clocks()
        self._running.run(self._deliver())
        for name, value in self._clocks().items():
            self._spent[name] += value - before[name]

    @property
    def clients_share(self) -> float:
        """What of a core this process has taken."""
        return self._spent["clients"] / self._spent["clock"]

    @property
    def server_share(self) -> float:
        """What of a core the server has taken."""
        return self._spent["server"] / self._spent["clock"]

    def close(self) -> None:
        self.streams.close()
        self._feeder.close()

    async def _deliver(self) -> None:
        async with asyncio.timeout(_SECONDS):
            events = len(self.feeds) * _EVENTS
            await asyncio.gather(self._feeder.feed(self.feeds), self.streams.received(events))

    def _clocks(self) -> dict[str, float]:
        return {
            "clock": time.monotonic(),
            "clients": time.process_time(),
            "server": self._server.processor_seconds(),
        }


def _ndjson(number: int) -> bytes:
    events = (json.dumps(sample.job_fields(number * _EVENTS + n)) for n in range(_EVENTS))
    return "\n".join(events).encode()


def _frames_of(fan: _Fan, batches: int) -> list[bytes]:
    """What one client receives of a feed, as the batches the bare stream publishes."""
    fan.streams.remember()
    fan()
    frames = [
        frame + b"\n\n"
        for frame in _unchunked(fan.streams.first_bytes()).split(b"\n\n")
        if b"\ndata:" in frame
    ]
    assert len(frames) == batches * _EVENTS, len(frames)
    return [b"".join(frames[n : n + _EVENTS]) for n in range(0, len(frames), _EVENTS)]


def _unchunked(received: bytes) -> bytes:
    """The body within HTTP's chunks; a remembered part begins with a chunk."""
    body, rest = [], received
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body.append(rest[:length])
        rest = rest[length + 2 :]
    return b"".join(body)
