"""A process that emits at a steady rate, each event with the time at which it was due.

`python -m benchmarks.load.steady WHERE RATE SECONDS`: to a server, one POST an event, where WHERE
is an http URL; else to the store of that URL, as an embedded bus. What is due is sent whether
earlier events are answered or not, so a server that stalls is charged for all who wait meanwhile.
At the end it writes how late its own sends were at most (seconds).
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import cast

import uvloop

from benchmarks import sample
from benchmarks.servers import address_of
from tidings.bus import Bus

_CONNECTIONS = 64
_LEAD_SECONDS = 0.2
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def main() -> None:
    """Emit, and say how late at most."""
    where, rate, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    start = time.monotonic() + _LEAD_SECONDS
    due_times = (start + number / rate for number in range(rate * seconds))
    if where.startswith("http:"):
        print(uvloop.run(_post(where, due_times)))
    else:
        print(_emit(where, due_times))


def _emit(url: str, due_times: Iterator[float]) -> float:
    """One call an event; where a call took so long that several are due, one for all of them."""
    latest = 0.0
    waiting = deque(due_times)
    with Bus(url, context=False) as bus:
        while waiting:
            time.sleep(max(0.0, waiting[0] - time.monotonic()))
            now = time.monotonic()
            latest = max(latest, now - waiting[0])
            due = []
            while waiting and waiting[0] <= now:
                due.append(_event(waiting.popleft()))
            bus.emit_many(due)
    return latest


async def _post(url: str, due_times: Iterator[float]) -> float:
    host, port = address_of(url)
    posts = _Posts(f"{host}:{port}")
    loop = asyncio.get_running_loop()
    for _ in range(_CONNECTIONS):
        await loop.create_connection(lambda: _Connection(posts), host, port)
    latest = 0.0
    for due in due_times:
        if (delay := due - time.monotonic()) > 0:
            await asyncio.sleep(delay)
        latest = max(latest, time.monotonic() - due)
        posts.send(json.dumps(_event(due)).encode())
    await posts.all_answered.wait()
    return latest


def _event(due: float) -> dict[str, object]:
    # A string, so that every encoder writes it as it is.
    return {**sample.job_fields(0), "payload": {**sample.PAYLOAD, "due": f"{due:.6f}"}}


class _Posts:
    """Connections that wait for something to POST, or POSTs that wait for a connection."""

    def __init__(self, host: str) -> None:
        # Each in its turn: one that were never used would be closed by the server.
        self.free: deque[_Connection] = deque()
        self.all_answered = asyncio.Event()
        self._waiting: deque[bytes] = deque()
        self._head = f"POST /events/ HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"

    def send(self, body: bytes) -> None:
        request = f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        self.all_answered.clear()
        if self.free:
            self.free.popleft().transport.write(request)
        else:
            self._waiting.append(request)

    def answered(self, connection: _Connection) -> None:
        if self._waiting:
            connection.transport.write(self._waiting.popleft())
        else:
            self.free.append(connection)
            if len(self.free) == _CONNECTIONS:
                self.all_answered.set()


class _Connection(asyncio.Protocol):
    """One connection, which is free again once its answer is complete."""

    def __init__(self, posts: _Posts) -> None:
        self.transport: asyncio.Transport
        self._posts = posts
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self._posts.answered(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if end and length and len(body) >= int(length[1]):
            assert head.startswith(b"HTTP/1.1 2"), self._received
            self._received = b""
            self._posts.answered(self)


if __name__ == "__main__":
    main()
