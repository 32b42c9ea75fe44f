"""What took part in a workflow: its agents, and the tree of who started whom.

The tree holds the workflow and its agents. An agent's parent is what its first event names as its
cause: an aggregate's id (a parent agent, or the workflow), or an earlier event's id, and then
whatever that event is about. Found by indexes; no more than `MOST` agents are looked at.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from tidings.errors import shorten
from tidings.record import AGGREGATE_ID, AGGREGATE_TYPE
from tidings.server.access import Caller, needs
from tidings.server.asking import query_of
from tidings.server.openapi import PROBLEM
from tidings.server.paging import asked, ensure_known, link_header, next_link
from tidings.server.parameters import MOST, WINDOW_PARAMETERS
from tidings.server.problems import Problem
from tidings.server.routes.overviews import SummaryItem, page_of_summaries, said, whole_for
from tidings.server.service import service_of
from tidings.server.wire import WIRE_TYPES
from tidings.store.base import CORRELATION
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidings.event import Event
    from tidings.store.base import Store, Summary

__all__ = ["router"]

router = APIRouter(tags=["workflows"])

_Reader = Annotated[Caller, Depends(needs("read"))]

_WINDOW = ("limit", "after", "before", "order")
_IDS_AT_ONCE = 32
"""So many ids are looked up by their index in one read; see `store.sqlite.planning`."""


# Agents ---------------------------------------------------------------------------------------


class WorkflowAgent(SummaryItem):
    """An agent of a workflow."""

    agent_id: str = Field(description="Its id")
    agent_name: str = Field(description="Its name, as its first event says, else from its id")
    workflow_id: str = Field(description="The workflow")
    first_event_time: str = Field(description="When its first event happened")
    event_type: str = Field(description="AgentEvent")
    parent_agent_id: str | None = Field(None, description="What its first event names as its cause")


class WorkflowAgentsResponse(BaseModel):
    """The agents of a workflow."""

    agents: list[WorkflowAgent] = Field(description="The agents, the first to start first")
    next: str | None = Field(None, description="The link to the next page; null at the end")


@router.get(
    "/events/workflows/{workflow_id:path}/agents",
    response_model=WorkflowAgentsResponse,
    responses={422: PROBLEM},
    openapi_extra={"parameters": WINDOW_PARAMETERS},
)
def list_agents_of_workflow(
    request: Request,
    response: Response,
    workflow_id: str,
    caller: _Reader,
) -> dict[str, Any]:
    """The agents that took part in a workflow, the first to start first."""
    params = asked(request)
    ensure_known(params, _WINDOW)
    query = caller.narrow(query_of([*params, ("correlation_id", workflow_id)]))
    store = service_of(request).store
    summaries, last = page_of_summaries(store, "agent", query, MOST)
    link = next_link(request, last, backwards=query.backwards)
    response.headers.update(link_header(link))
    summaries = whole_for(store, caller, "agent", summaries)
    agents = [
        _agent(summary, workflow_id, _beginning(store, caller, summary.id)) for summary in summaries
    ]
    return {"agents": agents, "next": link}


def _agent(summary: Summary, workflow_id: str, beginning: _Beginning) -> dict[str, Any]:
    item = said(summary)
    return {
        **item,
        "agent_id": summary.id,
        "agent_name": beginning.name,
        "workflow_id": workflow_id,
        "first_event_time": item["started_at"],
        "event_type": WIRE_TYPES["agent"],
        "parent_agent_id": beginning.cause,
    }


class _Beginning(NamedTuple):
    """What an agent's first event says of it: its name, and what caused it."""

    name: str
    cause: str | None


def _beginning(store: Store, caller: Caller, agent_id: str) -> _Beginning:
    """What the first event says that is left and that the caller may see."""
    query = Query(aggregate_type="agent", aggregate_id=agent_id, limit=1)
    first = next(store.read(caller.narrow(query)), None)
    return _Beginning(_name(agent_id, first), None if first is None else first.causation_id)


def _name(agent_id: str, first: Event | None) -> str:
    """An agent's name: as it says itself, else the first word of its id, as seed 002 has it."""
    payload = None if first is None else first.payload
    given = payload.get("agent_name") if isinstance(payload, dict) else None
    if isinstance(given, str) and given:
        return given
    return agent_id.split("-", maxsplit=1)[0] if "-" in agent_id else "unknown"


# The tree -------------------------------------------------------------------------------------


class TreeNode(BaseModel):
    """A workflow or an agent in the tree."""

    id: str = Field(description="The agent, or the workflow")
    kind: str = Field(description="agent or workflow")
    name: str = Field(description="The agent's name; the workflow's id")
    parent_id: str | None = Field(None, description="The node above it; null at the root")
    caused_by: str | None = Field(None, description="What its first event names as its cause")
    depth: int = Field(description="How many nodes stand above it")
    children: list[str] = Field(description="The agents it started")
    state: str = Field(description="running, done, failed, or empty where its events do not say")
    status: str = Field(description="Its newest outcome: success, failure, or empty")
    events: int = Field(description="How many events it has had")
    started_at: str | None = Field(None, description="When its first event happened")
    last_event_at: str | None = Field(None, description="When its newest event happened")


class TreeResponse(BaseModel):
    """Who started whom in a workflow."""

    workflow_id: str = Field(description="The workflow")
    nodes: list[TreeNode] = Field(
        description="The workflow, then each node before its children, the first to start first"
    )
    truncated: bool = Field(description="Whether there are more agents than are shown")


@router.get(
    "/events/workflows/{workflow_id:path}/tree",
    response_model=TreeResponse,
    responses={404: PROBLEM, 422: PROBLEM},
)
def get_tree(request: Request, workflow_id: str, caller: _Reader) -> dict[str, Any]:
    """The tree of a workflow: who started whom.

    An agent whose cause is not known, or leads back to itself, stands right below the workflow.
    """
    ensure_known(asked(request), ())
    store = service_of(request).store
    query = caller.narrow(Query(correlation_id=workflow_id))
    agents, more = page_of_summaries(store, "agent", query, MOST)
    agents = whole_for(store, caller, "agent", agents)
    root = _root(store, caller, workflow_id)
    if root is None and not agents:
        raise Problem(404, "no-workflow", f"no event speaks of a workflow {shorten(workflow_id)}")
    beginnings = {agent.id: _beginning(store, caller, agent.id) for agent in agents}
    parents = _parents(store, caller, workflow_id, beginnings)
    nodes = [_node(agent, beginnings[agent.id], parents[agent.id]) for agent in agents]
    top = _top(workflow_id, root)
    return {
        "workflow_id": workflow_id,
        "nodes": list(_in_depth([top, *nodes])),
        "truncated": more is not None,
    }


def _root(store: Store, caller: Caller, workflow_id: str) -> Summary | None:
    """The summary of the workflow, or of what has its id as correlation id."""
    query = caller.narrow(Query(aggregate_id=workflow_id, limit=1))
    for kind in ("workflow", CORRELATION):
        found = whole_for(store, caller, kind, store.summaries(kind, query))
        if found:
            break
    return found[0] if found else None


def _parents(
    store: Store, caller: Caller, workflow_id: str, agents: dict[str, _Beginning]
) -> dict[str, str]:
    """For each agent the node above it, of which there is always one and never a circle."""
    causes = {agent: beginning.cause or "" for agent, beginning in agents.items()}
    events = {cause for cause in causes.values() if cause and cause not in agents}
    about = _what_about(store, caller, events - {workflow_id})
    parents = {}
    for agent, cause in causes.items():
        parent = cause if cause in agents else about.get(cause)
        parents[agent] = parent if parent in agents and parent != agent else workflow_id
    return _without_circles(parents, workflow_id)


def _what_about(store: Store, caller: Caller, ids: Iterable[str]) -> dict[str, str]:
    """The agents that events are about, by the events' ids; of others, nothing."""
    wanted = sorted(ids)
    about = {}
    for start in range(0, len(wanted), _IDS_AT_ONCE):
        some = wanted[start : start + _IDS_AT_ONCE]
        for event in store.read(caller.narrow(Query(ids=some))):
            if event.record[AGGREGATE_TYPE] == "agent":
                about[event.id] = event.record[AGGREGATE_ID]
    return about


def _without_circles(parents: dict[str, str], top: str) -> dict[str, str]:
    """The same, but who would stand below themselves stands below the top."""
    sound = {top}
    for agent in parents:
        path: list[str] = []
        seen = set()
        at = agent
        while at not in sound:
            if at in seen:
                parents[at] = top
                break
            seen.add(at)
            path.append(at)
            at = parents[at]
        sound.update(path)
    return parents


def _top(workflow_id: str, summary: Summary | None) -> dict[str, Any]:
    known = {} if summary is None else said(summary)
    return {
        "state": "",
        "status": "",
        "events": 0,
        **known,
        "id": workflow_id,
        "kind": "workflow",
        "name": workflow_id,
        "parent_id": None,
    }


def _node(summary: Summary, beginning: _Beginning, parent: str) -> dict[str, Any]:
    return {
        **said(summary),
        "name": beginning.name,
        "parent_id": parent,
        "caused_by": beginning.cause,
    }


def _in_depth(nodes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each node before its children, with its depth and their ids; the first is the top.

    A tree may be as deep as it has agents, so no function calls itself here.
    """
    children: dict[str, list[dict[str, Any]]] = {}
    for node in nodes[1:]:
        children.setdefault(node["parent_id"], []).append(node)
    left = [(nodes[0], 0)]
    while left:
        node, depth = left.pop()
        # An agent may have the workflow's id; it then has no children of its own.
        below = children.pop(node["id"], [])
        yield {**node, "depth": depth, "children": [child["id"] for child in below]}
        left += [(child, depth + 1) for child in reversed(below)]
