"""Who took part in a workflow, and who started whom."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tidings.bus import Bus
from tidings.event import Event
from tidings.server.parameters import MOST


def agent(bus: Bus, name: str, workflow: str, cause: str | None, **fields: Any) -> Event:
    """The first event of an agent."""
    return bus.emit("agent.started", status="", aggregate_type="agent", aggregate_id=name,
                    correlation_id=workflow, causation_id=cause, **fields)  # fmt: skip


def outline(tree: dict[str, Any]) -> list[tuple[str, int, str | None]]:
    """Each node with its depth and parent."""
    return [(each["id"], each["depth"], each["parent_id"]) for each in tree["nodes"]]


def test_agents_of_a_workflow_have_the_shape_of_the_seed(client: httpx.Client, bus: Bus) -> None:
    """Each once, the first to start first; the name is what it says itself, else from its id."""
    first = agent(bus, "url-cacher-1", "w-agents", "w-agents", payload={"agent_name": "URL cacher"})
    agent(bus, "writer-2", "w-agents", "url-cacher-1", payload={"agent_name": 7})
    agent(bus, "plain", "w-agents", None)
    bus.emit("agent.completed", aggregate_type="agent", aggregate_id="url-cacher-1")
    agent(bus, "other-1", "w-other", None)
    page = client.get("/events/workflows/w-agents/agents").json()
    assert [(each["agent_id"], each["agent_name"]) for each in page["agents"]] == [
        ("url-cacher-1", "URL cacher"), ("writer-2", "writer"), ("plain", "unknown"),
    ]  # fmt: skip
    told = page["agents"][0]
    assert told["workflow_id"] == "w-agents"
    assert told["event_type"] == "AgentEvent"
    assert told["first_event_time"] == first.timestamp
    assert (told["state"], told["events"], told["parent_agent_id"]) == ("done", 2, "w-agents")
    assert page["next"] is None


def test_agents_are_paged(client: httpx.Client, bus: Bus) -> None:
    """`limit` and `next` as everywhere; nothing else is known here."""
    for number in range(3):
        agent(bus, f"paged-{number}", "w-paged", None)
    page = client.get("/events/workflows/w-paged/agents?limit=2").json()
    assert [each["agent_id"] for each in page["agents"]] == ["paged-0", "paged-1"]
    rest = client.get(page["next"]).json()
    assert [each["agent_id"] for each in rest["agents"]] == ["paged-2"]
    assert client.get("/events/workflows/w-paged/agents?type=x").status_code == 422


def test_a_workflow_without_agents_has_none(client: httpx.Client) -> None:
    """As the peer answers: an empty list."""
    assert client.get("/events/workflows/nothing/agents").json()["agents"] == []


def test_causes_are_agents_and_events(client: httpx.Client, bus: Bus) -> None:
    """A cause may be the workflow, a parent agent, or an event of either."""
    start = bus.emit(
        "workflow.started", aggregate_type="workflow", aggregate_id="w-tree", status=""
    )
    agent(bus, "t-top", "w-tree", "w-tree")
    call = bus.emit("tool.started", aggregate_type="agent", aggregate_id="t-top", status="")
    agent(bus, "t-by-agent", "w-tree", "t-top")
    agent(bus, "t-by-event", "w-tree", call.id)
    agent(bus, "t-below", "w-tree", "t-by-event")
    agent(bus, "t-by-start", "w-tree", start.id)
    tree = client.get("/events/workflows/w-tree/tree").json()
    assert outline(tree) == [
        ("w-tree", 0, None), ("t-top", 1, "w-tree"), ("t-by-agent", 2, "t-top"),
        ("t-by-event", 2, "t-top"), ("t-below", 3, "t-by-event"), ("t-by-start", 1, "w-tree"),
    ]  # fmt: skip
    top, first, *_ = tree["nodes"]
    assert (top["kind"], top["state"], top["children"]) == (
        "workflow", "running", ["t-top", "t-by-start"],
    )  # fmt: skip
    assert (first["kind"], first["children"]) == ("agent", ["t-by-agent", "t-by-event"])
    assert tree["nodes"][3]["caused_by"] == call.id
    assert tree["truncated"] is False


def test_circles_and_missing_parents_stand_below_the_workflow(
    client: httpx.Client, bus: Bus
) -> None:
    """Each agent is in the tree once, whatever it says of its cause."""
    agent(bus, "c-one", "w-circle", "c-three")
    agent(bus, "c-two", "w-circle", "c-one")
    agent(bus, "c-three", "w-circle", "c-two")
    agent(bus, "c-self", "w-circle", "c-self")
    agent(bus, "c-lost", "w-circle", "nobody")
    agent(bus, "c-none", "w-circle", None)
    agent(bus, "w-circle", "w-circle", "w-circle")
    tree = client.get("/events/workflows/w-circle/tree").json()
    assert outline(tree) == [
        ("w-circle", 0, None), ("c-one", 1, "w-circle"), ("c-two", 2, "c-one"),
        ("c-three", 3, "c-two"), ("c-self", 1, "w-circle"), ("c-lost", 1, "w-circle"),
        ("c-none", 1, "w-circle"), ("w-circle", 1, "w-circle"),
    ]  # fmt: skip
    assert tree["nodes"][5]["caused_by"] == "nobody"


def test_a_deep_tree_is_bounded(client: httpx.Client, bus: Bus) -> None:
    """A chain longer than may be shown is shown in part, and says so."""
    bus.emit_many(
        {"type": "agent.started", "aggregate_type": "agent", "aggregate_id": f"deep-{n}",
         "correlation_id": "w-deep", "causation_id": f"deep-{n - 1}"}
        for n in range(MOST + 1)
    )  # fmt: skip
    tree = client.get("/events/workflows/w-deep/tree").json()
    assert tree["truncated"] is True
    assert [each["depth"] for each in tree["nodes"]] == list(range(MOST + 1))


@pytest.mark.parametrize("name", ["unknown", "un/known"])
def test_no_workflow_has_no_tree(client: httpx.Client, name: str) -> None:
    """404, because an empty tree would look like a workflow."""
    response = client.get(f"/events/workflows/{name}/tree")
    assert response.status_code == 404
    assert response.json()["type"] == "urn:tidings:problem:no-workflow"
