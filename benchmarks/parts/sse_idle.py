"""A thousand idle streams: what each costs in memory, and how soon the server stops with them.

Memory is what the process has resident with them less what it had before, when a hundred streams
were open and had been sent an event. Told beside it: the same of a bare ASGI stream, and after each
client was sent an event. Stopping counts from SIGTERM until the process is gone; each round has a
new server, and its clients do nothing but read.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks import sample
from benchmarks.figures import Figure
from benchmarks.load.streams import Streams, runner
from benchmarks.rounds import spread
from benchmarks.servers import Server, allow_many_files, reference_server, tidings_server
from benchmarks.workplace import Workplace

_ROUNDS = 5
_STREAMS = 1000
_FIRST = 100
_SECONDS = 60


class _Idle(NamedTuple):
    """What a round gave: bytes for each stream, before and after an event, and seconds to stop."""

    size: float
    size_after_event: float
    stop: float


def measure(workplace: Workplace) -> Iterator[Figure]:
    """Memory of ours and of the bare stream, and how long ours takes to stop."""
    allow_many_files()
    ours, bare = [], []
    event = json.dumps(sample.job_fields(1)).encode()
    frame = b"id: 1\nevent: event\ndata: " + event + b"\n\n"
    with runner() as running:
        for _ in range(workplace.rounds(_ROUNDS)):
            with tidings_server(workplace, workplace.new_url("idle")) as server:
                ours.append(running.run(_idle(server, event, stopping=True)))
            with reference_server(workplace, "bare_stream") as server:
                bare.append(running.run(_idle(server, frame, stopping=False)))
    bare_size = spread([each.size for each in bare])
    after_event = spread([each.size_after_event for each in ours])
    yield Figure(
        f"memory of an idle SSE client, of {_STREAMS:,}",
        spread([each.size / 1000 for each in ours]),
        at_most=40,
        unit="kB",
        detail=f"a bare ASGI stream {bare_size.median / 1000:.1f} kB; "
        f"once each was sent an event {after_event.median / 1000:.1f} kB",
    )
    yield Figure(
        f"stop with {_STREAMS:,} idle streams, from SIGTERM",
        spread([each.stop for each in ours]),
        at_most=5,
        unit="s",
        detail=f"longest {max(each.stop for each in ours):.2f} s of {len(ours)}",
    )


async def _idle(server: Server, event: bytes, *, stopping: bool) -> _Idle:
    async with asyncio.timeout(_SECONDS):
        first, streams = Streams(server), Streams(server)
        await first.open(_FIRST)
        await _send(server, event, [first])
        before = server.memory()
        await streams.open(_STREAMS)
        opened = server.memory()
        await _send(server, event, [first, streams])
        sent = server.memory()
        stop = await _stop(server, [first, streams]) if stopping else 0.0
        for each in (first, streams):
            each.close()
    return _Idle((opened - before) / _STREAMS, (sent - before) / _STREAMS, stop)


async def _send(server: Server, event: bytes, to: list[Streams]) -> None:
    """POST an event, and wait until all have it."""
    connection = server.connection()
    connection.request("POST", "/events/", event, {"Content-Type": "application/json"})
    assert connection.getresponse().status < 300
    connection.close()
    await asyncio.gather(*(streams.received(1) for streams in to))


async def _stop(server: Server, streams: list[Streams]) -> float:
    start = time.monotonic()
    server.ask_to_stop()
    await asyncio.to_thread(server.wait_until_stopped)
    taken = time.monotonic() - start
    await asyncio.gather(*(each.ended() for each in streams))
    return taken
