"""Who took part in a workflow, and who started whom."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tidings import workflows
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


def test_what_has_ended_has_a_duration(client: httpx.Client, bus: Bus) -> None:
    """From the first event to the newest (seconds); what runs on has none."""
    for name, second in (("d-done", "12.5"), ("d-failed", "11")):
        about: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": name}
        about["correlation_id"] = "w-took"
        outcome = name.removeprefix("d-").replace("done", "completed")
        bus.emit("agent.started", status="", timestamp="2026-01-01T00:00:10Z", **about)
        bus.emit(f"agent.{outcome}", timestamp=f"2026-01-01T00:00:{second}Z", **about)
    agent(bus, "d-runs", "w-took", None)
    top, *agents = client.get("/events/workflows/w-took/tree").json()["nodes"]
    assert top["duration"] is None
    assert [(each["id"], each["state"], each["duration"]) for each in agents] == [
        ("d-done", "done", 2.5), ("d-failed", "failed", 1.0), ("d-runs", "running", None),
    ]  # fmt: skip


def test_causes_lead_through_what_is_no_agent(client: httpx.Client, bus: Bus) -> None:
    """A call of a tool, a model, a span: the parent is the first agent on the way back."""
    agent(bus, "l-top", "w-lead", None)
    call = bus.emit("tool.started", aggregate_type="tool", aggregate_id="l-tool", status="",
                    correlation_id="w-lead", causation_id="l-top")  # fmt: skip
    span = bus.emit("span.started", status="", causation_id=call.id)
    agent(bus, "l-below", "w-lead", span.id)
    # Events may wait for each other, and an agent's own event may come first.
    start = agent(bus, "l-late", "w-lead", "l-circle-1", id="l-start", timestamp="2999-01-01")
    bus.emit("a", id="l-circle-1", causation_id="l-circle-2")
    bus.emit("b", id="l-circle-2", causation_id="l-circle-1")
    agent(bus, "l-ended", "w-lead", "l-begun")
    agent(bus, "l-ended", "w-lead", call.id, id="l-begun")
    tree = client.get("/events/workflows/w-lead/tree").json()
    assert outline(tree) == [
        ("w-lead", 0, None), ("l-top", 1, "w-lead"), ("l-below", 2, "l-top"),
        ("l-ended", 2, "l-top"), ("l-late", 1, "w-lead"),
    ]  # fmt: skip
    assert tree["nodes"][-1]["caused_by"] == start.causation_id


def test_what_a_parent_says_comes_first(client: httpx.Client, bus: Bus) -> None:
    """`agent.spawned` names the parent, whatever the agent's own first event says."""
    for name in ("s-one", "s-two"):
        agent(bus, name, "w-say", None)
    agent(bus, "s-below", "w-say", "s-one", payload={"agent_name": "explorer"})
    bus.emit("agent.spawned", status="", aggregate_type="agent", aggregate_id="s-below",
             correlation_id="w-say", causation_id="s-two")  # fmt: skip
    tree = client.get("/events/workflows/w-say/tree").json()
    assert outline(tree)[-1] == ("s-below", 2, "s-two")
    assert (tree["nodes"][-1]["name"], tree["nodes"][-1]["state"]) == ("explorer", "running")


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


def test_only_so_many_events_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """No workflow takes longer than that, however far agents are from what caused them."""
    with Bus("memory:") as bus:
        agent(bus, "far-top", "w-far", None)
        cause = "far-top"
        for _ in range(5):
            cause = bus.emit("tool.started", causation_id=cause, correlation_id="w-far").id
        agent(bus, "far", "w-far", cause)
        for most, parent in ((5, "far-top"), (4, "w-far")):
            monkeypatch.setattr(workflows, "_MOST_EVENTS", most)
            tree = workflows.workflow_tree(bus.store, "w-far")
            assert tree is not None
            assert {node.id: node.parent_id for node in tree.nodes}["far"] == parent


@pytest.mark.parametrize("name", ["unknown", "un/known"])
def test_no_workflow_has_no_tree(client: httpx.Client, name: str) -> None:
    """404, because an empty tree would look like a workflow."""
    response = client.get(f"/events/workflows/{name}/tree")
    assert response.status_code == 404
    assert response.json()["type"] == "urn:tidings:problem:no-workflow"
