"""Clients of a live stream, hundreds of them in one process, as cheap as Python has them.

They read raw sockets on uvloop and look at nothing but the bytes: a frame is counted by the `data:`
at the start of a line, which no JSON in a frame can contain. The same clients read our stream and
the bare one, so what they cost is the same on both sides.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

import uvloop

from benchmarks.servers import Server

__all__ = ["Streams", "runner"]

_MARK = b"\ndata:"
_CONNECTS_AT_ONCE = 50


def runner() -> asyncio.Runner:
    """What runs the clients."""
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


class Streams:
    """Open streams of one server.

    Args:
        server: whose.
        path: of the stream.
        each_chunk: called with each chunk of bytes as it comes, and by which clock it came.
    """

    def __init__(
        self,
        server: Server,
        path: str = "/events/stream",
        each_chunk: Callable[[bytes, float], None] | None = None,
    ) -> None:
        self._server = server
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n"
            "Accept: text/event-stream\r\n\r\n"
        ).encode()
        self._each_chunk = each_chunk
        self._streams: list[_Stream] = []

    async def open(self, number: int) -> None:
        """Open so many more, and wait until each is answered."""
        while number > 0:
            at_once = min(number, _CONNECTS_AT_ONCE)
            opened = await asyncio.gather(*(self._open_one() for _ in range(at_once)))
            await asyncio.gather(*(stream.answered for stream in opened))
            self._streams += opened
            number -= at_once

    async def received(self, frames: int) -> None:
        """Wait until each of them has received so many frames since the last call."""
        await asyncio.gather(*(stream.received(frames) for stream in self._streams))

    async def ended(self) -> None:
        """Wait until the server has closed each of them."""
        await asyncio.gather(*(stream.ended for stream in self._streams))

    def close(self) -> None:
        """Close them all."""
        for stream in self._streams:
            stream.close()
        self._streams.clear()

    def first_bytes(self) -> bytes:
        """What the first of them received since it was asked to remember."""
        return b"".join(self._streams[0].remembered or ())

    def remember(self) -> None:
        """Let the first of them remember what it receives from now on."""
        self._streams[0].remembered = []

    async def _open_one(self) -> _Stream:
        loop = asyncio.get_running_loop()
        _, stream = await loop.create_connection(
            lambda: _Stream(self._request, self._each_chunk), self._server.host, self._server.port
        )
        return stream


class _Stream(asyncio.Protocol):
    """One client: sends its request when connected, counts frames from then on."""

    def __init__(self, request: bytes, each_chunk: Callable[[bytes, float], None] | None) -> None:
        loop = asyncio.get_running_loop()
        self.answered: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.remembered: list[bytes] | None = None
        self._request = request
        self._each_chunk = each_chunk
        self._frames = 0
        self._tail = b""
        self._wanted: tuple[int, asyncio.Future[None]] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._each_chunk is not None:
            self._each_chunk(data, time.monotonic())
        if self.remembered is not None:
            self.remembered.append(data)
        if not self.answered.done():
            status = data.split(b"\r\n", 1)[0]
            assert b" 200 " in status, data
            self.answered.set_result(None)
        seen = self._tail + data
        self._frames += seen.count(_MARK)
        # A mark may be cut in two by where the chunks end.
        self._tail = seen[1 - len(_MARK) :]
        self._tell()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
        for waiting in (self.answered, self._wanted[1] if self._wanted else None):
            if waiting is not None and not waiting.done():
                waiting.set_exception(ConnectionError("the server closed a stream"))

    async def received(self, frames: int) -> None:
        enough: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wanted = frames, enough
        self._tell()
        await enough

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _tell(self) -> None:
        if self._wanted is not None and self._frames >= self._wanted[0]:
            self._frames -= self._wanted[0]
            self._wanted[1].set_result(None)
            self._wanted = None
