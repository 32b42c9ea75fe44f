"""Workflows, agents and other aggregates as lists, found without reading events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tidings.bus import Bus

Walk = Callable[[str, str], list[dict[str, Any]]]


@pytest.mark.parametrize(
    ("path", "key", "kind"),
    [
        ("/events/workflows", "workflows", "workflow"),
        ("/events/workflows/", "workflows", "workflow"),
        ("/events/agents", "agents", "agent"),
        ("/events/agents/", "agents", "agent"),
        ("/events/aggregates/order", "aggregates", "order"),
        ("/events/aggregates/system_aggregate", "aggregates", "system"),
    ],
)
def test_each_is_told_as_its_events_say(
    client: httpx.Client, bus: Bus, path: str, key: str, kind: str
) -> None:
    """State, outcome, first and last event, and counts."""
    about: dict[str, Any] = {"aggregate_type": kind, "aggregate_id": f"told{path}"}
    first = bus.emit(f"{kind}.started", "told", "", timestamp="2026-03-01T12:00:00Z", **about)
    bus.emit("step", "told", "success", **about)
    bus.emit("step", "told", "failure", **about)
    last = bus.emit(f"{kind}.failed", "told", "failure", correlation_id="told-c", **about)
    (told,) = client.get(path, params={"project": "told", "aggregate_id": f"told{path}"}).json()[
        key
    ]
    assert told == {
        "id": f"told{path}", "kind": kind, "project": "told", "state": "failed",
        "status": "failure", "events": 4, "successes": 1, "failures": 2,
        "started_at": "2026-03-01T12:00:00.000000Z", "last_event_at": last.timestamp,
        "first_type": f"{kind}.started", "last_type": f"{kind}.failed",
        "first_position": first.position, "last_position": last.position,
        "correlation_id": "told-c",
    }  # fmt: skip


def test_correlations_are_a_kind_too(client: httpx.Client, bus: Bus) -> None:
    """What belongs together is listed by its correlation id, whatever it is about."""
    bus.emit("a", correlation_id="together")
    bus.emit("b", correlation_id="together")
    page = client.get("/events/aggregates/correlation?aggregate_id=together").json()
    assert [(each["id"], each["events"]) for each in page["aggregates"]] == [("together", 2)]


def test_events_about_nothing_are_no_list(client: httpx.Client) -> None:
    """There is nothing to list where events are about nothing."""
    assert client.get("/events/aggregates/event_aggregate").json()["aggregates"] == []


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_following_next_gives_each_once(bus: Bus, walk: Walk, order: str) -> None:
    """In order of their first events, whatever came after; the newest first by default."""
    project = f"each-{order}"
    for number in (0, 1, 2, 3, 4, 2, 0):
        bus.emit("step", project, aggregate_type="agent", aggregate_id=f"{project}-{number}")
    walked = walk(f"/events/agents?project={project}&limit=2&order={order}", "agents")
    ids = [each["id"] for each in walked]
    assert ids == sorted(ids, reverse=order == "desc")
    assert len(ids) == 5


def test_filters_are_heard(client: httpx.Client, bus: Bus) -> None:
    """By project, outcome and undertaking."""
    for name, status in (("a", "success"), ("b", "failure")):
        bus.emit("step", f"by-{name}", status, aggregate_type="agent", aggregate_id=f"by-{name}",
                 correlation_id=f"by-{name}")  # fmt: skip
    for query in ("project=by-b", "project=by-a&project=by-b&status=failure",
                  "correlation_id=by-b", "workflow=by-b", "aggregate_id=by-b"):  # fmt: skip
        agents = client.get(f"/events/agents?{query}").json()["agents"]
        assert [each["id"] for each in agents] == ["by-b"], query


@pytest.mark.parametrize("query", ["type=x", "since=2026-01-01", "offset=1", "limit=1001", "x=1"])
def test_what_a_summary_cannot_know_is_refused(client: httpx.Client, query: str) -> None:
    """A filter that speaks of single events would silently do nothing."""
    response = client.get(f"/events/workflows?{query}")
    assert response.status_code == 422
    assert query.partition("=")[0] in response.json()["detail"]


def test_how_things_stand_is_a_filter(client: httpx.Client, bus: Bus, walk: Walk) -> None:
    """All that stand so are found, page by page, however many lie between."""
    for number in range(12):
        word = "started" if number % 4 == 0 else "completed"
        bus.emit(f"agent.{word}", "stands", aggregate_type="agent", aggregate_id=f"s{number:02}",
                 timestamp=f"2026-03-01T00:00:{number:02}Z")  # fmt: skip
    asked = "/events/agents?project=stands&state=running"
    assert [each["id"] for each in walk(f"{asked}&limit=1", "agents")] == ["s08", "s04", "s00"]
    for more, found in (
        ("&quiet_since=2026-03-01T00:00:04Z", ["s00"]),
        ("&quiet_since=2026-03-01T00:00:05Z", ["s04", "s00"]),
        ("&quiet_since=", ["s08", "s04", "s00"]),
        ("&quiet_since=1970-01-01T00:00:00Z", []),
    ):
        agents = client.get(asked + more).json()["agents"]
        assert [each["id"] for each in agents] == found, more
    path = "/events/aggregates/agent?project=stands&state=failed"
    assert client.get(path).json()["aggregates"] == []


def test_a_workflow_is_quiet_with_its_agents(client: httpx.Client, bus: Bus) -> None:
    """Whoever works for a workflow is heard of for it; an agent speaks for itself."""
    noon = "2026-03-01T12:00:00Z"
    for name, later in (("busy", "2026-03-01T12:10:00Z"), ("idle", noon)):
        about: dict[str, Any] = {"aggregate_type": "workflow", "aggregate_id": name}
        bus.emit("workflow.started", "quiet", timestamp=noon, **about)
        about = {"aggregate_type": "agent", "aggregate_id": f"of-{name}", "correlation_id": name}
        bus.emit("agent.started", "quiet", timestamp=noon, **about)
        bus.emit("tool.called", "quiet", timestamp=later, **about)
    params = {"project": "quiet", "state": "running", "quiet_since": "2026-03-01T12:05:00Z"}
    for path, key, found in (
        ("workflows", "workflows", ["idle"]),
        ("aggregates/workflow_aggregate", "aggregates", ["idle"]),
        ("agents", "agents", ["of-idle"]),
    ):
        listed = client.get(f"/events/{path}", params=params).json()[key]
        assert [each["id"] for each in listed] == found
    params["quiet_since"] = "2026-03-01T12:10:00.000001Z"
    listed = client.get("/events/workflows", params=params).json()["workflows"]
    assert [each["id"] for each in listed] == ["idle", "busy"]


@pytest.mark.parametrize(
    "query", ["state=stuck", "state=done&state=failed", "quiet_since=soon", "quiet_sinse=1"]
)
def test_what_nothing_stands_for_is_refused(client: httpx.Client, query: str) -> None:
    """A state that there is not, or a moment that is none, would silently find nothing."""
    response = client.get(f"/events/agents?{query}")
    assert response.status_code == 422
    assert query.partition("=")[0] in response.json()["detail"]
