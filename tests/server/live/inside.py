"""A service and clients of its live stream within one event loop, without sockets.

For what can only be brought about from inside: a store that fails, a client that vanishes between
two bytes, a head that comes late.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.server.conftest import PATIENCE
from tests.server.live.wire_events import Message, Reader
from tidings.event import Event
from tidings.server.access import ANYONE, Caller
from tidings.server.calls import Call
from tidings.server.config import APIServerConfig
from tidings.server.live import Live
from tidings.server.live.timing import Timing
from tidings.server.service import Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, MutableMapping

QUICK = Timing(heartbeat=0.4, slow=PATIENCE, ahead=0.3, farewell=PATIENCE, tick=0.05, linger=0.1)
"""Timing that a test can wait for, and that lets go of nobody because the test was held up."""

PATIENT = Timing(ahead=PATIENCE, slow=PATIENCE, farewell=PATIENCE)
"""Timing whose end no test waits for."""


@asynccontextmanager
async def serving(timing: Timing = QUICK, url: str = "memory:") -> AsyncIterator[Service]:
    """A service whose live stream has this timing."""
    service = Service(APIServerConfig(url=url))
    service.live = Live(service, timing)
    try:
        yield service
    finally:
        await service.close()


async def emit(service: Service, *types: str, project: str = "") -> None:
    """Keep events of these types."""
    await service.bus.emit_many([Event(type_, project) for type_ in types])


class Listener:
    """A client of a live stream.

    Args:
        service: whose stream.
        query: the URL's query.
        headers: what it sends, names in lower case.
        caller: who it is.
        can_be_aborted: whether the server puts `tidings.abort` into the scope, as ours does.

    Attributes:
        status: of the answer; 0 until it has begun.
        reader: what it has read.
        ended: whether the body has ended properly.
        reading: clear it, and the client takes nothing.
    """

    def __init__(
        self,
        service: Service,
        query: str = "",
        headers: dict[str, str] | None = None,
        caller: Caller = ANYONE,
        *,
        can_be_aborted: bool = True,
    ) -> None:
        self.status = 0
        self.reader = Reader()
        self.ended = False
        self.reading = asyncio.Event()
        self.reading.set()
        self.aborted = asyncio.Event()
        self.left = asyncio.Event()
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._heard = asyncio.Event()
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": "/events/stream",
            "query_string": query.encode(),
            "headers": [(n.encode(), v.encode()) for n, v in (headers or {}).items()],
            "extensions": {"tidings.abort": self._abort} if can_be_aborted else {},
        }
        call = Call(scope, self._receive, self._send, service, caller, "")
        self.task = asyncio.create_task(service.live.stream(call))

    async def message(self) -> Message:
        """The next message."""
        async with asyncio.timeout(PATIENCE):
            return await self._messages.get()

    async def numbers(self, count: int) -> list[int]:
        """The positions of the next so many events."""
        return [json.loads((await self.message()).data)["position"] for _ in range(count)]

    async def heard(self) -> None:
        """Wait until anything at all has come since this was last waited for."""
        async with asyncio.timeout(PATIENCE):
            await self._heard.wait()
        self._heard.clear()

    async def end(self) -> None:
        """Wait until the server is done with it."""
        async with asyncio.timeout(PATIENCE):
            await self.task

    def leave(self) -> None:
        """Vanish."""
        self.left.set()

    def _abort(self) -> None:
        self.aborted.set()
        self.left.set()

    async def _receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        waiting = [asyncio.create_task(flag.wait()) for flag in (self.reading, self.left)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        if self.left.is_set():
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        for found in self.reader.feed(message["body"]):
            self._messages.put_nowait(found)
        self.ended = not message.get("more_body", False)
        self._heard.set()
