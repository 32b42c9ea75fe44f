"""A walk through seed 002: every endpoint and every kind of event, over HTTP, of the real command.

What each route answers in detail is held in tests/server; here it is the whole way, by that name.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from time import monotonic, sleep

import httpx

from tests.dropins.api_server.conftest import COMMAND, Served
from tests.transfer.eventuali_files import agent, new_file
from tidings.testing.elsewhere import PATIENCE

# As printed there.
AGENT = """\
{
"name": "agent.started",
"attributes": {
"agent_name": "url-cacher",
"message": "Agent started successfully"
},
"aggregate_id": "url-cacher-abc123",
"correlation_id": "workflow-def456",
"causation_id": "parent-agent-789"
}
"""
WORKFLOW = """\
{
"name": "workflow.started",
"attributes": {
"user_prompt": "Cache the documentation page"
},
"aggregate_id": "workflow-def456"
}
"""
SYSTEM = """\
{
"name": "session.started",
"attributes": {
"session_type": "interactive"
},
"aggregate_id": "session-ghi789"
}
"""
ENDPOINTS = """\
POST /events/emit/agent POST /events/emit/workflow POST /events/emit/system GET /events/
GET /events/agents/{agent_id} GET /events/workflows/{workflow_id}
GET /events/workflows/{workflow_id}/agents GET /events/stream GET /health/ GET /health/database
"""


def test_the_whole_way(serve: Callable[..., Served], tmp_path: Path) -> None:
    """From the first start beside an old `events.db` to the end by Ctrl-C."""
    old = new_file(tmp_path / ".events" / "events.db", agent("agent.started"))
    before = old.read_bytes()
    server = serve()
    with server.client() as client:
        _is_described(client)
        _old_events_are_there(client)
        _events_are_emitted_and_streamed(client)
        _events_are_found(client)
        for path in ("/health/", "/health/database"):
            assert client.get(path).json()["status"] == "healthy"
    assert server.stop() == 0
    assert "1 events imported" in server.said
    assert "WARNING" not in server.said
    assert "GET '/health/' 200" in server.said  # requests are logged, as there
    assert old.read_bytes() == before
    assert {each.name for each in old.parent.iterdir()} == {"events.db", "tidings.db"}


def _is_described(client: httpx.Client) -> None:
    assert client.get("/").json() == {
        "name": "Eventuali API Server",
        "version": "0.1.0",
        "description": "FastAPI server for Eventuali event sourcing system",
        "endpoints": {
            "events": "/events",
            "health": "/health",
            "docs": "/docs",
            "openapi": "/openapi.json",
        },
    }
    assert "text/html" in client.get("/docs").headers["content-type"]
    described = client.get("/openapi.json").json()
    assert described["info"]["title"] == "Eventuali API Server"
    words = ENDPOINTS.split()
    for method, path in zip(words[::2], words[1::2], strict=True):
        assert method.lower() in described["paths"][path]


def _old_events_are_there(client: httpx.Client) -> None:
    (event,) = client.get("/events/").json()["events"]
    assert (event["event_name"], event["agent_id"]) == ("agent.started", "url-cacher-abc123")
    assert event["attributes"] == {"agent_name": "url-cacher", "message": "ü"}


def _events_are_emitted_and_streamed(client: httpx.Client) -> None:
    with client.stream("GET", "/events/stream?event_type=AgentEvent") as stream:
        for kind, body in (("workflow", WORKFLOW), ("agent", AGENT), ("system", SYSTEM)):
            answer = client.post(f"/events/emit/{kind}", content=body).json()
            name = json.loads(body)["name"]
            assert answer["success"] is True
            assert answer["message"] == f"{kind.title()} event '{name}' emitted successfully"
            moment = datetime.fromisoformat(answer["timestamp"])
            assert abs(datetime.now(UTC) - moment) < timedelta(hours=1)
        for name in ("agent.waiting", "agent.completed"):
            body = AGENT.replace("agent.started", name)
            assert client.post("/events/emit/agent", content=body).status_code == 200
        lines = stream.iter_lines()
        sent = [next(line for line in lines if line.startswith("data: ")) for _ in range(3)]
    names = [json.loads(line.removeprefix("data: "))["event_name"] for line in sent]
    assert names == ["agent.started", "agent.waiting", "agent.completed"]


def _events_are_found(client: httpx.Client) -> None:
    page = client.get("/events/?limit=2&offset=1").json()
    assert [event["event_name"] for event in page["events"]] == ["agent.waiting", "session.started"]
    assert (page["limit"], page["offset"], page["total"]) == (2, 1, 6)
    for query, matching in (
        ("event_type=WorkflowEvent", 1),
        ("aggregate_type=agent_aggregate", 4),
        ("event_type=SystemEvent&aggregate_type=system_aggregate", 1),
        (f"since={(datetime.now(UTC) + timedelta(days=1)).isoformat().replace('+', '%2B')}", 0),
    ):
        assert len(client.get(f"/events/?{query}").json()["events"]) == matching, query
    events = client.get("/events/agents/url-cacher-abc123").json()["events"]
    assert {event["workflow_id"] for event in events} == {"workflow-def456"}
    assert {event["parent_agent_id"] for event in events} == {"parent-agent-789"}
    (event,) = client.get("/events/workflows/workflow-def456").json()["events"]
    assert event["user_prompt"] == "Cache the documentation page"
    (found,) = client.get("/events/workflows/workflow-def456/agents").json()["agents"]
    assert (found["agent_id"], found["agent_name"]) == ("url-cacher-abc123", "url-cacher")


def test_beyond_this_machine_when_told(serve: Callable[..., Served]) -> None:
    """`--host 0.0.0.0` listens there with a loud warning; once there is a key, it is asked for."""
    server = serve(COMMAND, "--host", "0.0.0.0", "--data-dir", "kept")  # noqa: S104 - as the seed shows
    server.await_said("asks for no key")
    said = re.search(
        r"WARNING: it listens at 0\.0\.0\.0.*`(tidings keys create .*)` makes", server.said
    )
    assert said is not None
    with server.client() as client:
        assert client.post("/events/emit/agent", content=AGENT).status_code == 200
        command = shlex.split(said[1].replace("NAME", "ann"))[1:]
        made = subprocess.run(
            [sys.executable, "-m", "tidings", *command, "--json"],
            capture_output=True, text=True, check=True, timeout=PATIENCE,
        )  # fmt: skip
        until = monotonic() + PATIENCE
        while client.get("/events/").status_code != 401:
            assert monotonic() < until, "the key is not asked for"
            sleep(0.05)  # between two looks; nothing goes by its length
        key = {"authorization": f"Bearer {json.loads(made.stdout)['token']}"}
        assert client.get("/events/", headers=key).json()["total"] == 1
    assert server.stop() == 0


def test_reload_looks_at_the_directory_it_was_started_in(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    """A Python file there that changes starts it anew, with the same store."""
    source = tmp_path / "mine.py"
    source.write_text("number = 1\n")
    server = serve(COMMAND, "--reload", "--log-level", "info")
    with server.client() as client:
        assert client.post("/events/emit/system", content=SYSTEM).status_code == 200
    times = count(int(source.stat().st_mtime) + 10, 10)
    # Again and again, as the supervisor notes what it compares with some time after it started.
    server.await_said("Reloading", meanwhile=lambda: os.utime(source, (next(times),) * 2))
    server.await_said(r"Application startup complete", count=2)
    with server.client() as client:
        assert client.get("/").json()["name"] == "Eventuali API Server"
        (event,) = client.get("/events/").json()["events"]
        assert event["session_id"] == "session-ghi789"
    server.stop()


def test_another_server_may_run_the_app(serve: Callable[..., Served], tmp_path: Path) -> None:
    """`uvicorn eventuali_api_server.main:app`, told by the environment."""
    new_file(tmp_path / "old" / "events.db", agent("agent.started"))
    command = (str(Path(COMMAND).parent / "uvicorn"), "eventuali_api_server.main:app")
    server = serve(*command, DATA_DIR="old", API_TITLE="Ours")
    with server.client() as client:
        assert client.get("/").json()["name"] == "Ours"
        assert client.get("/events/").json()["total"] == 1
    assert (tmp_path / "old" / "tidings.db").exists()
