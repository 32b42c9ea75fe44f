"""Our own tools: emit, read, search, look at a workflow, wait.

Each calls what the bus has for everybody; answers are short enough to be read by a model, and say
how to go on. The docstrings of tools are written for models, who read them.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from mcp.server.mcpserver import Context  # noqa: TC002 - the SDK reads the annotations of tools
from pydantic import Field

from tidings.errors import NotFound
from tidings.mcp_server import pages
from tidings.mcp_server.admitting import admitted
from tidings.mcp_server.arguments import (  # noqa: TC001 - as above
    After,
    AggregateId,
    AggregateType,
    Before,
    CausationId,
    Contains,
    CorrelationId,
    Details,
    EventId,
    EventType,
    ExpectedVersion,
    Ids,
    Limit,
    OfCausation,
    OfCorrelation,
    OfKind,
    OfProject,
    OfSource,
    OfStatus,
    OfThing,
    OfUser,
    Order,
    OwnWorkflowId,
    Payload,
    PayloadLimit,
    PayloadValues,
    Project,
    Seconds,
    Since,
    Source,
    Status,
    Timestamp,
    Types,
    Until,
    UserId,
)
from tidings.mcp_server.calling import EMITS, READS, tool
from tidings.mcp_server.emitting import Emission, response
from tidings.mcp_server.emitting import emit as keep
from tidings.mcp_server.shapes import (
    EventResponse,
    EventShape,
    LatestAnswer,
    PageAnswer,
    TypesAnswer,
    WaitAnswer,
    WorkflowAnswer,
    WorkflowNodeShape,
)
from tidings.mcp_server.waiting import Waits
from tidings.workflows import workflow_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mcp.server.mcpserver.tools import Tool

    from tidings.mcp_server.making import Ground
    from tidings.store.query import Query
    from tidings.workflows import WorkflowNode

__all__ = ["tools"]

_OUTCOMES = ("", "success", "failure")
_PAYLOAD = 2000
"""How many characters of a payload are shown where nobody says."""

Pattern = Annotated[str, Field(description="Event type; a * may end it: agent.*. Left out: any")]
Prefix = Annotated[str, Field(description="Only types that begin so, such as agent.")]
AfterName = Annotated[str, Field(description="Only types after this one, by name")]


def tools(ground: Ground) -> list[Tool]:
    """The tools, on one bus."""
    own = _Tools(ground)
    return [
        tool(own.emit, "Emit an event", EMITS),
        tool(own.latest, "Get the newest event", READS),
        tool(own.history, "See what happened last", READS),
        tool(own.search_events, "Search events", READS),
        tool(own.get_workflow, "See a workflow's tree", READS),
        tool(own.wait_for_event, "Wait for an event", READS),
        tool(own.list_types, "List event types", READS),
    ]


class _Tools:
    """The tools; each method is one."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._waits = Waits(ground)

    async def emit(
        self,
        context: Context[Any, Any],
        *,
        type: EventType,
        payload: Payload = None,
        project: Project = "",
        status: Status = "",
        aggregate_type: AggregateType = "",
        aggregate_id: AggregateId = "",
        correlation_id: CorrelationId = "",
        causation_id: CausationId = "",
        user_id: UserId = "",
        source: Source = "",
        timestamp: Timestamp = "",
        expected_version: ExpectedVersion = None,
        id: EventId = "",
    ) -> EventResponse:
        """Record that something happened; it is kept for good, in order, for everyone to see.

        For agents and workflows take start_agent, start_workflow and so on, which name things so
        that get_workflow understands them. list_types says which types are known. The answer's
        position is where to go on from with wait_for_event.
        """
        links = {
            "aggregate_type": aggregate_type,
            "aggregate_id": aggregate_id,
            "correlation_id": correlation_id,
            "causation_id": causation_id,
            "user_id": user_id,
            "timestamp": timestamp,
            "id": id,
        }
        emission = Emission(type, payload or {}, project, links, status, source, expected_version)
        event = await keep(self._ground, context, emission)
        message = f"{event.type!r} is kept{_odd_status(status)}"
        return response(self._ground.bus(), event, message)

    async def latest(
        self,
        context: Context[Any, Any],
        *,
        type: Pattern = "",
        project: OfProject = "",
        payload_limit: PayloadLimit = _PAYLOAD,
        details: Details = False,
    ) -> LatestAnswer:
        """Get the newest event, of a type or a project if you name one.

        For "is it done?", "how did the last run end?". For several events take history; to be told
        of the next one, wait_for_event.
        """
        query = pages.query(types=[type] if type else None, project=project, backwards=True)
        found = await self._page(context, query, 1, payload_limit, details=details)
        if found.events:
            return LatestAnswer(found=True, event=found.events[0])
        what = f"no event of type {type!r}" if type else "no event"
        where = f" in project {project!r}" if project else ""
        if not found.complete:
            return LatestAnswer(
                found=False,
                message=f"there is {what}{where} after position {found.next_before}; to look at "
                f"what is older, call search_events with before={found.next_before}",
            )
        return LatestAnswer(
            found=False,
            message=f"there is {what}{where}; list_types says which types there are",
        )

    async def history(
        self,
        context: Context[Any, Any],
        *,
        limit: Limit = 20,
        types: Types = None,
        project: OfProject = "",
        status: OfStatus = "",
        before: Before = 0,
        payload_limit: PayloadLimit = _PAYLOAD,
        details: Details = False,
    ) -> PageAnswer:
        """See what happened last, newest first.

        For an overview; search_events has every filter and searches for text.
        """
        query = pages.query(
            types=types, project=project, status=status, before=before, backwards=True
        )
        found = await self._page(context, query, limit, payload_limit, details=details)
        return _advised(found, status)

    async def search_events(
        self,
        context: Context[Any, Any],
        *,
        types: Types = None,
        ids: Ids = None,
        project: OfProject = "",
        status: OfStatus = "",
        source: OfSource = "",
        aggregate_type: OfKind = "",
        aggregate_id: OfThing = "",
        correlation_id: OfCorrelation = "",
        causation_id: OfCausation = "",
        user_id: OfUser = "",
        since: Since = "",
        until: Until = "",
        payload: PayloadValues = None,
        contains: Contains = "",
        order: Order = "desc",
        before: Before = 0,
        after: After = 0,
        limit: Limit = 20,
        payload_limit: PayloadLimit = _PAYLOAD,
        details: Details = False,
    ) -> PageAnswer:
        """Search events; all conditions that you give must hold.

        All of an agent: aggregate_type=agent, aggregate_id. All of a workflow, its agents included:
        correlation_id. What went wrong: status=failure. One event in full: ids and a large
        payload_limit. Not complete? Call again with next_before (or next_after) as the answer says.
        """
        query = pages.query(
            types=types, ids=ids, project=project, status=status, source=source,
            aggregate_type=aggregate_type, aggregate_id=aggregate_id,
            correlation_id=correlation_id, causation_id=causation_id, user_id=user_id,
            since=since, until=until, payload=payload, contains=contains,
            before=before, after=after, backwards=order == "desc",
        )  # fmt: skip
        found = await self._page(context, query, limit, payload_limit, details=details)
        return _advised(found, status)

    async def get_workflow(
        self, context: Context[Any, Any], *, workflow_id: OwnWorkflowId, limit: Limit = 100
    ) -> WorkflowAnswer:
        """See a workflow as a tree: which agents it has, who started whom, what runs, what failed.

        Each node has its state and how long it took. For the events themselves take search_events
        with correlation_id=workflow_id.
        """
        access = admitted(self._ground, context, "read")
        store = self._ground.bus().store
        tree = await asyncio.to_thread(workflow_tree, store, workflow_id, access.narrow, limit)
        if tree is None:
            raise NotFound(
                "workflow",
                workflow_id,
                "search_events with aggregate_type=workflow and types=workflow.started lists those "
                "that there are",
            )
        return WorkflowAnswer(
            workflow_id=tree.workflow_id,
            nodes=[_node(node) for node in tree.nodes],
            truncated=tree.truncated,
        )

    async def wait_for_event(
        self,
        context: Context[Any, Any],
        *,
        types: Types = None,
        project: OfProject = "",
        status: OfStatus = "",
        aggregate_type: OfKind = "",
        aggregate_id: OfThing = "",
        correlation_id: OfCorrelation = "",
        payload: PayloadValues = None,
        contains: Contains = "",
        after: Annotated[
            int | None,
            Field(ge=0, description="Only events after this position; left out: only new ones"),
        ] = None,
        timeout_seconds: Seconds = 30.0,
        payload_limit: PayloadLimit = _PAYLOAD,
        details: Details = False,
    ) -> WaitAnswer:
        """Wait until an event comes that matches, and return it; or that none came in time.

        To miss nothing, set after to the position of your own event (from emit), or of the answer
        before: what came meanwhile is then given at once. Time up? Call again with after set to
        the answer's position. Other calls go on meanwhile.
        """
        access = admitted(self._ground, context, "read")
        query = access.narrow(
            pages.query(
                types=types, project=project, status=status, aggregate_type=aggregate_type,
                aggregate_id=aggregate_id, correlation_id=correlation_id, payload=payload,
                contains=contains,
            )
        )  # fmt: skip
        came = await self._waits.wait(
            access, query, after, timeout_seconds, context.report_progress
        )
        event = came.event
        return WaitAnswer(
            found=event is not None,
            event=None if event is None else EventShape.of(event, payload_limit, details=details),
            position=came.position,
            waited_seconds=round(came.seconds, 3),
            message=f"{came.message}{_odd_status(status)}" if event is None else None,
        )

    async def list_types(
        self,
        context: Context[Any, Any],
        *,
        prefix: Prefix = "",
        after: AfterName = "",
        limit: Limit = 200,
    ) -> TypesAnswer:
        """List the event types: those that are known, with what they say, and those that occur.

        With the whole name of a type as prefix its payload's JSON Schema comes too, if it has one.
        """
        access = admitted(self._ground, context, "read")
        # How often types occur is counted over all projects, which not everybody may see.
        counted = access.projects is None
        bus = self._ground.bus().bus
        return await asyncio.to_thread(pages.types, bus, prefix, after, limit, counted=counted)

    async def _page(
        self,
        context: Context[Any, Any],
        query: Query,
        limit: int,
        payload_limit: int,
        *,
        details: bool,
    ) -> PageAnswer:
        access = admitted(self._ground, context, "read")
        store = self._ground.bus().store
        return await asyncio.to_thread(
            pages.page, store, access.narrow(query), limit, payload_limit, details=details
        )


def _advised(found: PageAnswer, status: str) -> PageAnswer:
    """The same; where nothing matches an outcome that is none, it says so."""
    odd = _odd_status(status)
    if odd and not found.events and found.complete:
        found.message = f"nothing matches{odd}"
    return found


def _odd_status(status: str) -> str:
    """What to mind of an outcome that few events have."""
    return "" if status in _OUTCOMES else f"; outcomes are success and failure, not {status!r}"


def _node(node: WorkflowNode) -> WorkflowNodeShape:
    fields = node._asdict()
    return WorkflowNodeShape(
        **{
            **fields,
            "children": list(node.children),
            "state": node.state or None,
            "status": node.status or None,
        }
    )
