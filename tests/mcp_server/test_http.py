"""`/mcp` on the server: both generations, the guard's rules, keys, and its end."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ResourceUpdated, SubscriptionLost
from mcp.shared.exceptions import MCPError

from tests.bus.loops import run
from tests.mcp_server.tool_calls import GENERATIONS, text_of
from tests.mcp_server.walking import walk
from tests.server.conftest import PATIENCE, Server
from tidings.server.application import create_app
from tidings.server.config import APIServerConfig
from tidings.server.keys import KeyRing
from tidings.store import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tidings.server.application import Application

RECENT = "tidings://events/recent"
TYPE_JSON = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
LIST_TOOLS = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


class Keyed(Server):
    """A server with keys.

    Attributes:
        tokens: the keys to be shown, by name: `all`, `reader`, `bound` (to the project `mine`),
            and `lost`, which a test revokes.
    """

    def __init__(self, home: Path) -> None:
        self.store = open_store(f"sqlite:///{home}/events.db")
        ring = KeyRing(self.store)
        made = {
            "all": ring.create("all", ["emit", "read"]),
            "reader": ring.create("reader", ["read"]),
            "bound": ring.create("bound", ["emit", "read"], ["mine"]),
            "lost": ring.create("lost", ["read"]),
        }
        self.tokens = {name: token for name, (_, token) in made.items()}
        self._ids = {name: key.id for name, (key, _) in made.items()}
        super().__init__(home, (), {"TIDINGS_MAX_STREAMS_PER_KEY": "2"})

    @asynccontextmanager
    async def connected(self, key: str, *, path: str = "/mcp", mode: str = "auto") -> Any:
        """A client that shows a key."""
        headers = {"authorization": f"Bearer {self.tokens[key]}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
            Client(streamable_http_client(self.url + path, http_client=http), mode=mode) as client,
        ):
            yield client

    def revoke(self, key: str) -> None:
        """Revoke a key, as `tidings keys revoke` would."""
        assert KeyRing(self.store).revoke(self._ids[key])


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """A server with keys, for all tests of this file."""
    home = tmp_path_factory.mktemp("keyed")
    server = Keyed(home)
    yield server
    server.kill()
    server.store.close()


# By whom --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "mode"), [*zip(("/mcp", "/mcp/"), GENERATIONS, strict=True)])
def test_a_client_walks_every_tool_and_resource(keyed: Keyed, path: str, mode: str) -> None:
    """In both generations, with the slash and without."""

    async def main() -> None:
        async with keyed.connected("all", path=path, mode=mode) as client:
            await walk(client, f"{mode}{len(path)}")

    run(main())


def test_without_a_key_nobody_gets_in(keyed: Keyed) -> None:
    """401 with what to show, also for a wrong one, and also in a URL."""
    with keyed.client() as client:
        for headers in ({}, {"authorization": f"Bearer tid_{'0' * 12}_{'0' * 64}"}):
            refused = client.post("/mcp", json=LIST_TOOLS, headers={**TYPE_JSON, **headers})
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"].startswith("Bearer")
            assert refused.json()["type"] == "urn:tidings:problem:unauthorized"


def test_a_key_may_do_what_its_scopes_say(keyed: Keyed) -> None:
    """One that may only read emits nothing, and is told which scope it lacks."""

    async def main() -> None:
        async with keyed.connected("reader") as client:
            refused = await client.call_tool("emit", {"type": "forbidden"})
            assert refused.is_error
            assert "does not allow emit" in text_of(refused)
            latest = await client.call_tool("latest", {"type": "forbidden"})
            assert latest.structured_content["found"] is False

    run(main())


def test_a_key_that_is_bound_sees_its_projects_alone(keyed: Keyed) -> None:
    """By tools, by resources and by what it is told of."""

    async def main() -> None:
        async with keyed.connected("bound") as client, keyed.connected("all") as other:
            wanted = [RECENT, "tidings://events/theirs-1"]
            async with client.listen(resource_subscriptions=wanted) as listening:
                await other.call_tool("emit", {"type": "x", "id": "theirs-1", "project": "theirs"})
                refused = await client.call_tool("emit", {"type": "x", "project": "theirs"})
                assert "only for 'mine'" in text_of(refused)
                await client.call_tool("emit", {"type": "x", "id": "mine-1", "project": "mine"})
                assert await anext(listening) == ResourceUpdated(RECENT)
            held = await client.read_resource(RECENT)
            assert "mine-1" in held.contents[0].text
            assert "theirs-1" not in held.contents[0].text
            found = await client.call_tool("search_events", {"types": ["x"]})
            events = found.structured_content["events"]
            assert [each["id"] for each in events] == ["mine-1"]
            with pytest.raises(MCPError, match="no event"):
                await client.read_resource("tidings://events/theirs-1")

    run(main())


def test_a_stream_ends_with_its_key(keyed: Keyed) -> None:
    """Revoked by another process, the key lets nobody listen on, or in again."""

    async def main() -> None:
        async with (
            keyed.connected("lost") as client,
            client.listen(resource_subscriptions=[RECENT]) as listening,
        ):
            keyed.revoke("lost")
            async for change in listening:
                assert change == ResourceUpdated(RECENT)  # by what other tests emit
            with pytest.raises(MCPError):
                await client.call_tool("latest", {})

    run(main())


def test_who_listens_takes_the_place_of_a_live_stream(keyed: Keyed) -> None:
    """A key has so many, and is told so when it wants one more."""

    async def main() -> None:
        async with keyed.connected("reader") as client, AsyncExitStack() as streams:
            for _ in range(2):
                listening = client.listen(resource_subscriptions=[RECENT])
                await streams.enter_async_context(listening)
            with pytest.raises(MCPError, match="has 2 live streams already"):
                async with client.listen(resource_subscriptions=[RECENT]):
                    pass

    run(main())


# The guard ------------------------------------------------------------------------------------


def test_the_guard_looks_at_it_as_at_any_route(keyed: Keyed) -> None:
    """Other hosts, other sites' pages and large bodies are refused; GET is no 307 and no stream."""
    shown = {**TYPE_JSON, "authorization": f"Bearer {keyed.tokens['all']}"}
    with keyed.client(headers=shown) as client:
        for path in ("/mcp", "/mcp/"):
            assert client.post(path, json=LIST_TOOLS).status_code == 200
            foreign = client.post(path, json=LIST_TOOLS, headers={"host": "evil.example"})
            assert foreign.status_code == 421
            page = client.post(path, json=LIST_TOOLS, headers={"origin": "https://evil.example"})
            assert page.status_code == 403
            for method in ("GET", "DELETE", "PUT"):
                answer = client.request(method, path)
                assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        large = {**LIST_TOOLS, "params": {"_meta": {"x": "x" * 2_000_000}}}
        assert client.post("/mcp", json=large).status_code == 413
        metrics = client.get("/metrics").text
        assert 'method="POST",route="/mcp",status="200"' in metrics
        assert "x-request-id" in client.post("/mcp", json=LIST_TOOLS).headers


@asynccontextmanager
async def called(**config: Any) -> AsyncIterator[tuple[Application, httpx.AsyncClient]]:
    """An app in this process, on a store of its own."""
    app = create_app(APIServerConfig(url="memory:", **config))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        try:
            yield app, client
        finally:
            await app.stop()


def test_it_answers_under_the_prefix_of_a_proxy() -> None:
    """Whether the proxy leaves the prefix in the path or takes it off."""

    async def main() -> None:
        async with called(root_path="/tidings") as (_, client):
            for path in ("/mcp", "/mcp/", "/tidings/mcp", "/tidings/mcp/"):
                answer = await client.post(path, json=LIST_TOOLS, headers=TYPE_JSON)
                assert answer.status_code == 200

    run(main())


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else is served; `/mcp` answers 501 with the line."""
    monkeypatch.setitem(sys.modules, "tidings.mcp_server.making", None)

    async def main() -> None:
        async with called() as (_, client):
            answer = await client.post("/mcp", json=LIST_TOOLS, headers=TYPE_JSON)
            assert answer.status_code == 501
            assert "pip install 'tidings[mcp]'" in answer.json()["detail"]
            assert (await client.get("/health")).status_code == 200

    run(main())


# Its end --------------------------------------------------------------------------------------


def test_who_listens_is_told_of_the_end_and_notices_a_crash(
    tmp_path: Path,
) -> None:
    """Killed, the stream is lost; stopped, it ends in order, and so does the server."""
    server = Server(tmp_path / "home", (), {})

    async def main() -> None:
        async with Client(f"{server.url}/mcp") as client:
            async with client.listen(resource_subscriptions=[RECENT]) as listening:
                await client.call_tool("emit", {"type": "kept"})
                assert await anext(listening) == ResourceUpdated(RECENT)
                await asyncio.to_thread(server.restart)
                with pytest.raises(SubscriptionLost):
                    await anext(listening)
            latest = await client.call_tool("latest", {})
            assert latest.structured_content["event"]["type"] == "kept"
            async with client.listen(resource_subscriptions=[RECENT]) as listening:
                begun = asyncio.Event()

                async def begins(progress: float, total: float | None, message: str | None) -> None:
                    assert (progress < 300, total, bool(message)) == (True, 300, True)
                    begun.set()

                waiting = asyncio.create_task(
                    client.call_tool(
                        "wait_for_event", {"timeout_seconds": 300}, progress_callback=begins
                    )
                )
                await asyncio.wait_for(begun.wait(), PATIENCE)  # else it might come too late
                server.process.send_signal(signal.SIGTERM)
                with pytest.raises(StopAsyncIteration):
                    await anext(listening)
            assert not (await waiting).structured_content["found"]

    try:
        run(main())
        code, said = server.ended()
        assert code == 0
        assert "Traceback" not in said
    finally:
        server.kill()
