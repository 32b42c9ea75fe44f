"""The server of the SDK with our tools and resources, on one bus.

`create_mcp` is used by `tidings mcp`, by the HTTP server and by the drop-in for
eventuali-mcp-server. How it is reached is `serving`'s work.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from typing import Any, NamedTuple

from mcp.server import MCPServer

from tidings import __version__
from tidings.aio import AsyncBus
from tidings.mcp_server import seed_tools, tools
from tidings.mcp_server.access import OWN_PROCESS
from tidings.mcp_server.changes import Changes
from tidings.mcp_server.listening import Listening
from tidings.mcp_server.resources import Resources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mcp.server.lowlevel.helper_types import ReadResourceContents
    from mcp.server.lowlevel.server import Server as LowLevel
    from mcp.server.mcpserver import Context
    from mcp_types import Resource, ResourceTemplate

    from tidings.mcp_server.access import Access, Door

__all__ = ["Ground", "LazyBus", "Server", "create_mcp"]

INSTRUCTIONS = """\
Tidings keeps events in order, for good. Say what happens with `emit`, or with start_agent, \
emit_agent_event and complete_agent where an agent or workflow does it; read back with `latest`, \
`history` and `search_events`; see how a workflow stands with `get_workflow`; wait for what others \
do with `wait_for_event` instead of asking again and again. Resources hold the same to be read by \
address, and tell subscribers when they change."""


class LazyBus:
    """An `AsyncBus` that is made when it is first needed; where that fails, it is tried again.

    Args:
        url: of the store; none for the default one.
        options: further arguments of `AsyncBus`.
    """

    def __init__(self, url: str | None = None, **options: Any) -> None:
        self._url = url
        self._options = options
        self._bus: AsyncBus | None = None

    def __call__(self) -> AsyncBus:
        """The bus.

        Raises:
            TidingsError: the store cannot be opened.
        """
        if self._bus is None:
            self._bus = AsyncBus(self._url, **self._options)
        return self._bus

    async def close(self) -> None:
        """Close it, if it was made."""
        bus, self._bus = self._bus, None
        if bus is not None:
            await bus.close()


class Ground(NamedTuple):
    """What tools and resources stand on.

    Attributes:
        bus: gives the bus when it is needed; it may be made only when the process runs.
        schemes: the first words of resource addresses: `tidings`, and `eventuali` for the drop-in.
        door: who lets clients in; stdio's unless said otherwise, and that lets in none over HTTP.
        ending: set as soon as the server is about to end; a server makes its own.
    """

    bus: Callable[[], AsyncBus]
    schemes: tuple[str, ...] = ("tidings",)
    door: Door = OWN_PROCESS
    ending: asyncio.Event | None = None

    def access(self, context: Context[Any, Any]) -> Access:
        """What the client of a call may do.

        Raises:
            TidingsError: nobody knows who asks.
        """
        try:
            request = context.request_context.request
        except ValueError:
            request = None  # A call from this process, by whoever imported the server.
        return self.door.access(request)


class Server(MCPServer[Any]):
    """The SDK's server with our tools and resources.

    Args:
        ground: what they stand on.
        name: what it calls itself.

    Attributes:
        ground: as given.
    """

    def __init__(self, ground: Ground, name: str) -> None:
        self._ending = asyncio.Event()
        ground = ground._replace(ending=self._ending)
        with _root_logger_left_alone():
            super().__init__(
                name,
                title="Tidings",
                version=__version__,
                instructions=INSTRUCTIONS,
                tools=[*seed_tools.tools(ground), *tools.tools(ground)],
                subscriptions=False,
            )
        self.ground = ground
        self._resources = Resources(ground)
        self._changes = Changes(ground)
        self._listening = Listening(ground, self._changes)
        self._listening.serve(self.lowlevel)

    @property
    def lowlevel(self) -> LowLevel[Any]:
        """The server behind this one, to which methods can be added and which speaks to streams."""
        return self._lowlevel_server

    async def list_resources(self) -> list[Resource]:
        """The resources that have one address."""
        return self._resources.fixed()

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """The resources whose address holds an id."""
        return self._resources.templates()

    async def read_resource(
        self, uri: Any, context: Context[Any, Any] | None = None
    ) -> Iterable[ReadResourceContents]:
        """What a resource holds now.

        Raises:
            ResourceError: it cannot be read, or there is none.
        """
        return [await self._resources.read(str(uri), context)]

    def drain(self) -> None:
        """Tell all who listen or wait that this server ends; new ones are refused."""
        self._ending.set()
        self._listening.drain()

    async def close(self) -> None:
        """Stop looking for changes; the bus stays open."""
        self.drain()
        await self._changes.close()


def create_mcp(ground: Ground, name: str = "tidings") -> Server:
    """A server of the SDK with every tool and resource.

    Args:
        ground: what they stand on.
        name: what it calls itself.
    """
    return Server(ground, name)


@contextmanager
def _root_logger_left_alone() -> Iterator[None]:
    """Keep the SDK's constructor from configuring how this whole process logs.

    It does so where nobody else has; a handler that does nothing counts as somebody.
    """
    root, nothing = logging.getLogger(), logging.NullHandler()
    root.addHandler(nothing)
    try:
        yield
    finally:
        root.removeHandler(nothing)
