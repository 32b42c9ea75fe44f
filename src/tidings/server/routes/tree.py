"""What took part in a workflow: its agents, and the tree of who started whom.

Here stand their shapes on the wire; how the tree is found is said in `tidings.workflows`. No more
than `MOST` agents are looked at.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from tidings.errors import shorten
from tidings.event_item import WIRE_TYPES
from tidings.server.access import Caller, needs
from tidings.server.asking import query_of
from tidings.server.openapi import PROBLEM
from tidings.server.paging import asked, ensure_known, link_header, next_link
from tidings.server.parameters import MOST, WINDOW_PARAMETERS
from tidings.server.problems import Problem
from tidings.server.routes.overviews import SummaryItem, page_of_summaries, said, whole_for
from tidings.server.service import service_of
from tidings.workflows import beginning_of, workflow_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.base import Summary
    from tidings.workflows import Beginning

__all__ = ["router"]

router = APIRouter(tags=["workflows"])

_Reader = Annotated[Caller, Depends(needs("read"))]

_WINDOW = ("limit", "after", "before", "order")


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
        _agent(summary, workflow_id, beginning_of(store, caller.narrow, summary.id))
        for summary in summaries
    ]
    return {"agents": agents, "next": link}


def _agent(summary: Summary, workflow_id: str, beginning: Beginning) -> dict[str, Any]:
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
    duration: float | None = Field(
        None, description="Seconds from its first event to its newest, where it has ended"
    )


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
    tree = workflow_tree(service_of(request).store, workflow_id, caller.narrow, MOST)
    if tree is None:
        raise Problem(404, "no-workflow", f"no event speaks of a workflow {shorten(workflow_id)}")
    return {**tree._asdict(), "nodes": [node._asdict() for node in tree.nodes]}
