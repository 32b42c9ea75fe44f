"""What a running server holds: the bus on its store, keys, limits, metrics, live stream, delivery.

Made when the app starts, because the configuration is read then, and closed when it ends. It never
spools and adds no context: both are the client's. It knows no routes.
"""

from __future__ import annotations

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation of `service_of`

from tidings import settings
from tidings.aio import AsyncBus
from tidings.integrations.discretion import Discretion
from tidings.server.delivering import Delivering
from tidings.server.guard import Guard
from tidings.server.keys import KeyRing
from tidings.server.limits import Limits
from tidings.server.live import Live
from tidings.server.mcp import Mcp
from tidings.server.metrics import Metrics
from tidings.server.sessions import Sessions
from tidings.server.upkeep import Upkeep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.server.config import APIServerConfig
    from tidings.store.base import Store

__all__ = ["Service", "service_of"]


class Service:
    """What a running server holds.

    Args:
        config: how it runs.

    Attributes:
        config: as given.
        bus: keeps and gives events; many requests share a durable write.
        keys: who may come in.
        sessions: browsers that showed a key.
        limits: how much one caller may ask for.
        guard: looks at each request before it is routed.
        metrics: what `/metrics` tells.
        live: the live stream.
        mcp: the MCP server at `/mcp`.
        max_payload: the largest payload that is taken, as JSON (bytes).
        discretion: what is kept of what AI agents and their traces say.
        upkeep: what is done on a timer.
        delivering: sends webhooks and notices, and watches.
        draining: whether the server is about to end; streams have been told to come back.

    Raises:
        InvalidSetting: the store's URL names no backend, or another setting cannot be used.
        StoreUnavailable: the store cannot be opened.
    """

    def __init__(self, config: APIServerConfig) -> None:
        self.config = config
        self.draining = False
        self.max_payload = settings.max_payload()
        self.discretion = Discretion.of_settings()
        self.bus = AsyncBus(
            config.store_url, context=False, deadline=config.database_timeout, spooling=False
        )
        self.metrics = Metrics()
        self.bus.on_commit = self.metrics.committed
        self.keys = KeyRing(self.store)
        self.sessions = Sessions(self.store, self.keys)
        self.limits = Limits(config)
        try:
            self.guard = Guard(config, self.keys, self.limits, self.sessions)
        except BaseException:
            self.bus.bus.close()  # Else each request would leave a store open.
            raise
        self.live = Live(self)
        self.mcp = Mcp(self)
        self.upkeep = Upkeep(self)
        self.delivering = Delivering(self.bus.bus, wanted=config.deliver)

    @property
    def store(self) -> Store:
        """The store behind the bus; its calls block."""
        return self.bus.store

    def start(self) -> None:
        """Begin what nobody asks for by a request; called in the event loop."""
        if self.config.collects:
            self.upkeep.start()
        self.delivering.start()

    def drain(self) -> None:
        """Tell streams to come back and take no new ones; calling again is harmless."""
        if not self.draining:
            self.draining = True
            self.live.drain()
            self.mcp.drain()
            self.delivering.drain()

    async def close(self) -> None:
        """Finish what was begun, then close the store."""
        self.drain()
        await self.upkeep.close()
        await self.mcp.close()
        await self.live.close()
        await self.delivering.close()
        await self.bus.close()


def service_of(request: Request) -> Service:
    """The service of the app that serves a request, for FastAPI's `Depends`."""
    return request.app.service  # type: ignore[no-any-return]  # Starlette knows no types of apps
