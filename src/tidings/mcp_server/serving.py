"""How the MCP server is reached: over stdio, and over HTTP.

HTTP is stateless: each request stands for itself and any worker answers it. `HttpSide` answers
requests that somebody else has let in; the HTTP server does that at `/mcp` (`tidings.server.mcp`).
`http_app` is an ASGI app of its own for a process that has no guard, and so serves this machine
only.
"""

from __future__ import annotations

import asyncio

from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import Response

from tidings.mcp_server.access import EVERYTHING, SCOPE_KEY
from tidings.mcp_server.making import LazyBus
from tidings.mcp_server.stdio import run_stdio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from tidings.mcp_server.making import Server

__all__ = ["PATHS", "HttpSide", "http_app", "run_stdio"]

PATHS = ("/mcp", "/mcp/")
"""Where the server is shown over HTTP; each answers, since clients do not follow a redirect."""

_LARGEST_BODY = 4 * 1024 * 1024

_NEAR_HOSTS = ["127.0.0.1", "localhost", "[::1]"]


class HttpSide:
    """Answers requests over HTTP.

    Args:
        server: what is served.
        security: which hosts and origins the SDK lets in; none where somebody else has looked.
        largest_body: the most that is taken (bytes).
    """

    def __init__(
        self,
        server: Server,
        *,
        security: TransportSecuritySettings | None = None,
        largest_body: int = _LARGEST_BODY,
    ) -> None:
        self._server = server
        # The SDK makes its manager with an app of its own, which is not needed.
        server.streamable_http_app(
            stateless_http=True,
            max_request_body_size=largest_body,
            transport_security=security
            or TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
        self._task: asyncio.Task[None] | None = None
        self._started = asyncio.Event()
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Begin; what the SDK runs must be begun and ended in one and the same task."""
        self._task = asyncio.create_task(self._run())
        await self._started.wait()
        if self._task.done():
            self._task.result()

    async def _run(self) -> None:
        try:
            async with self._server.session_manager.run():
                self._started.set()
                await self._stopping.wait()
        finally:
            self._started.set()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; its scope says who asks (`SCOPE_KEY`)."""
        await self._server.session_manager.handle_request(scope, receive, send)

    async def close(self) -> None:
        """End what is under way; the bus stays open."""
        await self._server.close()
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait([self._task])


def http_app(server: Server) -> ASGIApp:
    """An ASGI app that shows the server at `/mcp` to this machine.

    Requests for other hosts and from other sites' pages are refused, and who is let in may do
    everything: it must listen at a loopback address.

    Args:
        server: what is served; its ground must have an `HttpDoor`. It is closed when the app's
            lifespan ends, and its bus if that is a `LazyBus`.
    """
    security = TransportSecuritySettings(
        allowed_hosts=[f"{host}{port}" for host in _NEAR_HOSTS for port in ("", ":*")],
        allowed_origins=[f"http://{host}{port}" for host in _NEAR_HOSTS for port in ("", ":*")],
    )
    sides: list[HttpSide] = []

    async def live(receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                sides.append(HttpSide(server, security=security))
                await sides[0].start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await sides.pop().close()
                if isinstance(server.ground.bus, LazyBus):
                    await server.ground.bus.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
        elif scope["path"] not in PATHS:
            await Response("there is nothing here; MCP is at /mcp", 404)(scope, receive, send)
        elif scope["method"] != "POST":
            answer = Response("MCP takes POST only", 405, {"allow": "POST"})
            await answer(scope, receive, send)
        else:
            await sides[0].answer({**scope, SCOPE_KEY: EVERYTHING}, receive, send)

    return app
