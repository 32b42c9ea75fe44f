"""Whether `EventAPIClient` asks as the original does, and what a real server makes of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from inspect import signature
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock, Mock, patch

import httpx
import pytest

from eventuali_mcp_server import EventAPIClient, EventResponse
from tests.server.conftest import Server, free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

EMITTING = ["emit_agent_event", "emit_workflow_event", "emit_system_event", "emit_event"]
READING: list[tuple[str, tuple[str, ...]]] = [
    ("get_events", ()),
    ("get_agent_events", ("a",)),
    ("get_workflow_events", ("w",)),
    ("get_system_events", ("s",)),
    ("get_workflow_agents", ("w",)),
]


def run(use: Callable[[EventAPIClient], Awaitable[Any]], url: str = "http://127.0.0.1:9") -> Any:
    """What is done with a client."""

    async def used() -> Any:
        async with EventAPIClient(url) as client:
            return await use(client)

    return asyncio.run(used())


# As users and their tests know it ---------------------------------------------------------------


def test_a_new_client_is_not_open_yet() -> None:
    """It knows where its server is, without the slash, and has asked nothing."""
    client = EventAPIClient("http://test-api.com/")
    assert (client.base_url, client.events_url) == (
        "http://test-api.com",
        "http://test-api.com/events",
    )
    assert client._client is None
    assert client._closed is False
    assert EventAPIClient().base_url == "http://127.0.0.1:8765"


def test_signatures_are_those_of_the_original() -> None:
    """Names, order and defaults of all arguments; `aggregate_type`, by keyword, is ours."""
    ids = "aggregate_id=None, causation_id=None, correlation_id=None"
    wanted = dict.fromkeys(EMITTING, f"event_name, attributes=None, {ids}") | {
        "get_events": "limit=100, offset=0, event_type=None, aggregate_type=None",
        "get_agent_events": "agent_id, limit=100",
        "get_workflow_events": "workflow_id, limit=100",
        "get_system_events": "session_id, limit=100",
        "get_workflow_agents": "workflow_id",
        "stream_events": "",
        "health_check": "",
        "close": "",
    }
    for name, arguments in wanted.items():
        own = list(signature(getattr(EventAPIClient, name)).parameters.values())[1:]
        shown = (f"{p.name}={p.default}" if p.default is not p.empty else p.name for p in own)
        assert ", ".join(shown) == arguments, name


def test_what_is_posted_can_be_seen_in_a_mock() -> None:
    """As users' tests do it: `httpx.AsyncClient.post` is replaced, and its `json` looked at."""
    answer = Mock()
    answer.json.return_value = {"success": True, "event_id": "test-123", "message": "created"}

    async def emit(client: EventAPIClient) -> EventResponse:
        ids = {"aggregate_id": "a", "correlation_id": "w", "causation_id": "p"}
        return await client.emit_event("test.event", {"key": "value"}, **ids)

    with patch.object(
        httpx.AsyncClient, "post", new_callable=AsyncMock, return_value=answer
    ) as post:
        response = run(emit, "http://test-api.com")
    assert (response.success, response.event_id) == (True, "test-123")
    assert post.call_args[0] == ("http://test-api.com/events/emit/agent",)
    posted = post.call_args[1]["json"]
    assert datetime.fromisoformat(posted.pop("timestamp")).tzinfo is not None
    assert posted == {
        "name": "test.event",
        "attributes": {"key": "value"},
        "aggregate_id": "a",
        "correlation_id": "w",
        "causation_id": "p",
    }


def test_closing_closes_what_was_opened() -> None:
    """`close` closes httpx's client once, and may be called again."""
    client = EventAPIClient("http://test-api.com")
    opened = Mock(aclose=AsyncMock(), is_closed=False)
    client._client = opened
    asyncio.run(client.close())
    assert client._closed is True
    opened.aclose.assert_called_once()
    opened.is_closed = True
    asyncio.run(client.close())
    opened.aclose.assert_called_once()


@pytest.mark.parametrize(
    ("name", "arguments"), [*READING, *((name, ("x",)) for name in EMITTING), ("health_check", ())]
)
def test_a_closed_client_refuses(name: str, arguments: tuple[str, ...]) -> None:
    """Every method of a closed client raises, and opens nothing."""
    client = EventAPIClient("http://test-api.com")
    client._closed = True
    with pytest.raises(RuntimeError, match="Client is closed"):
        asyncio.run(getattr(client, name)(*arguments))
    with pytest.raises(RuntimeError, match="Client is closed"):
        asyncio.run(anext(client.stream_events()))
    assert client._client is None


@pytest.mark.parametrize(("name", "arguments"), [*READING, *((name, ("x",)) for name in EMITTING)])
def test_a_server_that_is_away_is_an_error(name: str, arguments: tuple[str, ...]) -> None:
    """No method answers with nothing where nobody was asked; `health_check` says it in words."""
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(httpx.ConnectError):
        run(lambda client: getattr(client, name)(*arguments), url)
    with pytest.raises(httpx.ConnectError):
        run(lambda client: anext(client.stream_events()), url)
    health = run(EventAPIClient.health_check, url)
    assert (health.status, health.api_connected) == ("unhealthy", False)


# At a real server -------------------------------------------------------------------------------


def test_what_is_emitted_is_found_again(tmp_path: Path) -> None:
    """Each emit is kept about what it names, and each list gives what it is asked for."""
    served = Server(tmp_path / "served", (), {})  # its own, as all that it holds is counted

    async def use(client: EventAPIClient) -> None:
        told = await client.emit_agent_event(
            "agent.urlCacher.started", {"agent_name": "urlCacher"}, "url/cacher?1", "top", "w/1"
        )
        assert told.success
        assert told.timestamp.tzinfo is not None
        await client.emit_workflow_event("workflow.started", {"user_prompt": "do it"}, "w/1")
        for session in ("s1", "s2"):
            await client.emit_system_event("system.session_started", aggregate_id=session)

        (event,) = (await client.get_agent_events("url/cacher?1")).events
        assert event.event_id == told.event_id
        assert (event.agent_id, event.agent_name) == ("url/cacher?1", "urlCacher")
        assert (event.parent_agent_id, event.workflow_id) == ("top", "w/1")
        (event,) = (await client.get_workflow_events("w/1", limit=5)).events
        assert (event.event_name, event.user_prompt) == ("workflow.started", "do it")
        page = await client.get_system_events("s1")
        assert [event.session_id for event in page.events] == ["s1"]
        assert (page.total, page.limit, page.offset) == (1, 100, 0)
        (agent,) = await client.get_workflow_agents("w/1")
        assert (agent["agent_id"], agent["agent_name"]) == ("url/cacher?1", "urlCacher")

        page = await client.get_events(limit=2, offset=1)
        assert [event.event_name for event in page.events] == [
            "system.session_started",
            "workflow.started",
        ]
        assert (page.total, page.limit, page.offset) == (4, 2, 1)
        page = await client.get_events(event_type="workflow.started")
        assert [event.workflow_id for event in page.events] == ["w/1"]
        page = await client.get_events(aggregate_type="agent_aggregate")
        assert [event.event_id for event in page.events] == [told.event_id]

    try:
        run(use, served.url)
    finally:
        served.kill()


def test_all_agents_of_a_workflow_come(served: Server) -> None:
    """Also where they are more than one answer of the server holds."""
    count = 1005
    with served.client() as direct:
        lines = [
            {"type": "agent.n.started", "aggregate_type": "agent", "aggregate_id": f"many-{n}",
             "correlation_id": "crowd"}
            for n in range(count)
        ]  # fmt: skip
        direct.post("/events/", json=lines).raise_for_status()
    agents = run(lambda client: client.get_workflow_agents("crowd"), served.url)
    assert [agent["agent_id"] for agent in agents] == [f"many-{n}" for n in range(count)]


def test_a_refusal_is_an_error(served: Server) -> None:
    """What the server refuses raises with the server's answer, and nothing is kept."""
    with pytest.raises(httpx.HTTPStatusError) as caught:
        run(lambda client: client.emit_event("", {"refused": True}), served.url)
    assert caught.value.response.status_code == 422
    with pytest.raises(httpx.HTTPStatusError):
        run(lambda client: client.get_events(limit=1001), served.url)
    page = run(lambda client: client.get_events(1000), served.url)
    assert not [event for event in page.events if "refused" in event.attributes]


def test_a_well_server_is_healthy(served: Server) -> None:
    """Its status, when it was looked at, and that it answered."""
    health = run(EventAPIClient.health_check, served.url)
    assert (health.status, health.api_connected) == ("healthy", True)
    assert health.timestamp <= datetime.now(UTC)


def test_a_key_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that wants a key is shown `TIDINGS_KEY`."""
    monkeypatch.setenv("TIDINGS_KEY", "tdk_secret")
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"agents": []})

    async def ask(client: EventAPIClient) -> None:
        opened = client._opened()
        opened._transport = httpx.MockTransport(answer)
        await client.get_workflow_agents("w")

    run(ask)
    assert [request.headers["authorization"] for request in seen] == ["Bearer tdk_secret"]
