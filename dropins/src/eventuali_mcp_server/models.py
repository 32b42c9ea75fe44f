"""What tools are asked and what they answer: the 13 models of eventuali-mcp-server 0.2.2.

Names, defaults and limits are those of that version. They only hold values; whether an event makes
sense is for Tidings to say.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

__all__ = [
    "AgentEventRequest",
    "CompleteAgentRequest",
    "CompleteWorkflowRequest",
    "EventItem",
    "EventResponse",
    "EventsResponse",
    "GetEventsRequest",
    "HealthResponse",
    "StartAgentRequest",
    "StartWorkflowRequest",
    "StreamEventItem",
    "SystemEventRequest",
    "WorkflowEventRequest",
]


# What is asked ---------------------------------------------------------------------------------


class AgentEventRequest(BaseModel):
    """An event of an agent; its type becomes `agent.<agent_name>.<event_name>`."""

    agent_id: str = Field(description="The agent's id")
    event_name: str = Field(description="What happened: started, completed, failed …")
    agent_name: str = Field(description="The agent's name")
    parent_agent_id: str | None = Field(default=None, description="The agent that started it")
    workflow_id: str | None = Field(default=None, description="The workflow it belongs to")
    attributes: dict[str, Any] = Field(default_factory=dict, description="What else to say")


class WorkflowEventRequest(BaseModel):
    """An event of a workflow; its type becomes `workflow.<event_name>`."""

    workflow_id: str = Field(description="The workflow's id")
    event_name: str = Field(description="What happened: started, completed, agent_added …")
    user_prompt: str | None = Field(default=None, description="What the workflow was asked for")
    attributes: dict[str, Any] = Field(default_factory=dict, description="What else to say")


class SystemEventRequest(BaseModel):
    """An event of the system; its type becomes `system.<event_name>`."""

    event_name: str = Field(description="What happened: session_started, session_ended …")
    session_id: str | None = Field(default=None, description="The session it belongs to")
    attributes: dict[str, Any] = Field(default_factory=dict, description="What else to say")


class StartAgentRequest(BaseModel):
    """An agent begins."""

    agent_name: str = Field(description="The agent's name, such as url-cacher")
    agent_id: str = Field(description="The agent's id")
    parent_agent_id: str | None = Field(default=None, description="The agent that started it")
    workflow_id: str | None = Field(default=None, description="The workflow it belongs to")


class CompleteAgentRequest(BaseModel):
    """An agent ends."""

    agent_id: str = Field(description="The agent's id")
    agent_name: str = Field(description="The agent's name")
    success: bool = Field(default=True, description="Whether it did what it should")
    message: str | None = Field(default=None, description="What came of it, or what went wrong")
    workflow_id: str | None = Field(default=None, description="The workflow it belongs to")
    parent_agent_id: str | None = Field(default=None, description="The agent that started it")


class StartWorkflowRequest(BaseModel):
    """A workflow begins."""

    workflow_id: str = Field(description="The workflow's id")
    user_prompt: str = Field(description="What it was asked for")


class CompleteWorkflowRequest(BaseModel):
    """A workflow ends."""

    workflow_id: str = Field(description="The workflow's id")
    success: bool = Field(default=True, description="Whether it did what it should")
    message: str | None = Field(default=None, description="What came of it, or what went wrong")


class GetEventsRequest(BaseModel):
    """Which events are wanted."""

    limit: int = Field(default=100, ge=1, le=1000, description="At most so many")
    offset: int = Field(default=0, ge=0, description="Leaves out so many")
    event_type: str | None = Field(default=None, description="Only of this type")
    aggregate_type: str | None = Field(default=None, description="Only about this kind of thing")


# What is answered ------------------------------------------------------------------------------


class EventResponse(BaseModel):
    """What became of an event.

    >>> EventResponse(success=True, event_id="e1", message="kept").timestamp.tzinfo
    datetime.timezone.utc
    """

    success: bool = Field(description="Whether it was kept")
    event_id: str | None = Field(default=None, description="Its id, if it was kept")
    message: str = Field(description="The same in words, or what went wrong")
    timestamp: datetime = Field(default_factory=lambda: datetime.now(UTC))


class EventItem(BaseModel):
    """An event."""

    event_id: str = Field(description="Its id")
    aggregate_id: str = Field(description="The agent, workflow or session it is about")
    aggregate_type: str = Field(description="agent_aggregate, workflow_aggregate …")
    event_type: str = Field(description="AgentEvent, WorkflowEvent, SystemEvent, or its type")
    event_name: str | None = Field(default=None, description="Its type, such as workflow.started")
    timestamp: datetime = Field(description="When it happened")
    attributes: dict[str, Any] = Field(default_factory=dict, description="What it says")
    agent_name: str | None = Field(default=None, description="Of an agent: its name")
    agent_id: str | None = Field(default=None, description="Of an agent: its id")
    parent_agent_id: str | None = Field(default=None, description="Of an agent: who started it")
    workflow_id: str | None = Field(default=None, description="The workflow")
    user_prompt: str | None = Field(default=None, description="Of a workflow: what was asked")
    session_id: str | None = Field(default=None, description="Of the system: the session")
    correlation_id: str | None = Field(default=None, description="The undertaking it belongs to")
    causation_id: str | None = Field(default=None, description="What caused it")


class EventsResponse(BaseModel):
    """A page of events."""

    events: list[EventItem] = Field(description="The events, newest first")
    total: int | None = Field(default=None, description="How many match in all, if known")
    limit: int = Field(description="The most that were asked for")
    offset: int = Field(description="How many were left out before")


class StreamEventItem(BaseModel):
    """What came down the live stream."""

    event: str = Field(description="event_created for an event; gap where some are gone")
    data: dict[str, Any] = Field(description="The event as JSON")
    id: str | None = Field(default=None, description="The event's id")


class HealthResponse(BaseModel):
    """Whether the event server serves."""

    status: str = Field(description="healthy, unhealthy or error")
    timestamp: datetime = Field(description="When it was looked at")
    api_connected: bool = Field(description="Whether it answered that all is well")
