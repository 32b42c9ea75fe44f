"""The MCP server behind `/mcp`: made at the first request, and let in by this server's guard.

Hosts, origins, keys, rates and bodies are looked at as for any other route, so the SDK's own checks
are off. Each request says who asks; tools and resources ask that caller what it may (promise 6).
Who listens for changes counts as a live stream, goes with its key, and is told to go when the
server ends. The extra `mcp` is loaded when it is first needed.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import Any

from tidings.errors import MissingExtra
from tidings.mcp_server.access import HttpDoor
from tidings.server.calls import BareRoute
from tidings.server.ingest.sizes import longest_body
from tidings.server.problems import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.mcp_server.making import Server
    from tidings.mcp_server.serving import HttpSide
    from tidings.server.access import Caller
    from tidings.server.calls import Call, Message
    from tidings.server.service import Service

__all__ = ["BARE", "Mcp"]


class Mcp:
    """The MCP server of a service.

    Args:
        service: what it stands on.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = asyncio.Lock()
        self._server: Server | None = None
        self._side: HttpSide | None = None

    async def answer(self, call: Call) -> None:
        """Answer one request.

        Raises:
            Problem: the server ends (503), or the extra `mcp` is missing (501).
        """
        side = await self._made()
        body = await call.body(longest_body(self._service.max_payload))
        unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return unread.pop() if unread else await call.receive()

        await side.answer(call.scope, receive, call.send)

    async def _made(self) -> HttpSide:
        async with self._lock:
            if self._service.draining:
                raise Problem(
                    503,
                    "stopping",
                    "this server is stopping; come back in a moment",
                    headers=(("retry-after", "1"),),
                )
            if self._side is None:
                # In a thread: it takes the best part of a second.
                side = await asyncio.to_thread(self._make)
                await side.start()
                self._side = side
            return self._side

    def _make(self) -> HttpSide:
        try:
            from tidings.mcp_server.making import Ground, create_mcp
            from tidings.mcp_server.serving import HttpSide
        except ImportError:
            missing = MissingExtra("/mcp", "mcp")
            raise Problem(501, "extra-missing", str(missing)) from None
        self._server = create_mcp(Ground(lambda: self._service.bus, door=_Door(self._service)))
        return HttpSide(self._server, largest_body=longest_body(self._service.max_payload))

    def drain(self) -> None:
        """Tell those who listen to come back."""
        if self._server is not None:
            self._server.drain()

    async def close(self) -> None:
        """End what is under way."""
        if self._side is not None:
            await self._side.close()


class _Door(HttpDoor):
    """Callers of this server: who listens takes the place of a live stream, and goes with its key.

    Args:
        service: what they are callers of.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    @contextmanager
    def place(self, access: Any, /) -> Iterator[None]:
        """One of the places for live streams.

        Raises:
            Problem: there is none left, for this caller or for anybody.
        """
        metrics = self._service.metrics
        with self._service.limits.stream_slot(access):
            metrics.stream_opened()
            try:
                yield
            finally:
                metrics.stream_closed()

    async def still_admits(self, access: Any, /) -> bool:
        """Whether they could come in now, their session included."""
        caller: Caller = access
        if not self._service.guard.may_stay(caller):
            return False
        if not caller.session:
            return True
        sessions = self._service.sessions
        asked, key = sessions.recall(caller.session)
        if not asked:
            key = await asyncio.to_thread(sessions.look_up, caller.session)
        return key is not None


async def _answer(call: Call) -> None:
    await call.service.mcp.answer(call)


BARE = tuple(BareRoute("POST", path, "", _answer, {}) for path in ("/mcp", "/mcp/"))
"""The routes. Clients do not follow a redirect, so both answer; and the protocol describes itself
to clients, so they stand in no OpenAPI document."""
