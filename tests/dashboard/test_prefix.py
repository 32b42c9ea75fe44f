"""Behind a proxy that shows the server below a path and takes that path away."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Self

import pytest
from playwright.sync_api import expect

from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.dashboard.conftest import OpenPage
    from tests.server.conftest import Server
    from tidings import Bus

_PREFIX = "/lab/tidings"


class Proxy:
    """Shows a server below a path, on a port of its own; a context manager.

    One request a connection: what comes back is passed on as it comes, so that streams stream.

    Attributes:
        url: where the server is shown, with the path, once it is entered.
    """

    def __init__(self, server: Server) -> None:
        self._behind = server.port
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._passing: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}{_PREFIX}"

    async def _end(self) -> None:
        self._server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        # A browser breaks off what it needs no more.
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._pass(reader, writer)
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()
        self._passing.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, path, version = first.split(" ")
        if not path.startswith(f"{_PREFIX}/"):
            writer.write(
                b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            return
        fields = [line for line in lines if not line.lower().startswith("connection:")]
        length = next((line for line in lines if line.lower().startswith("content-length:")), ":0")
        body = await reader.readexactly(int(length.partition(":")[2]))
        behind, asking = await asyncio.open_connection("127.0.0.1", self._behind)
        path = path.removeprefix(_PREFIX)
        told = [f"{method} {path} {version}", *fields, "connection: close", "", ""]
        asking.write("\r\n".join(told).encode("latin-1") + body)
        try:
            while part := await behind.read(65536):
                writer.write(part)
                await writer.drain()
        finally:
            asking.close()


@pytest.fixture
def proxy(served: Server) -> Iterator[Proxy]:
    """A proxy before the server."""
    with Proxy(served) as proxy:
        yield proxy


def test_everything_works_below_a_path(
    served: Server, bus: Bus, proxy: Proxy, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files, questions, the stream and the lines to paste: all of them stay below the path."""
    monkeypatch.setattr(served, "url", proxy.url)
    page = open_page(served)
    expect(page.locator(".notice code")).to_contain_text(f"{proxy.url}/events/")
    expect(page.get_by_text("Connected", exact=True).first).to_be_visible()
    bus.emit("first", id="a/b?")
    page.get_by_role("button", name="first").click()
    expect(page.get_by_role("complementary").get_by_role("heading", name="first")).to_be_visible()
    for view, there in (("Workflows", "No workflows yet"), ("Status", "healthy")):
        page.get_by_role("link", name=view).click()
        expect(page.get_by_text(there).first).to_be_visible()
    page.reload()
    expect(page.get_by_text("healthy")).to_be_visible()
    assert page.url == f"{proxy.url}/ui/#/status"
