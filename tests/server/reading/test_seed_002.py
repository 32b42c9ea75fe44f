"""A walk through the documents of seed 002, as a user of that server goes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

AGENT = {
    "name": "agent.started",
    "attributes": {"agent_name": "url-cacher", "message": "Agent started successfully"},
    "aggregate_id": "url-cacher-abc123",
    "correlation_id": "workflow-def456",
    "causation_id": "parent-agent-789",
}
WORKFLOW = {
    "name": "workflow.started",
    "attributes": {"user_prompt": "Cache the documentation page"},
    "aggregate_id": "workflow-def456",
}
SYSTEM = {
    "name": "session.started",
    "attributes": {"session_type": "interactive"},
    "aggregate_id": "session-ghi789",
}


@pytest.fixture
def emitted(client: httpx.Client) -> dict[str, dict[str, Any]]:
    """The answers to the three examples of the seed; sent again, they are kept again."""
    answers = {}
    for kind, body in (("workflow", WORKFLOW), ("agent", AGENT), ("system", SYSTEM)):
        response = client.post(f"/events/emit/{kind}", json=body)
        assert response.status_code == 200, response.text
        answers[kind] = response.json()
    return answers


def test_emitting_answers_as_there(emitted: dict[str, dict[str, Any]]) -> None:
    """Success, the id, a message and a time with an offset."""
    for kind, name in (("agent", "agent.started"), ("workflow", "workflow.started"),
                       ("system", "session.started")):  # fmt: skip
        answer = emitted[kind]
        assert answer["success"] is True
        assert answer["event_id"]
        assert name in answer["message"]
        moment = datetime.fromisoformat(answer["timestamp"])
        assert datetime.now(UTC) - moment < timedelta(minutes=5)


def test_events_come_back_as_they_were_sent(
    client: httpx.Client, emitted: dict[str, dict[str, Any]]
) -> None:
    """Each kind with the fields that server has for it."""
    found = {each["event_id"]: each for each in client.get("/events/").json()["events"]}
    agent = found[emitted["agent"]["event_id"]]
    wanted = {
        "aggregate_id": "url-cacher-abc123", "aggregate_type": "agent_aggregate",
        "event_type": "AgentEvent", "event_name": "agent.started",
        "attributes": AGENT["attributes"], "correlation_id": "workflow-def456",
        "causation_id": "parent-agent-789", "agent_name": "url-cacher",
        "agent_id": "url-cacher-abc123", "parent_agent_id": "parent-agent-789",
        "workflow_id": "workflow-def456", "user_prompt": None, "session_id": None,
    }  # fmt: skip
    assert {name: agent[name] for name in wanted} == wanted
    workflow = found[emitted["workflow"]["event_id"]]
    assert workflow["event_type"] == "WorkflowEvent"
    assert workflow["user_prompt"] == "Cache the documentation page"
    assert workflow["workflow_id"] == workflow["correlation_id"] == "workflow-def456"
    system = found[emitted["system"]["event_id"]]
    assert system["event_type"] == "SystemEvent"
    assert system["session_id"] == "session-ghi789"


@pytest.mark.usefixtures("emitted")
def test_its_parameters_filter(client: httpx.Client) -> None:
    """`limit`, `offset`, `event_type`, `aggregate_type` and `since`, alone and together."""
    for query, kinds in (
        ("event_type=AgentEvent", {"AgentEvent"}),
        ("aggregate_type=workflow_aggregate", {"WorkflowEvent"}),
        ("event_type=SystemEvent&aggregate_type=system_aggregate", {"SystemEvent"}),
    ):
        page = client.get(f"/events/?{query}").json()
        assert {each["event_type"] for each in page["events"]} == kinds
    everything = client.get("/events/").json()["events"]
    page = client.get("/events/?limit=2&offset=1").json()
    assert page["events"] == everything[1:3]
    assert (page["limit"], page["offset"]) == (2, 1)
    assert page["total"] == client.get("/events/").json()["total"]
    since = datetime.now(UTC) + timedelta(hours=1)
    assert client.get("/events/", params={"since": since.isoformat()}).json()["events"] == []
    naive = (since - timedelta(hours=2)).replace(tzinfo=None)
    assert client.get("/events/", params={"since": naive.isoformat()}).json()["events"]


@pytest.mark.usefixtures("emitted")
def test_agents_and_workflows_are_found(client: httpx.Client) -> None:
    """The routes that give everything there give what was asked for here."""
    events = client.get("/events/agents/url-cacher-abc123").json()["events"]
    assert {each["agent_id"] for each in events} == {"url-cacher-abc123"}
    assert client.get("/events/agents/someone-else").json()["events"] == []
    events = client.get("/events/workflows/workflow-def456").json()["events"]
    assert {each["event_type"] for each in events} == {"WorkflowEvent"}
    (agent,) = client.get("/events/workflows/workflow-def456/agents").json()["agents"]
    wanted = {"agent_id": "url-cacher-abc123", "agent_name": "url-cacher",
              "workflow_id": "workflow-def456", "event_type": "AgentEvent"}  # fmt: skip
    assert {name: agent[name] for name in wanted} == wanted
    assert datetime.fromisoformat(agent["first_event_time"]).tzinfo is not None


def test_the_stream_sends_json(client: httpx.Client, emitted: dict[str, dict[str, Any]]) -> None:
    """Each event is an `event` whose data is the item of the list."""
    query = "/events/stream?after=0&until=head&event_type=AgentEvent"
    with client.stream("GET", query) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = list(response.iter_lines())
    assert "event: event" in lines
    sent = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    listed = client.get("/events/?event_type=AgentEvent&order=asc").json()["events"]
    assert sent == listed
    assert emitted["agent"]["event_id"] in {each["event_id"] for each in sent}


@pytest.mark.parametrize("path", ["/health/", "/health", "/health/database"])
def test_health_is_told(client: httpx.Client, path: str) -> None:
    """Without a redirect, with the status and a time."""
    response = client.get(path)
    assert response.status_code == 200
    assert response.json()["status"] == "healthy"
    assert datetime.fromisoformat(response.json()["timestamp"]).tzinfo is not None


def test_documentation_is_there(client: httpx.Client) -> None:
    """`/docs` and `/openapi.json`, which names every route of the seed."""
    assert "text/html" in client.get("/docs").headers["content-type"]
    paths = client.get("/openapi.json").json()["paths"]
    for method, path in (
        ("post", "/events/emit/agent"), ("post", "/events/emit/workflow"),
        ("post", "/events/emit/system"), ("get", "/events/"), ("get", "/events/agents/{agent_id}"),
        ("get", "/events/workflows/{workflow_id}"),
        ("get", "/events/workflows/{workflow_id}/agents"), ("get", "/events/stream"),
        ("get", "/health/"), ("get", "/health/database"), ("get", "/"),
    ):  # fmt: skip
        assert method in paths[path], (method, path)
