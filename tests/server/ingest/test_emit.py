"""The three routes of eventuali-api-server: its requests and answers, our fields beside them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tidings.store.query import Query

if TYPE_CHECKING:
    import httpx

    from tidings.event import Event
    from tidings.store.base import Store

KINDS = ("agent", "workflow", "system")


def emit(client: httpx.Client, kind: str, request: dict[str, Any], **options: Any) -> Any:
    """What the server answers."""
    answer = client.post(f"/events/emit/{kind}", json=request, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def kept(store: Store, event_id: str) -> Event:
    """The event with this id."""
    (event,) = store.read(Query(ids=[event_id]))
    return event


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_the_peers(client: httpx.Client, kind: str) -> None:
    """Success, id, message and timestamp, as there; position and version beside them."""
    answer = emit(client, kind, {"name": f"{kind}.started", "aggregate_id": f"answer-{kind}"})
    assert list(answer) == ["success", "event_id", "message", "timestamp", "position", "version"]
    assert answer["success"] is True
    assert answer["message"] == f"{kind.title()} event '{kind}.started' emitted successfully"
    assert UUID(answer["event_id"]).version == 7
    assert datetime.fromisoformat(answer["timestamp"]).utcoffset() is not None
    assert answer["version"] == 1
    assert answer["position"] >= 1


def test_what_is_kept(client: httpx.Client, store: Store) -> None:
    """The name is the type, the attributes are the payload, the ids are the ids."""
    request = {
        "name": "agent.completed",
        "attributes": {"agent_name": "url-cacher", "message": "Ünïcode 🎉"},
        "timestamp": "2026-01-01T01:00:00+01:00",
        "aggregate_id": "url-cacher-abc123",
        "correlation_id": "workflow-def456",
        "causation_id": "parent-agent-789",
        "unknown": ["is", "ignored"],
    }
    answer = emit(client, "agent", request)
    assert answer["timestamp"] == "2026-01-01T01:00:00+01:00"
    event = kept(store, answer["event_id"])
    assert (event.type, event.payload) == ("agent.completed", request["attributes"])
    assert (event.aggregate_type, event.aggregate_id) == ("agent", "url-cacher-abc123")
    assert (event.correlation_id, event.causation_id) == ("workflow-def456", "parent-agent-789")
    assert (event.project, event.status, event.source) == ("", "success", "http")
    assert event.instant == 1_767_225_600_000_000
    assert (event.position, event.version) == (answer["position"], answer["version"])
    assert event.context == {}


def test_our_fields_are_taken(client: httpx.Client, store: Store) -> None:
    """Project, status, source, user and id are as the request says."""
    fields = {"project": "figrecipe", "status": "odd", "source": "ci", "user_id": "ada", "id": "e1"}
    answer = emit(client, "system", {"name": "session.started", **fields})
    assert answer["event_id"] == "e1"
    event = kept(store, "e1")
    assert (event.project, event.status, event.source) == ("figrecipe", "odd", "ci")
    assert (event.user_id, event.aggregate_id) == ("ada", "system")


@pytest.mark.parametrize(
    ("name", "attributes", "status"),
    [
        ("agent.failed", {}, "failure"),
        ("tool.error", {}, "failure"),
        ("agent.progress", {"success": False}, "failure"),
        ("agent.completed", {}, "success"),
        ("agent.started", {}, ""),
    ],
)
def test_a_missing_outcome_is_inferred(
    client: httpx.Client, store: Store, name: str, attributes: dict[str, Any], status: str
) -> None:
    """The type says it, or `success: false` does."""
    answer = emit(client, "agent", {"name": name, "attributes": attributes})
    assert kept(store, answer["event_id"]).status == status


def test_nothing_named_makes_a_new_aggregate(client: httpx.Client, store: Store) -> None:
    """Agents and workflows get a fresh UUID, sessions are `system`; empty texts count as none."""
    for kind in ("agent", "workflow"):
        request = {"name": "x", "aggregate_id": "", "correlation_id": "", "causation_id": ""}
        ids = {
            kept(store, emit(client, kind, each)["event_id"]).aggregate_id
            for each in ({"name": "x"}, request)
        }
        assert len({UUID(str(each)) for each in ids}) == 2
    event = kept(store, emit(client, "system", {"name": "x"})["event_id"])
    assert event.aggregate_id == "system"


def test_a_workflow_correlates_with_itself(client: httpx.Client, store: Store) -> None:
    """Without a correlation id a workflow's event gets its own aggregate id as one."""
    event = kept(store, emit(client, "workflow", {"name": "workflow.started"})["event_id"])
    assert event.correlation_id == event.aggregate_id
    given = emit(client, "workflow", {"name": "workflow.started", "correlation_id": "larger"})
    assert kept(store, given["event_id"]).correlation_id == "larger"
    agent = emit(client, "agent", {"name": "agent.started"})
    assert kept(store, agent["event_id"]).correlation_id is None


@pytest.mark.parametrize(
    ("timestamp", "instant"),
    [
        ("2026-01-01T00:00:00", 1_767_225_600_000_000),
        ("2026-01-01 00:00:00.5", 1_767_225_600_500_000),
        ("2026-01-01", 1_767_225_600_000_000),
        ("2026-01-01T00:00:60Z", 1_767_225_659_000_000),
        (1_767_225_600, 1_767_225_600_000_000),
        (1_767_225_600.25, 1_767_225_600_250_000),
        (1_767_225_600_250, 1_767_225_600_250_000),
    ],
)
def test_times_as_the_peer_reads_them(
    client: httpx.Client, store: Store, timestamp: object, instant: int
) -> None:
    """Without offset it is UTC, numbers count seconds or milliseconds; answers have an offset."""
    answer = emit(client, "agent", {"name": "x", "timestamp": timestamp})
    moment = datetime.fromisoformat(answer["timestamp"].replace(":60Z", ":59Z"))
    assert moment.timestamp() * 1e6 == instant
    assert kept(store, answer["event_id"]).instant == instant


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({}, "name"),
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": 7}, "name"),
        ({"name": "x\ny"}, "name"),
        ({"name": "x", "attributes": None}, "attributes"),
        ({"name": "x", "attributes": []}, "attributes"),
        ({"name": "x", "timestamp": "yesterday"}, "timestamp"),
        ({"name": "x", "timestamp": True}, "timestamp"),
        ({"name": "x", "timestamp": 1e300}, "timestamp"),
        ({"name": "x", "aggregate_id": 7}, "aggregate_id"),
        ({"name": "x", "aggregate_id": "x" * 256}, "aggregate_id"),
        ({"name": "x", "causation_id": False}, "causation_id"),
        ({"name": "x", "correlation_id": []}, "correlation_id"),
        ({"name": "x", "aggregate_id": []}, "aggregate_id"),
        ({"name": "x", "project": {}}, "project"),
        ({"name": "x", "status": 0}, "status"),
        ({"name": "x", "source": False}, "source"),
        ({"name": "x", "expected_version": -1}, "expected_version"),
        ({"name": "x", "expected_version": "1"}, "expected_version"),
        ({"name": "x", "expected_version": 2**63}, "expected_version"),
        ([], "body"),
        (None, "body"),
    ],
)
def test_a_wrong_field_is_named(client: httpx.Client, request_: object, field: str) -> None:
    """422, with the field by the name it has on these routes."""
    answer = client.post("/events/emit/agent", json=request_)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [each["field"] for each in answer.json()["errors"]] == [field]


def test_expected_version(client: httpx.Client) -> None:
    """409 with both versions where the aggregate stands elsewhere; nothing is kept then."""
    request = {"name": "x", "aggregate_id": "versioned", "expected_version": 0}
    assert emit(client, "agent", request)["version"] == 1
    answer = client.post("/events/emit/agent", json=request)
    assert answer.status_code == 409
    problem = answer.json()
    assert (problem["expected"], problem["actual"]) == (0, 1)
    assert emit(client, "agent", {**request, "expected_version": 1.0})["version"] == 2


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_other_forms_are_refused(client: httpx.Client, content_type: str) -> None:
    """Only JSON is read, so that no page of another site can send an event with a form."""
    answer = client.post(
        "/events/emit/agent", content=b'{"name":"x"}', headers={"content-type": content_type}
    )
    assert answer.status_code == 415
    assert answer.json()["accepted"] == ["application/json"]


def test_an_expectation_in_the_url_is_not_passed_over(client: httpx.Client) -> None:
    """It is a field of the request here; left out of account it would guard nothing."""
    answer = client.post("/events/emit/agent?expected_version=0", json={"name": "x"})
    assert answer.status_code == 422
    assert "expected_version" in answer.json()["detail"]
