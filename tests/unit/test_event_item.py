"""The item on the wire: one line of JSON that says what the event says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from tidings.event import Event
from tidings.event_item import item, item_json, timestamp_of
from tidings.server.models import EventItem
from tidings.store import open_store
from tidings.testing.strategies import events


@given(events())
def test_any_event_is_one_line_of_its_own_words(fields: dict[str, Any]) -> None:
    """Whatever an event holds, its item is valid, without line breaks, and says the same."""
    with open_store("memory:") as store:
        (event,) = store.append([Event(**fields)])
    text = item_json(event)
    assert not {b"\n", b"\r", b"\x00"} & {bytes([byte]) for byte in text}
    said = json.loads(text)
    EventItem.model_validate(said)
    ours = event.to_dict()
    for name in ("id", "type", "project", "status", "payload", "source", "position"):
        assert said[name] == ours[name]
    for name in ("version", "correlation_id", "causation_id", "user_id", "recorded_at"):
        assert said[name] == ours.get(name)
    assert said["context"] == event.context
    assert said["extensions"] == event.extensions
    assert said["aggregate_id"] == (event.aggregate_id or "")
    assert said["attributes"] == (event.payload if isinstance(event.payload, dict) else {})


@pytest.mark.parametrize(
    ("kind", "wire", "event_type"),
    [
        ("agent", "agent_aggregate", "AgentEvent"),
        ("workflow", "workflow_aggregate", "WorkflowEvent"),
        ("system", "system_aggregate", "SystemEvent"),
        ("order", "order", "it.happened"),
    ],
)
def test_aggregates_have_the_names_clients_know(kind: str, wire: str, event_type: str) -> None:
    """The three kinds of the seed are named as there, others as their users named them."""
    said = item(Event("it.happened", aggregate_type=kind, aggregate_id="x"))
    assert (said["aggregate_type"], said["event_type"]) == (wire, event_type)
    assert said["event_name"] == "it.happened"


def test_an_event_about_nothing_has_the_peers_words_for_it() -> None:
    """It has an aggregate type all the same, an empty id, and its own type."""
    said = item(Event("job_done", payload=[1]))
    assert said["aggregate_type"] == "event_aggregate"
    assert said["aggregate_id"] == ""
    assert said["event_type"] == "job_done"
    assert said["attributes"] == {}
    assert said["payload"] == [1]


def test_agents_workflows_and_sessions_have_fields_of_their_own() -> None:
    """They repeat what correlation, causation and payload say, under the names of the peer."""
    agent = item(
        Event(
            "agent.started",
            payload={"agent_name": "url-cacher"},
            aggregate_type="agent",
            aggregate_id="a1",
            correlation_id="w1",
            causation_id="a0",
        )
    )
    assert (agent["agent_name"], agent["agent_id"]) == ("url-cacher", "a1")
    assert (agent["workflow_id"], agent["parent_agent_id"]) == ("w1", "a0")
    workflow = item(
        Event("w", payload={"user_prompt": "Go"}, aggregate_type="workflow", aggregate_id="w1")
    )
    assert (workflow["workflow_id"], workflow["user_prompt"]) == ("w1", "Go")
    assert item(Event("s", aggregate_type="system", aggregate_id="s1"))["session_id"] == "s1"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("2026-01-01T01:00:00+01:00", "2026-01-01T01:00:00+01:00"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ],
)
def test_a_time_with_offset_is_sent_as_written(written: str, sent: str) -> None:
    """What the producer wrote is what is read."""
    assert timestamp_of(Event("x", timestamp=written)) == sent


@pytest.mark.parametrize("written", ["2026-01-01T00:00:00", "2026-01-01"])
def test_a_time_without_offset_is_sent_as_the_instant_it_is(written: str) -> None:
    """Nobody has to guess where it was written."""
    event = Event("x", timestamp=written)
    assert timestamp_of(event).endswith("Z")
    assert Event("x", timestamp=timestamp_of(event)).instant == event.instant
