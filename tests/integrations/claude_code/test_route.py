"""POST /ingest/claude-code: hooks over HTTP, as Claude Code sends them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integrations.claude_code.recorded import PATH, SECRETS, SESSION, TEXTS, TREE, told
from tests.server.conftest import PATIENCE, Server
from tidings.bus import Bus
from tidings.server.keys import KeyRing

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

ROUTE = "/ingest/claude-code"
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of this file; it keeps prompts unless a request objects."""
    environment = {name: "" for name in os.environ if name.startswith("TIDINGS_")}
    environment |= {"TIDINGS_AGENT_CONTENT": "prompts", "TIDINGS_DEADLINE": str(PATIENCE)}
    started = Server(tmp_path_factory.mktemp("served"), (), environment)
    yield started
    started.kill()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of the server."""
    with server.client() as opened:
        yield opened


def events_of(client: httpx.Client, session: str) -> list[dict[str, Any]]:
    """All events of a session, the first first."""
    params: dict[str, Any] = {"correlation_id": session, "limit": 1000, "order": "asc"}
    found: list[dict[str, Any]] = client.get("/events/", params=params).json()["events"]
    return found


def test_a_recorded_session_becomes_a_tree(client: httpx.Client) -> None:
    """One hook a request, then all at once; each answer is empty, and nothing is there twice."""
    for hook in told():
        response = client.post(ROUTE, json=hook, params={"content": "off"})
        assert (response.status_code, response.content) == (200, b"{}")
    tree = client.get(f"/events/workflows/{SESSION}/tree").json()
    nodes = [(each["id"], each["parent_id"], each["name"], each["state"]) for each in tree["nodes"]]
    assert sorted(nodes, key=str) == sorted(TREE, key=str)
    events = events_of(client, SESSION)
    calls = [each for each in events if each["type"] in ("tool.started", "agent.started")]
    again = client.post(ROUTE, content=PATH.read_bytes(), headers=NDJSON, params={"content": "off"})
    assert (again.status_code, again.content) == (200, b"{}")
    after = events_of(client, SESSION)
    assert [each for each in after if each["type"] in ("tool.started", "agent.started")] == calls
    assert not [words for words in (*SECRETS, *TEXTS) if words in json.dumps(after)]


@pytest.mark.parametrize(
    ("content", "is_kept"), [("", True), ("off", False), ("prompts", True), ("all", True)]
)
def test_a_request_may_only_ask_for_less(
    client: httpx.Client, content: str, *, is_kept: bool
) -> None:
    """The server says what may be kept: prompts here, and never outputs."""
    session = f"content-{content}"
    hooks = [
        {"hook_event_name": "UserPromptSubmit", "session_id": session, "prompt": "Go on"},
        {"hook_event_name": "Stop", "session_id": session, "last_assistant_message": "Gone"},
    ]
    wish = {"content": content} if content else {}
    assert client.post(ROUTE, json=hooks, params=wish).status_code == 200
    text = json.dumps(events_of(client, session))
    assert ("Go on" in text) is is_kept
    assert "Gone" not in text


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"", 422, "invalid-event"),
        (b"nonsense", 422, "invalid-event"),
        (b"[]", 422, "invalid-event"),
        (b'{"hook_event_name": "Stop"}', 422, "invalid-event"),
        (b'{"hook_event_name": "Stop", "session_id": "s", "cwd": "/\\ud800"}', 422, ""),
        (b" " * (16 * 1024 * 1024 + 1), 413, "too-large"),
    ],
)
def test_garbage_is_refused(client: httpx.Client, body: bytes, status: int, kind: str) -> None:
    """With a problem that says why; never as a failure of the server."""
    response = client.post(ROUTE, content=body)
    assert response.status_code in (status, 200)
    if kind:
        assert response.json()["type"] == f"urn:tidings:problem:{kind}"


def test_too_many_hooks_at_once_are_refused(client: httpx.Client) -> None:
    """None of them is kept, and the answer says how many are taken."""
    hooks = [{"session_id": "many", "hook_event_name": "Stop"}] * 1001
    response = client.post(ROUTE, json=hooks)
    assert (response.status_code, response.json()["limit"]) == (413, 1000)
    assert events_of(client, "many") == []


def test_the_place_of_what_is_wrong_is_told(client: httpx.Client) -> None:
    """What stands before it is kept, and may be sent again."""
    hooks = [{"hook_event_name": "Setup", "session_id": "place"}, {"session_id": "place"}]
    problem = client.post(ROUTE, json=hooks).json()
    assert problem["index"] == 1
    assert [each["type"] for each in events_of(client, "place")] == ["claude_code.setup"]


@pytest.mark.parametrize("wish", [{"contents": "off"}, {"content": "some"}, {"project": "a\nb"}])
def test_wishes_nobody_knows_are_refused(client: httpx.Client, wish: dict[str, str]) -> None:
    """A misspelled wish would keep what was not to be kept."""
    hook = {"hook_event_name": "Stop", "session_id": "wishes"}
    assert client.post(ROUTE, json=hook, params=wish).status_code == 422
    assert events_of(client, "wishes") == []


def test_keys_are_for_their_projects(tmp_path: Path) -> None:
    """A key for one project emits for that one; one for others is refused; none gets nowhere."""
    with Bus(f"sqlite:///{tmp_path}/events.db") as bus:
        ring = KeyRing(bus.store)
        _, fig = ring.create("fig", ["emit"], ["fig"])
        _, two = ring.create("two", ["emit"], ["a", "b"])
        _, reader = ring.create("reader", ["read"])
    keyed = Server(tmp_path, (), {"TIDINGS_DEADLINE": str(PATIENCE)})
    try:
        with keyed.client() as client:

            def send(token: str, **params: str) -> int:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                return client.post(ROUTE, json=hook, headers=headers, params=params).status_code

            hook = {"hook_event_name": "Stop", "session_id": "keys", "cwd": "/home/ada/other"}
            assert [send(fig), send(two), send(two, project="b")] == [200, 403, 200]
            assert [send(fig, project="b"), send(reader), send("")] == [403, 403, 401]
    finally:
        keyed.kill()
    with Bus(f"sqlite:///{tmp_path}/events.db") as bus:
        assert [event.project for event in bus.read()] == ["fig", "b"]
