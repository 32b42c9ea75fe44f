"""Whether the command serves: over stdio and HTTP, with an event server of its own or without."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from mcp import Client
from mcp.types import TextResourceContents

from eventuali_mcp_server import EventAPIClient, main, models
from eventuali_mcp_server.api_server import ApiServer
from tests.dropins.mcp_server.commands import COMMAND, connected, wait_until
from tests.dropins.mcp_server.readme import TOOLS, made
from tests.server.conftest import PATIENCE, Server, free_port
from tidings.mcp_server.access import OWN_PROCESS
from tidings.mcp_server.making import LazyBus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mcp.types import CallToolResult

AGENT = {"agent_name": "urlCacher", "agent_id": "a1"}
CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("start_workflow", {"workflow_id": "w1", "user_prompt": "cache it"}, "workflow.started"),
    ("start_agent", {**AGENT, "workflow_id": "w1"}, "agent.urlCacher.started"),
    ("emit_agent_event", {**AGENT, "event_name": "fetched", "attributes": {"n": 5}},
     "agent.urlCacher.fetched"),
    ("complete_agent", {**AGENT, "success": False, "message": "no"}, "agent.urlCacher.failed"),
    ("emit_workflow_event", {"workflow_id": "w1", "event_name": "agent_added"},
     "workflow.agent_added"),
    ("complete_workflow", {"workflow_id": "w1"}, "workflow.completed"),
    ("emit_system_event", {"event_name": "session_ended", "session_id": "s1"},
     "system.session_ended"),
]  # fmt: skip
"""Each tool that emits, with arguments, and the type of the event that comes of it."""


def said(result: CallToolResult) -> dict[str, Any]:
    """The structured answer of a tool that did what it should."""
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return dict(result.structured_content)


async def text_of(client: Client, address: str) -> str:
    """What a resource holds."""
    (content,) = (await client.read_resource(address)).contents
    assert isinstance(content, TextResourceContents)
    return content.text


def test_a_client_over_stdio_walks_all_of_it(tmp_path: Path) -> None:
    """With the event server started beside it: each tool in both forms, each address, no residue.

    `MCP_PORT` is set, as the original's README has it, and changes nothing for such a client.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    async def walk() -> None:
        settings = {"EVENT_API_URL": url, "START_API_SERVER": "true", "MCP_PORT": "3333"}
        async with connected(tmp_path, **settings) as client:
            # It waits for half a minute itself, which a slow machine may need to start a server.
            await asyncio.to_thread(wait_until, port, listened=True)
            assert (
                await text_of(client, "eventuali://recent-events") == "No recent events available"
            )
            for name, arguments, _ in CALLS:
                for form in (arguments, {"request": arguments}):
                    answer = said(await client.call_tool(name, form))
                    assert answer["success"]
                    assert answer["event_id"]
            answer = said(await client.call_tool("get_events", {"request": {"limit": 3}}))
            assert (answer["total"], answer["limit"], answer["offset"]) == (14, 3, 0)
            only = {"aggregate_type": "workflow_aggregate", "limit": 1000}
            answer = said(await client.call_tool("get_events", only))
            assert {each["workflow_id"] for each in answer["events"]} == {"w1"}
            assert answer["total"] == 6

            recent = await text_of(client, "eventuali://recent-events")
            assert [line.split(" ")[2] for line in recent.splitlines()[1:]] == [
                kind for _, _, kind in CALLS for _ in range(2)
            ]
            assert "system.session_ended" in await text_of(client, "eventuali://event-stream")
            assert "healthy\nConnected: True" in await text_of(client, "eventuali://health")
            listed = {each.uri for each in (await client.list_resources()).resources}
            assert {
                f"eventuali://{n}" for n in ("recent-events", "event-stream", "health")
            } < listed
            await made(TOOLS)["main"](client)
            # What is emitted here stands on the event server, and nowhere else.
            async with EventAPIClient(url) as direct:
                assert (await direct.get_events()).total == 14 + 3
                events = (await direct.get_agent_events("cache-agent-123")).events[::-1]
            assert [(event.event_name or "").rpartition(".")[2] for event in events] == [
                "started",
                "processing_started",
                "completed",
            ]
            started, fetched, completed = events
            assert (started.workflow_id, started.parent_agent_id) == (
                "workflow-456",
                "orchestrator",
            )
            assert fetched.attributes["url_count"] == 5
            assert completed.attributes["message"] == "Successfully cached 5 URLs"

    asyncio.run(walk())
    wait_until(port, listened=False)
    assert (tmp_path / ".events" / "tidings.db").exists()


def test_the_event_server_ends_when_the_command_is_killed(tmp_path: Path) -> None:
    """Also when nothing of the command is left that could end it."""
    port = free_port()
    settings = {"EVENT_API_URL": f"http://127.0.0.1:{port}", "START_API_SERVER": "True"}
    with (tmp_path / "stderr.txt").open("w") as log:
        command = subprocess.Popen(
            [COMMAND], env={**os.environ, **settings}, cwd=tmp_path,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        with command:
            wait_until(port, listened=True)
            command.kill()
    wait_until(port, listened=False)


def test_one_of_several_runs_the_event_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it ends, another one does; when the last ends, nobody."""
    monkeypatch.chdir(tmp_path)
    port = free_port()
    one, other = (ApiServer("127.0.0.1", port) for _ in range(2))
    one.start()
    wait_until(port, listened=True)
    other.start()
    one.close()
    wait_until(port, listened=True)
    other.close()
    wait_until(port, listened=False)


def test_at_a_terminal_it_listens(served: Server, tmp_path: Path) -> None:
    """Started by hand, it serves MCP over HTTP at `MCP_PORT`, to this machine's own clients."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    leader, terminal = pty.openpty()
    with (tmp_path / "stderr.txt").open("w") as log:
        command = subprocess.Popen(
            [COMMAND], env={**os.environ, "EVENT_API_URL": served.url, "MCP_PORT": str(port)},
            stdin=terminal, stderr=log,
        )  # fmt: skip

    async def walk() -> None:
        async with Client(url) as client:
            answer = said(await client.call_tool("start_agent", {**AGENT, "agent_id": "terminal"}))
            assert answer["event_id"] in await text_of(client, "tidings://events/recent")

    try:
        wait_until(port, listened=True)
        asyncio.run(walk())
        foreign = httpx.post(url, headers={"Host": "evil.example.org"}, json={}, timeout=PATIENCE)
        assert foreign.status_code == 421
        command.terminate()
        command.wait(PATIENCE)
    finally:
        command.kill()
        command.wait()
        os.close(leader)
        os.close(terminal)
    assert f"MCP at {url}, for the events at {served.url}" in (tmp_path / "stderr.txt").read_text()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("MCP_HOST", "0.0.0.0", "other machines"),  # noqa: S104 - what is refused
        ("MCP_PORT", "0", "from 1 to 65535"),
        ("EVENT_API_URL", "sqlite:///events.db", "must be http://"),
        ("EVENT_API_URL", "http://", "must be http://"),
    ],
)
def test_what_cannot_be_is_told_at_once(
    name: str,
    value: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An address that others can reach, or that is none, is refused with what is wrong with it."""
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(main, "_is_spoken_to", lambda: False)
    monkeypatch.setattr(sys, "argv", [COMMAND])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 1
    assert reason in capsys.readouterr().err


def test_an_event_server_elsewhere_is_not_started() -> None:
    """Only one that would listen on this machine."""
    assert ApiServer.at("http://events.example.org:8765") is None
    assert ApiServer.at("http://localhost:8765") is not None


@pytest.fixture
def tools_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Has the functions of `main` act on the event server at a URL, as at its import."""

    def act(url: str) -> None:
        monkeypatch.setenv("EVENT_API_URL", url)
        monkeypatch.setattr(main, "mcp", main._made(OWN_PROCESS))

    yield act
    bus = main.mcp.ground.bus
    assert isinstance(bus, LazyBus)
    asyncio.run(bus.close())


def test_tools_can_be_called_from_python(served: Server, tools_at: Callable[[str], None]) -> None:
    """They take and give the models, in one event loop after the other."""
    tools_at(served.url)
    request = models.StartAgentRequest(agent_name="n", agent_id="python", workflow_id="w-python")
    for _ in range(2):
        told = asyncio.run(main.start_agent(request))
        assert isinstance(told, models.EventResponse)
        assert told.success
    page = asyncio.run(main.get_events(models.GetEventsRequest(aggregate_type="agent")))
    events = [event for event in page.events if event.agent_id == "python"]
    assert [event.workflow_id for event in events] == ["w-python", "w-python"]
    assert events[0].event_id == told.event_id


def test_an_event_server_that_is_away_is_told(tools_at: Callable[[str], None]) -> None:
    """An event that was not kept is no success, as there; no list is empty for that reason."""
    tools_at(f"http://127.0.0.1:{free_port()}")
    told = asyncio.run(main.start_agent(models.StartAgentRequest(agent_name="n", agent_id="a")))
    assert not told.success
    assert "cannot be reached" in told.message
    with pytest.raises(httpx.ConnectError):
        asyncio.run(main.get_events(models.GetEventsRequest()))


def test_it_can_be_run_as_a_module() -> None:
    """`python -m eventuali_mcp_server.main` runs the command, as with 0.2.2."""
    done = subprocess.run(
        [sys.executable, "-m", "eventuali_mcp_server.main", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (f"{main.HELP}\n", "")
