"""What tools answer, as models and programs read it; the SDK makes the output schemas of these.

The first three have the fields of eventuali-mcp-server 0.2.2, with ours beside them. A field of
ours that is none is left out, for each costs a model its reading.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, Field, model_serializer

from tidings.event_item import NO_AGGREGATE, WIRE_AGGREGATES, WIRE_TYPES, timestamp_of
from tidings.mcp_server.cutting import cut
from tidings.mcp_server.schemas import plain
from tidings.record import PAYLOAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler, SerializerFunctionWrapHandler
    from pydantic_core import CoreSchema

    from tidings.event import Event

__all__ = [
    "EventItem",
    "EventResponse",
    "EventShape",
    "EventsResponse",
    "LatestAnswer",
    "PageAnswer",
    "TypeShape",
    "TypesAnswer",
    "WaitAnswer",
    "WorkflowAnswer",
    "WorkflowNodeShape",
]


class _Shape(BaseModel):
    """Leaves out what is none, but for the fields that clients of the peer rely on."""

    always: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_nothing(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        said: dict[str, Any] = handler(self)
        return {k: v for k, v in said.items() if v is not None or k in self.always}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return plain(handler.resolve_ref_schema(handler(core_schema)), cls.always)


class EventResponse(_Shape):
    """What became of an event."""

    success: bool = Field(description="True; what could not be kept is an error")
    event_id: str = Field(description="Its id")
    message: str = Field(description="What became of it, and what to mind")
    timestamp: str = Field(description="When it happened (RFC 3339)")
    position: int | None = Field(
        default=None, description="Its place in the store; pass it as `after` to wait_for_event"
    )
    version: int | None = Field(
        default=None, description="Its place within its aggregate: 1, 2, 3 …"
    )
    spooled: bool | None = Field(
        default=None,
        description="True where the store is away and the event waits to be moved into it",
    )


class EventItem(_Shape):
    """An event, as eventuali-mcp-server tells it."""

    always = frozenset(
        (
            *("event_name", "agent_name", "agent_id", "parent_agent_id", "workflow_id"),
            *("user_prompt", "session_id", "correlation_id", "causation_id"),
        )
    )

    event_id: str = Field(description="Its id")
    aggregate_id: str = Field(description="What it is about; empty for nothing")
    aggregate_type: str = Field(description="agent_aggregate, workflow_aggregate, …")
    event_type: str = Field(description="AgentEvent, WorkflowEvent, SystemEvent, or its type")
    event_name: str | None = Field(
        default=None, description="Its type, such as agent.urlCacher.started"
    )
    timestamp: str = Field(description="When it happened")
    attributes: dict[str, Any] = Field(description="What its producer has to say")
    agent_name: str | None = None
    agent_id: str | None = None
    parent_agent_id: str | None = None
    workflow_id: str | None = None
    user_prompt: str | None = None
    session_id: str | None = None
    correlation_id: str | None = Field(default=None, description="The undertaking it belongs to")
    causation_id: str | None = Field(default=None, description="What caused it")
    position: int = Field(description="Its place in the store")
    project: str | None = Field(default=None, description="What it belongs to")
    status: str | None = Field(default=None, description="Its outcome: success or failure")
    payload: Any = Field(default=None, description="Its payload, where that is no object")
    payload_cut: bool | None = Field(
        default=None, description="Whether attributes were cut; see get_events"
    )

    @classmethod
    def of(cls, event: Event, most: int) -> EventItem:
        """The item of an event, its attributes cut to so many characters."""
        payload, was_cut = _payload(event, most)
        whole = event.payload if isinstance(event.payload, dict) else {}
        kind = event.aggregate_type or ""
        about = event.aggregate_id or ""
        return cls(
            event_id=event.id,
            aggregate_id=about,
            aggregate_type=WIRE_AGGREGATES.get(kind, kind or NO_AGGREGATE),
            event_type=WIRE_TYPES.get(kind, event.type),
            event_name=event.type,
            timestamp=timestamp_of(event),
            attributes=payload if isinstance(payload, dict) else {},
            agent_name=_text(whole, "agent_name", most) if kind == "agent" else None,
            agent_id=about if kind == "agent" else None,
            parent_agent_id=event.causation_id if kind == "agent" else None,
            workflow_id=event.correlation_id if kind == "agent" else _if(kind, "workflow", about),
            user_prompt=_text(whole, "user_prompt", most) if kind == "workflow" else None,
            session_id=_if(kind, "system", about),
            correlation_id=event.correlation_id,
            causation_id=event.causation_id,
            position=event.position or 0,
            project=event.project or None,
            status=event.status or None,
            payload=None if isinstance(payload, dict) else payload,
            payload_cut=was_cut or None,
        )


class EventsResponse(_Shape):
    """A page of events, newest first, as eventuali-mcp-server tells it."""

    always = frozenset(("total",))

    events: list[EventItem] = Field(description="The events")
    total: int | None = Field(
        default=None, description="How many match in all; null where not known"
    )
    limit: int = Field(description="The most that were asked for")
    offset: int = Field(description="How many were left out before")
    next_before: int | None = Field(
        default=None,
        description="There is more: call again with before set to this, and offset to next_offset",
    )
    next_offset: int | None = Field(default=None, description="Left out counts as 0")


class EventShape(_Shape):
    """An event."""

    position: int = Field(description="Its place in the store; later events have larger ones")
    id: str = Field(description="Its id")
    type: str = Field(description="What happened, such as job_done")
    timestamp: str = Field(description="When it happened")
    project: str | None = Field(default=None, description="What it belongs to")
    status: str | None = Field(default=None, description="Its outcome: success or failure")
    source: str | None = Field(default=None, description="Where it comes from")
    aggregate_type: str | None = Field(default=None, description="The kind of thing it is about")
    aggregate_id: str | None = Field(default=None, description="The thing it is about")
    version: int | None = Field(default=None, description="Its place within its aggregate")
    correlation_id: str | None = Field(default=None, description="The undertaking it belongs to")
    causation_id: str | None = Field(default=None, description="What caused it")
    user_id: str | None = Field(default=None, description="On whose behalf it happened")
    payload: Any = Field(default=None, description="What its producer has to say")
    payload_cut: bool | None = Field(
        None,
        description="Whether the payload was cut; search_events with its id in ids and a larger "
        "payload_limit gives the whole",
    )
    redacted: bool | None = Field(
        default=None, description="Whether its payload was emptied on purpose"
    )
    context: dict[str, Any] | None = Field(
        default=None, description="Where it was made: host, job, …"
    )
    extensions: dict[str, Any] | None = Field(default=None, description="What else came with it")
    recorded_at: str | None = Field(default=None, description="When the store took it")

    @classmethod
    def of(cls, event: Event, most: int, *, details: bool = False) -> EventShape:
        """The shape of an event.

        Args:
            event: a kept event.
            most: how many characters its payload may take.
            details: whether it says where it was made, and when it was kept.
        """
        payload, was_cut = _payload(event, most)
        return cls(
            position=event.position or 0,
            id=event.id,
            type=event.type,
            timestamp=timestamp_of(event),
            project=event.project or None,
            status=event.status or None,
            source=event.source or None,
            aggregate_type=event.aggregate_type,
            aggregate_id=event.aggregate_id,
            version=event.version,
            correlation_id=event.correlation_id,
            causation_id=event.causation_id,
            user_id=event.user_id,
            payload=payload,
            payload_cut=was_cut or None,
            redacted=event.redacted or None,
            context=event.context or None if details else None,
            extensions=event.extensions or None if details else None,
            recorded_at=event.recorded_at if details else None,
        )


class PageAnswer(_Shape):
    """Some events, and how to go on."""

    events: list[EventShape] = Field(description="The events that match")
    complete: bool = Field(description="Whether these are all that match from here on")
    next_before: int | None = Field(
        default=None, description="For older ones: call again with before set to this"
    )
    next_after: int | None = Field(
        default=None, description="For later ones: call again with after set to this"
    )
    message: str | None = Field(default=None, description="What to mind")


class LatestAnswer(_Shape):
    """The newest event."""

    found: bool = Field(description="Whether there is one")
    event: EventShape | None = Field(default=None, description="The event")
    message: str | None = Field(default=None, description="What to do where there is none")


class WaitAnswer(_Shape):
    """What came while waiting."""

    found: bool = Field(description="Whether an event came that matches; else time was up")
    event: EventShape | None = Field(default=None, description="The event")
    position: int = Field(
        description="Call again with after set to this: nothing is missed or repeated"
    )
    waited_seconds: float = Field(description="How long it waited")
    message: str | None = Field(default=None, description="What to do where none came")


class TypeShape(_Shape):
    """An event type."""

    type: str = Field(description="Its name")
    description: str | None = Field(default=None, description="What an event of this type says")
    payload_keys: list[str] | None = Field(
        default=None, description="The keys its payload may have"
    )
    aggregate_type: str | None = Field(default=None, description="What its events are about")
    payload_schema: dict[str, Any] | None = Field(
        default=None, description="The JSON Schema of its payload, where it was asked for by name"
    )
    count: int | None = Field(default=None, description="How many there are, where you may know")
    last_position: int | None = Field(default=None, description="The place of the newest")


class TypesAnswer(_Shape):
    """The event types."""

    types: list[TypeShape] = Field(description="By name")
    next_after: str | None = Field(
        default=None, description="There are more: call again with after set to this"
    )


class WorkflowNodeShape(_Shape):
    """The workflow, or an agent in it."""

    id: str = Field(description="Of the agent, or of the workflow")
    kind: str = Field(description="workflow or agent")
    name: str = Field(description="The agent's name; the workflow's id")
    parent_id: str | None = Field(default=None, description="The node above it")
    caused_by: str | None = Field(
        default=None, description="What its first event names as its cause"
    )
    depth: int = Field(description="How many nodes stand above it")
    children: list[str] = Field(description="The agents it started")
    state: str | None = Field(
        default=None, description="running, done or failed, where its events say"
    )
    status: str | None = Field(default=None, description="Its newest outcome: success or failure")
    events: int = Field(description="How many events it has had")
    started_at: str | None = Field(default=None, description="When its first event happened")
    last_event_at: str | None = Field(default=None, description="When its newest event happened")
    duration: float | None = Field(
        default=None, description="How long it took (seconds), once ended"
    )


class WorkflowAnswer(_Shape):
    """Who started whom in a workflow, how it ended, and how long it took."""

    workflow_id: str = Field(description="The workflow")
    nodes: list[WorkflowNodeShape] = Field(
        description="The workflow, then each node before its children, the first to start first"
    )
    truncated: bool = Field(description="Whether there are more agents; then ask with more")


def _payload(event: Event, most: int) -> tuple[Any, bool]:
    """What it says, cut to so many characters, and whether it had to be."""
    text = event.record[PAYLOAD]
    if text is None:
        return None, False
    return cut(event.payload, text, most), len(text) > most


def _text(payload: dict[str, Any], key: str, most: int) -> str | None:
    value = payload.get(key)
    return value[:most] if isinstance(value, str) else None


def _if(kind: str, wanted: str, about: str) -> str | None:
    return about if kind == wanted else None
