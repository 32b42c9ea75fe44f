"""What tests of tools share: the SDK's client on our server, and a key that may do little."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from mcp.client.client import Client

from tidings.aio import AsyncBus
from tidings.mcp_server.making import Ground, Server, create_mcp
from tidings.server.access import Caller
from tidings.server.problems import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractContextManager

    from mcp.types import CallToolResult

    from tidings.mcp_server.access import Access

__all__ = ["GENERATIONS", "KeyDoor", "Tools", "connected"]

GENERATIONS = ("legacy", "auto")
"""The generations of the protocol: with a handshake (2025), and without (2026)."""


class KeyDoor:
    """A door at which everybody holds the same key.

    Args:
        scopes: what the key allows.
        projects: the only projects it is for; none for all.

    Attributes:
        counts: whether the key still counts.
        places: how many more may wait; none for any number.
    """

    keeps_sessions = True

    def __init__(self, *scopes: str, projects: set[str] | None = None) -> None:
        bound = None if projects is None else frozenset(projects)
        self._caller = Caller("laptop", frozenset(scopes), bound, "key-1")
        self.counts = True
        self.places: int | None = None

    def access(self, _request: Any, /) -> Access:
        """What the key allows."""
        return self._caller

    def place(self, _access: Access, /) -> AbstractContextManager[object]:
        """One of the places."""
        if self.places is not None:
            if not self.places:
                raise Problem(429, "too-many-streams", "too many wait already")
            self.places -= 1
        return nullcontext()

    async def still_admits(self, _access: Access, /) -> bool:
        """Whether the key still counts."""
        return self.counts


class Tools:
    """A client that calls tools and looks at what comes.

    Args:
        client: the SDK's.
        server: what it is connected to.
        bus: the bus behind the server.
    """

    def __init__(self, client: Client, server: Server, bus: AsyncBus) -> None:
        self.client = client
        self.server = server
        self.bus = bus

    async def call(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """What a tool answers; text and structure must say the same."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, text_of(result)
        assert result.structured_content is not None
        answer: dict[str, Any] = result.structured_content
        assert json.loads(text_of(result)) == answer
        return answer

    async def refusal(self, tool: str, /, **arguments: Any) -> str:
        """What a tool says that went wrong."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, text_of(result)
        return text_of(result)


def text_of(result: CallToolResult) -> str:
    """The one text of a result."""
    (content,) = result.content
    assert content.type == "text"
    return content.text


@asynccontextmanager
async def connected(
    store: Any = "memory:",
    *,
    mode: str = "auto",
    door: KeyDoor | None = None,
    **options: Any,
) -> AsyncIterator[Tools]:
    """A client, connected to a server on a bus of its own.

    Args:
        store: as for `AsyncBus`.
        mode: which generation of the protocol it speaks; see `GENERATIONS`.
        door: who lets it in; without one it may do everything.
        options: further arguments of `AsyncBus`.
    """
    async with AsyncBus(store, **options) as bus:
        ground = Ground(lambda: bus) if door is None else Ground(lambda: bus, door=door)
        server = create_mcp(ground)
        try:
            async with Client(server, mode=mode) as client:
                yield Tools(client, server, bus)
        finally:
            await server.close()
