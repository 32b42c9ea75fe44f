"""One process that serves many stores, each a whole app of its own below a path of its own.

The contract suite opens a thousand stores; a server process for each would take all day. Each app
is what `tidings serve` runs, on a SQLite store of its own; the paths are told apart as a reverse
proxy does it, so every test goes through a path prefix too. `POST /open` with a directory gives the
path of its app. It prints its URL and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import uvicorn

from tidings.server import APIServerConfig, create_app

_KEPT = 8
"""So many apps stay open; older ones belong to tests that are over."""

_PATIENCE = 60.0

_apps: dict[str, Any] = {}
_names: dict[str, str] = {}


async def serve(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request for any of the stores."""
    if scope["type"] != "http":
        await _live(receive, send)
        return
    _, name, *rest = scope["path"].split("/", 2)
    if name == "open":
        await _answer(send, (await _open(await _body(receive))).encode())
        return
    path = f"/{rest[0]}" if rest else "/"
    await _apps[name]({**scope, "path": path, "raw_path": path.encode()}, receive, send)


async def _open(directory: str) -> str:
    if directory not in _names:
        name = _names[directory] = str(len(_names))
        _apps[name] = create_app(
            APIServerConfig(
                url=f"sqlite:///{directory}/events.db",
                database_timeout=_PATIENCE,
                rate_limit=1e9,
                collect_every=0,
            )
        )
        for old in list(_apps)[:-_KEPT]:
            await _apps.pop(old).stop()
    return _names[directory]


async def _live(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    for app in _apps.values():
        await app.stop()
    await send({"type": "lifespan.shutdown.complete"})


async def _body(receive: Any) -> str:
    message = await receive()
    return str(message["body"], "utf-8")


async def _answer(send: Any, body: bytes) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


class _Told(uvicorn.Server):
    """A server that says where it listens."""

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"http://127.0.0.1:{port}", flush=True)
        asyncio.get_running_loop().add_reader(sys.stdin, self._end)

    def _end(self) -> None:
        if not os.read(0, 1):
            asyncio.get_running_loop().remove_reader(sys.stdin)
            self.should_exit = True


if __name__ == "__main__":
    _Told(uvicorn.Config(serve, port=0, log_level="warning")).run()
