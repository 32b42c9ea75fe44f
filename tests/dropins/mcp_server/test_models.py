"""Whether the models take and give what those of eventuali-mcp-server 0.2.2 do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

import eventuali_mcp_server
from eventuali_mcp_server import models

if TYPE_CHECKING:
    from pydantic import BaseModel

# For each model what must be given, and what comes of what is not.
SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "AgentEventRequest": (
        {"agent_id": "a", "event_name": "started", "agent_name": "n"},
        {"parent_agent_id": None, "workflow_id": None, "attributes": {}},
    ),
    "WorkflowEventRequest": (
        {"workflow_id": "w", "event_name": "started"},
        {"user_prompt": None, "attributes": {}},
    ),
    "SystemEventRequest": ({"event_name": "error"}, {"session_id": None, "attributes": {}}),
    "StartAgentRequest": (
        {"agent_name": "n", "agent_id": "a"},
        {"parent_agent_id": None, "workflow_id": None},
    ),
    "CompleteAgentRequest": (
        {"agent_id": "a", "agent_name": "n"},
        {"success": True, "message": None, "workflow_id": None, "parent_agent_id": None},
    ),
    "StartWorkflowRequest": ({"workflow_id": "w", "user_prompt": "do it"}, {}),
    "CompleteWorkflowRequest": ({"workflow_id": "w"}, {"success": True, "message": None}),
    "GetEventsRequest": (
        {},
        {"limit": 100, "offset": 0, "event_type": None, "aggregate_type": None},
    ),
    "EventResponse": ({"success": False, "message": "no"}, {"event_id": None}),
    "EventItem": (
        {
            "event_id": "e",
            "aggregate_id": "system",
            "aggregate_type": "system_aggregate",
            "event_type": "SystemEvent",
            "timestamp": datetime(2026, 1, 1, tzinfo=UTC),
        },
        {
            "event_name": None,
            "attributes": {},
            "agent_name": None,
            "agent_id": None,
            "parent_agent_id": None,
            "workflow_id": None,
            "user_prompt": None,
            "session_id": None,
            "correlation_id": None,
            "causation_id": None,
        },
    ),
    "EventsResponse": ({"events": [], "limit": 5, "offset": 2}, {"total": None}),
    "StreamEventItem": ({"event": "event_created", "data": {}}, {"id": None}),
    "HealthResponse": (
        {
            "status": "healthy",
            "timestamp": datetime(2026, 1, 1, tzinfo=UTC),
            "api_connected": True,
        },
        {},
    ),
}


def model(name: str) -> type[BaseModel]:
    """A model by its name."""
    found: type[BaseModel] = getattr(models, name)
    return found


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_not_given_has_its_default(name: str) -> None:
    """Each model has the fields of the original and their defaults, and no others."""
    given, defaults = SHAPES[name]
    made = model(name)(**given).model_dump()
    if name == "EventResponse":
        assert datetime.now(UTC) >= made.pop("timestamp")
    assert made == given | defaults


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name in SHAPES for field in SHAPES[name][0]]
)
def test_what_must_be_given_is_asked_for(name: str, field: str) -> None:
    """Without any of its required fields a model is refused, by that field's name."""
    given = {key: value for key, value in SHAPES[name][0].items() if key != field}
    with pytest.raises(ValidationError, match=field):
        model(name)(**given)


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 1001}, {"offset": -1}])
def test_pages_have_bounds(wrong: dict[str, Any]) -> None:
    """A page holds 1 to 1000 events and leaves out none or more."""
    with pytest.raises(ValidationError):
        models.GetEventsRequest(**wrong)


def test_attributes_are_not_shared() -> None:
    """Two requests that were given no attributes have an object each."""
    one, other = (models.SystemEventRequest(event_name="error") for _ in range(2))
    one.attributes["seen"] = True
    assert other.attributes == {}


def test_the_package_offers_them() -> None:
    """All models and the client can be imported from the package itself."""
    assert set(eventuali_mcp_server.__all__) == {*SHAPES, "EventAPIClient"}
    assert all(getattr(eventuali_mcp_server, name) is model(name) for name in SHAPES)
