"""The shapes of answers, for the OpenAPI document and the routes that FastAPI serves.

The first four are those of eventuali-api-server 0.2.2, with our fields beside theirs. Hot routes
write these shapes themselves; tests hold them against the document. What may be sent is said in
`ingest.operations`.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotations
from typing import Any

from pydantic import BaseModel, Field

__all__ = [
    "BatchResponse",
    "EventItem",
    "EventResponse",
    "EventsResponse",
    "HealthResponse",
    "KeptEvent",
    "ProblemDetails",
]


class EventResponse(BaseModel):
    """What became of an event."""

    success: bool = Field(description="Whether it was kept")
    event_id: str = Field(description="Its id")
    message: str = Field(description="The same in words")
    timestamp: datetime = Field(description="When it happened")
    position: int = Field(description="Its place in the store")
    version: int | None = Field(None, description="Its place within its aggregate")


class EventItem(BaseModel):
    """An event."""

    event_id: str = Field(description="Its id")
    aggregate_id: str = Field(description="What it is about; empty for nothing")
    aggregate_type: str = Field(description="agent_aggregate, workflow_aggregate, …")
    event_type: str = Field(description="AgentEvent, WorkflowEvent, SystemEvent, or its type")
    event_name: str | None = Field(None, description="Its type, such as agent.started")
    timestamp: datetime = Field(description="When it happened")
    attributes: dict[str, Any] = Field(default_factory=dict, description="Its payload's object")
    correlation_id: str | None = Field(None, description="The undertaking it belongs to")
    causation_id: str | None = Field(None, description="What caused it")
    agent_name: str | None = Field(None, description="The agent's name")
    agent_id: str | None = Field(None, description="The agent")
    parent_agent_id: str | None = Field(None, description="The agent that started it")
    workflow_id: str | None = Field(None, description="The workflow")
    user_prompt: str | None = Field(None, description="What the workflow was asked for")
    session_id: str | None = Field(None, description="The session")
    id: str = Field(description="Its id")
    type: str = Field(description="What happened")
    project: str = Field(description="What it belongs to")
    status: str = Field(description="Its outcome: success, failure, or empty")
    payload: Any = Field(description="What its producer has to say; any JSON value")
    source: str = Field(description="Where it comes from")
    version: int | None = Field(None, description="Its place within its aggregate")
    user_id: str | None = Field(None, description="On whose behalf")
    context: dict[str, Any] = Field(default_factory=dict, description="Where it was made")
    extensions: dict[str, Any] = Field(default_factory=dict, description="What came with it")
    position: int = Field(description="Its place in the store")
    recorded_at: str | None = Field(None, description="When the store took it")
    redacted: bool = Field(default=False, description="Whether its payload was emptied")


class EventsResponse(BaseModel):
    """A page of events."""

    events: list[EventItem] = Field(description="The events")
    total: int | None = Field(None, description="How many match in all; null where unknown")
    limit: int = Field(description="The most that were asked for")
    offset: int = Field(description="How many were left out before")
    next: str | None = Field(None, description="The link to the next page; null at the end")
    complete: bool = Field(
        default=True, description="Whether it looked at all it should; else `next` goes on"
    )
    exact: bool = Field(default=True, description="Whether `total` is known")
    at_least: int = Field(0, description="So many match, or more")


class HealthResponse(BaseModel):
    """Whether the server can serve."""

    status: str = Field(description="healthy or unhealthy")
    timestamp: datetime = Field(description="When it was looked at")
    api_connected: bool = Field(default=True, description="Whether the server runs")
    database_connected: bool = Field(default=True, description="Whether the store answers")


class KeptEvent(BaseModel):
    """Where an event was kept."""

    id: str = Field(description="Its id")
    type: str = Field(description="What happened")
    position: int = Field(description="Its place in the store")
    version: int | None = Field(None, description="Its place within its aggregate")
    timestamp: datetime = Field(description="When it happened")
    recorded_at: datetime = Field(description="When the store took it")


class BatchResponse(BaseModel):
    """What became of each event of a batch."""

    kept: int = Field(description="How many were kept")
    failed: int = Field(description="How many were not")
    results: list[dict[str, Any]] = Field(description="For each event its place, or its problem")
    complete: bool = Field(default=True, description="Whether there is a result for each event")


class ProblemDetails(BaseModel):
    """What was wrong, where, and what to do next (RFC 9457)."""

    type: str = Field(description="The kind of problem; stable")
    title: str = Field(description="The status in words")
    status: int = Field(description="The status code")
    detail: str = Field(description="What was wrong and what to do next")
    request_id: str | None = Field(None, description="Names the request in the server's log")
    errors: list[dict[str, Any]] | None = Field(None, description="Field by field")
