"""The two sides of webhooks, each a process that ends when its standard input does.

    python -m benchmarks.load.webhooks receive        says its ports, in the end what it received
    python -m benchmarks.load.webhooks deliver URL N  delivers; says when it serves N endpoints

A receiver takes webhooks at one port, answers 500 at the next and nothing at the third. Of what it
takes it notes when it was due to be emitted, and when it came: the monotonic clock is one for all
processes of a machine.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

from benchmarks.servers import allow_many_files
from tidings.delivery.webhooks.engine import Webhooks
from tidings.store import open_store
from tidings.subscriptions.leases import Leases

_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
_DUE = re.compile(rb'"due":([0-9.]+)')
_END = b"\r\n\r\n"


class Receiver(asyncio.Protocol):
    """One connection: the least HTTP that takes webhooks."""

    def __init__(self, answer: bytes, received: list[tuple[float, float]] | None) -> None:
        self._answer = answer
        self._received = received
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has come."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._data += data
        while (head := self._data.find(_END)) >= 0:
            length = _LENGTH.search(self._data, 0, head)
            end = head + len(_END) + (int(length[1]) if length else 0)
            if len(self._data) < end:
                return
            request, self._data = self._data[:end], self._data[end:]
            due = _DUE.search(request, head)
            if self._received is not None and due is not None:
                self._received.append((float(due[1]), time.monotonic()))
            self._transport.write(self._answer)


async def _receive() -> None:
    received: list[tuple[float, float]] = []
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(
            lambda answer=answer, into=into: Receiver(answer, into), "127.0.0.1", 0, backlog=4096
        )
        for answer, into in (
            (b"HTTP/1.1 204 No Content\r\n\r\n", received),
            (b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", None),
            (b"", None),
        )
    ]
    print(json.dumps([each.sockets[0].getsockname()[1] for each in servers]), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(json.dumps(received), flush=True)


def _deliver(url: str, count: int) -> None:
    with open_store(url) as store:
        leases = Leases(store)
        with Webhooks(store, leases) as webhooks:
            leases.start()
            while webhooks.counts().get("endpoints") != count:
                time.sleep(0.1)
            print("ready", flush=True)
            sys.stdin.read()
        leases.close()


if __name__ == "__main__":
    allow_many_files()
    if sys.argv[1] == "receive":
        asyncio.run(_receive())
    else:
        _deliver(sys.argv[2], int(sys.argv[3]))
