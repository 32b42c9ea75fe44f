"""One connection that POSTs body after body, each as soon as the one before is answered.

In the event loop of the clients: a thread would wait for its turn while they are busy.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Self

from benchmarks.servers import Server

__all__ = ["Feeder"]

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Feeder:
    """An open connection to a server; made by `connect`."""

    def __init__(
        self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._head = (
            f"POST /events/ HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n"
            "Content-Type: application/x-ndjson\r\n"
        )

    @classmethod
    async def connect(cls, server: Server) -> Self:
        """Connect to a server."""
        return cls(server, *await asyncio.open_connection(server.host, server.port))

    async def feed(self, bodies: Iterable[bytes]) -> None:
        """POST each body as NDJSON."""
        for body in bodies:
            head = f"{self._head}Content-Length: {len(body)}\r\n\r\n"
            self._writer.write(head.encode() + body)
            await self._answer()

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()

    async def _answer(self) -> None:
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await self._reader.readexactly(int(length[1])) if length else b""
        assert head.startswith(b"HTTP/1.1 2"), (head, body)
