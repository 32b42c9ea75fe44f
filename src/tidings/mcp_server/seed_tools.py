"""The tools of eventuali-mcp-server 0.2.2, by its names.

Keeps its arguments, flat and in one `request`; the types, aggregates, links and attributes it gives
events; and the fields of its answers. What that server loses is right here: `aggregate_type`
filters, ids repeat nothing, and what could not be kept or read is an error, not `success: false` or
an empty list. The docstrings of tools are written for models, who read them.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Annotated, Any, NamedTuple

from mcp.server.mcpserver import Context  # noqa: TC002 - the SDK reads the annotations of tools
from pydantic import Field

from tidings.errors import InvalidQuery, shorten
from tidings.event_item import WIRE_TYPES, read_aggregate_type
from tidings.mcp_server.admitting import admitted
from tidings.mcp_server.arguments import (  # noqa: TC001 - as above
    AgentId,
    AgentName,
    Attributes,
    Before,
    EventId,
    EventName,
    Limit,
    Message,
    OwnWorkflowId,
    ParentAgentId,
    PayloadLimit,
    Project,
    SessionId,
    Success,
    UserPrompt,
    WorkflowId,
)
from tidings.mcp_server.calling import EMITS, READS, tool
from tidings.mcp_server.emitting import emit, response
from tidings.mcp_server.seed_events import Agent, Workflow, of_system
from tidings.mcp_server.shapes import EventItem, EventResponse, EventsResponse
from tidings.record import PAYLOAD
from tidings.searching import SEARCH_SECONDS, position_of, search
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mcp.server.mcpserver.tools import Tool

    from tidings.event import Event
    from tidings.mcp_server.making import Ground
    from tidings.store.base import Store

__all__ = ["tools"]

_MOST_OFFSET = 10_000
_MOST_CHARACTERS = 1_000_000
"""The payloads of one answer take so many characters; beyond, little is left of each."""

_LITTLE = 200
_AGGREGATES = {name: kind for kind, name in WIRE_TYPES.items()}

Offset = Annotated[
    int, Field(ge=0, le=_MOST_OFFSET, description="Leaves out so many; next_before goes further")
]
Filter = Annotated[
    str,
    Field(description="A type: agent.urlCacher.started, agent.*; or AgentEvent, WorkflowEvent, …"),
]
Aggregate = Annotated[str, Field(description="agent, workflow, system, or your own kind")]


def tools(ground: Ground) -> list[Tool]:
    """The tools, on one bus."""
    own = _SeedTools(ground)
    return [
        tool(own.start_agent, "Start an agent", EMITS, takes_request=True),
        tool(own.emit_agent_event, "Emit an agent's event", EMITS, takes_request=True),
        tool(own.complete_agent, "Complete an agent", EMITS, takes_request=True),
        tool(own.start_workflow, "Start a workflow", EMITS, takes_request=True),
        tool(own.emit_workflow_event, "Emit a workflow's event", EMITS, takes_request=True),
        tool(own.complete_workflow, "Complete a workflow", EMITS, takes_request=True),
        tool(own.emit_system_event, "Emit a system event", EMITS, takes_request=True),
        tool(own.get_events, "Get events", READS, takes_request=True),
    ]


class _Page(NamedTuple):
    """Which part of the events is shown, and how much of each."""

    limit: int
    offset: int
    payload_limit: int


class _SeedTools:
    """The tools; each method is one."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def start_agent(
        self,
        context: Context[Any, Any],
        *,
        agent_name: AgentName,
        agent_id: AgentId,
        workflow_id: WorkflowId = "",
        parent_agent_id: ParentAgentId = "",
        project: Project = "",
        id: EventId = "",
    ) -> EventResponse:
        """Record that an agent (or sub-agent) begins to work: emits agent.<agent_name>.started.

        Give workflow_id and parent_agent_id so that get_workflow shows who started whom. Call
        complete_agent with the same agent_id and agent_name when it ends.
        """
        agent = Agent(agent_name, agent_id, workflow_id, parent_agent_id)
        event = await emit(self._ground, context, agent.starts(project, id))
        return self._said("Agent", event, _begun(event))

    async def emit_agent_event(
        self,
        context: Context[Any, Any],
        *,
        agent_id: AgentId,
        agent_name: AgentName,
        event_name: EventName,
        parent_agent_id: ParentAgentId = "",
        workflow_id: WorkflowId = "",
        attributes: Attributes = None,
        project: Project = "",
        id: EventId = "",
    ) -> EventResponse:
        """Record a step of an agent's work: emits agent.<agent_name>.<event_name>.

        For its beginning and end take start_agent and complete_agent.
        """
        agent = Agent(agent_name, agent_id, workflow_id, parent_agent_id)
        emission = agent.says(event_name, attributes or {}, project, id)
        event = await emit(self._ground, context, emission)
        return self._said("Agent", event)

    async def complete_agent(
        self,
        context: Context[Any, Any],
        *,
        agent_id: AgentId,
        agent_name: AgentName,
        success: Success = True,
        message: Message = "",
        workflow_id: WorkflowId = "",
        parent_agent_id: ParentAgentId = "",
        project: Project = "",
        id: EventId = "",
    ) -> EventResponse:
        """Record that an agent has ended: emits agent.<agent_name>.completed, or .failed.

        Take agent_id, agent_name and workflow_id as given to start_agent.
        """
        agent = Agent(agent_name, agent_id, workflow_id, parent_agent_id)
        emission = agent.ends(project, id, message, success=success)
        event = await emit(self._ground, context, emission)
        return self._said("Agent", event, _unbegun(event))

    async def start_workflow(
        self,
        context: Context[Any, Any],
        *,
        workflow_id: OwnWorkflowId,
        user_prompt: UserPrompt,
        project: Project = "",
        id: EventId = "",
    ) -> EventResponse:
        """Record that a workflow (a user's request, worked on by agents) begins: workflow.started.

        Choose a new workflow_id and give it to every agent of it; get_workflow then shows the tree.
        Call complete_workflow when it ends.
        """
        workflow = Workflow(workflow_id, user_prompt)
        event = await emit(self._ground, context, workflow.starts(project, id))
        return self._said("Workflow", event, _begun(event))

    async def emit_workflow_event(
        self,
        context: Context[Any, Any],
        *,
        workflow_id: OwnWorkflowId,
        event_name: EventName,
        user_prompt: UserPrompt = "",
        attributes: Attributes = None,
        project: Project = "",
        id: EventId = "",
    ) -> EventResponse:
        """Record a step of a workflow: emits workflow.<event_name>.

        For its beginning and end take start_workflow and complete_workflow.
        """
        workflow = Workflow(workflow_id, user_prompt)
        emission = workflow.says(event_name, attributes or {}, project, id)
        event = await emit(self._ground, context, emission)
        return self._said("Workflow", event)

    async def complete_workflow(
        self,
        context: Context[Any, Any],
        *,
        workflow_id: OwnWorkflowId,
        success: Success = True,
        message: Message = "",
        project: Project = "",
        id: EventId = "",
    ) -> EventResponse:
        """Record that a workflow has ended: emits workflow.completed, or workflow.failed."""
        emission = Workflow(workflow_id).ends(project, id, message, success=success)
        event = await emit(self._ground, context, emission)
        return self._said("Workflow", event, _unbegun(event))

    async def emit_system_event(
        self,
        context: Context[Any, Any],
        *,
        event_name: EventName,
        session_id: SessionId = "",
        attributes: Attributes = None,
        project: Project = "",
        id: EventId = "",
    ) -> EventResponse:
        """Record something about the system or a session, and no agent: emits system.<event_name>.

        Such as session_started, session_ended, error.
        """
        emission = of_system(event_name, session_id, attributes or {}, project, id)
        event = await emit(self._ground, context, emission)
        return self._said("System", event)

    async def get_events(
        self,
        context: Context[Any, Any],
        *,
        limit: Limit = 100,
        offset: Offset = 0,
        event_type: Filter = "",
        aggregate_type: Aggregate = "",
        before: Before = 0,
        payload_limit: PayloadLimit = 10_000,
    ) -> EventsResponse:
        """List events, newest first, by type or by what they are about.

        search_events has more filters, and history is shorter to read. An empty list means that
        nothing matches; a store that cannot be read is an error.
        """
        access = admitted(self._ground, context, "read")
        query = access.narrow(_query(event_type, aggregate_type, before))
        page = _Page(limit, offset, payload_limit)
        return await asyncio.to_thread(_shown, self._ground.bus().store, query, page)

    def _said(self, kind: str, event: Event, note: str = "") -> EventResponse:
        message = f"{kind} event '{event.type}' emitted successfully{note}"
        return response(self._ground.bus(), event, message)


def _begun(event: Event) -> str:
    """What to mind of a beginning: that the id was taken before."""
    before = (event.version or 1) - 1
    if not before:
        return ""
    events = "1 event" if before == 1 else f"{before} events"
    return f"; but {event.aggregate_type} {event.aggregate_id!r} has had {events} before"


def _unbegun(event: Event) -> str:
    """What to mind of an end: that nothing began, which is kept all the same."""
    if event.version != 1:
        return ""
    kind, name = event.aggregate_type, event.aggregate_id
    return f"; but {kind} {name!r} has had no event before: was it started under another id?"


def _query(event_type: str, aggregate_type: str, before: int) -> Query:
    """The events of a type, or about a kind of thing, newest first.

    Raises:
        InvalidQuery: the two contradict each other.
    """
    about = read_aggregate_type(aggregate_type) if aggregate_type else None
    types = [event_type] if event_type else None
    if event_type in _AGGREGATES:
        # That server calls all events of agents so; their own type is its `event_name`.
        if about not in (None, _AGGREGATES[event_type]):
            raise InvalidQuery(
                f"event_type {shorten(event_type)} contradicts aggregate_type "
                f"{shorten(aggregate_type)}; give only one of them"
            )
        about, types = _AGGREGATES[event_type], None
    return Query(types=types, aggregate_type=about, before=before or None, backwards=True)


def _shown(store: Store, query: Query, page: _Page) -> EventsResponse:
    """The part of what matches that was asked for; blocks."""
    found = search(store, query, page.offset + page.limit + 1, monotonic() + SEARCH_SECONDS)
    shown = found.events[page.offset : page.offset + page.limit]
    full = len(found.events) > page.offset + page.limit
    # A search that stopped early may not have come past what is to be left out.
    left = 0 if found.stopped is None else max(0, page.offset - len(found.events))
    count = store.count(query.replace(before=None))
    return EventsResponse(
        events=_items(shown, page.payload_limit),
        total=count.value if count.exact else None,
        limit=page.limit,
        offset=page.offset,
        next_before=position_of(shown[-1]) if full else found.stopped,
        next_offset=left or None,
    )


def _items(events: list[Event], most: int) -> list[EventItem]:
    """The events as items; all of them, since a client pages by how many it asked for."""
    left = _MOST_CHARACTERS
    items = []
    for event in events:
        size = min(len(event.record[PAYLOAD] or ""), most)
        items.append(EventItem.of(event, most if size <= left else _LITTLE))
        left -= min(size, left)
    return items
