"""What there is at a glance: workflows, agents and other aggregates as lists.

Lists come from the summaries that a store keeps up with each append, so no events are read. They
go on by the position of the first event (`next`), and a list that is paged through while others
write misses nothing and repeats nothing. How things stand may change meanwhile: of those asked for
by that, each page has what stands so as it is read, and nothing comes twice.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from tidings.event_item import read_aggregate_type
from tidings.server.access import Caller, needs
from tidings.server.asking import query_of, read_moment
from tidings.server.openapi import PROBLEM
from tidings.server.paging import asked, ensure_known, limit_of, link_header, next_link, once
from tidings.server.parameters import (
    FILTER_PARAMETERS,
    STANDING_PARAMETERS,
    WINDOW_PARAMETERS,
)
from tidings.server.service import service_of
from tidings.store.base import CORRELATION
from tidings.store.query import Query
from tidings.store.standing import ANY, Standing
from tidings.timestamps import format_instant
from tidings.workflows import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.store.base import Store, Summary

__all__ = ["SummaryItem", "page_of_summaries", "router", "said"]

router = APIRouter(tags=["overviews"])

_Reader = Annotated[Caller, Depends(needs("read"))]

_DEFAULT_LIMIT = 100

_WORKFLOW = "workflow"

_STANDING = ("state", "quiet_since")

_KNOWN = (*_STANDING, "project", "status", "correlation_id", "workflow", "aggregate_id",
          "limit", "after", "before", "order")  # fmt: skip
"""The parameters that summaries know; others speak of single events."""

_SUMMARY_PARAMETERS = [
    each
    for each in (*STANDING_PARAMETERS, *FILTER_PARAMETERS, *WINDOW_PARAMETERS)
    if each["name"] in _KNOWN
]


class SummaryItem(BaseModel):
    """A workflow, an agent or another aggregate: what its events say of it."""

    id: str = Field(description="Its id")
    kind: str = Field(description="What it is: agent, workflow, …")
    project: str = Field(description="What it belongs to")
    state: str = Field(description="running, done, failed, or empty where its events do not say")
    status: str = Field(description="Its newest outcome: success, failure, or empty")
    events: int = Field(description="How many events it has had")
    successes: int = Field(description="How many of them succeeded")
    failures: int = Field(description="How many of them failed")
    started_at: str = Field(description="When its first event happened")
    last_event_at: str = Field(description="When the latest of its events happened")
    first_type: str = Field(description="The type of its first event")
    last_type: str = Field(description="The type of its newest event")
    first_position: int = Field(description="The place of its first event in the store")
    last_position: int = Field(description="The place of its newest event in the store")
    correlation_id: str | None = Field(None, description="The undertaking it belongs to")

    @classmethod
    def of(cls, summary: Summary) -> SummaryItem:
        """The item that tells of a summary."""
        return cls(**said(summary))


def said(summary: Summary) -> dict[str, Any]:
    """What a summary says, by the names it has on the wire."""
    return {
        "id": summary.id,
        "kind": summary.kind,
        "project": summary.project,
        "state": summary.state,
        "status": summary.status,
        "events": summary.version,
        "successes": summary.successes,
        "failures": summary.failures,
        "started_at": format_instant(summary.first_instant),
        "last_event_at": format_instant(summary.last_instant),
        "first_type": summary.first_type,
        "last_type": summary.last_type,
        "first_position": summary.first_position,
        "last_position": summary.last_position,
        "correlation_id": summary.correlation_id,
    }


class WorkflowsResponse(BaseModel):
    """A page of workflows."""

    workflows: list[SummaryItem] = Field(description="The workflows")
    next: str | None = Field(None, description="The link to the next page; null at the end")


class AgentsResponse(BaseModel):
    """A page of agents."""

    agents: list[SummaryItem] = Field(description="The agents")
    next: str | None = Field(None, description="The link to the next page; null at the end")


class AggregatesResponse(BaseModel):
    """A page of aggregates of one kind."""

    aggregates: list[SummaryItem] = Field(description="The aggregates")
    next: str | None = Field(None, description="The link to the next page; null at the end")


_LIST: dict[str, Any] = {
    "responses": {422: PROBLEM},
    "openapi_extra": {"parameters": _SUMMARY_PARAMETERS},
}


@router.get("/events/workflows", response_model=WorkflowsResponse, **_LIST)
@router.get("/events/workflows/", include_in_schema=False, response_model=WorkflowsResponse)
def list_workflows(request: Request, response: Response, caller: _Reader) -> dict[str, Any]:
    """The workflows, newest first, each with its state, start, last event and counts."""
    items, link = _page(request, response, caller, _WORKFLOW)
    return {"workflows": items, "next": link}


@router.get("/events/agents", response_model=AgentsResponse, **_LIST)
@router.get("/events/agents/", include_in_schema=False, response_model=AgentsResponse)
def list_agents(request: Request, response: Response, caller: _Reader) -> dict[str, Any]:
    """The agents, newest first, each with its state, start, last event and counts."""
    items, link = _page(request, response, caller, "agent")
    return {"agents": items, "next": link}


@router.get(
    "/events/aggregates/{kind:path}",
    response_model=AggregatesResponse,
    # No path holds a line break, so no route has one.
    responses={**_LIST["responses"], 404: PROBLEM},
    openapi_extra=_LIST["openapi_extra"],
)
def list_aggregates(
    request: Request,
    response: Response,
    kind: str,
    caller: _Reader,
) -> dict[str, Any]:
    """The aggregates of a kind, such as `run`; `correlation` gives correlations."""
    items, link = _page(request, response, caller, read_aggregate_type(kind))
    return {"aggregates": items, "next": link}


def _page(
    request: Request, response: Response, caller: Caller, kind: str
) -> tuple[list[SummaryItem], str | None]:
    params = asked(request)
    ensure_known(params, _KNOWN)
    query = caller.narrow(query_of(params, beside=_STANDING, backwards=True))
    standing, store = _standing_of(params), service_of(request).store
    summaries, last = page_of_summaries(store, kind, query, standing=standing)
    link = next_link(request, last, backwards=query.backwards)
    response.headers.update(link_header(link))
    summaries = whole_for(store, caller, kind, summaries)
    if kind == _WORKFLOW and standing.quiet_since is not None:
        quiet = Standing(quiet_since=standing.quiet_since)
        summaries = [each for each in summaries if _is_quiet(store, caller, each, quiet)]
    return [SummaryItem.of(summary) for summary in summaries], link


def _standing_of(params: Sequence[tuple[str, str]]) -> Standing:
    since = once(params, "quiet_since")
    # Empty counts as not given, as with `since`.
    return Standing(once(params, "state"), read_moment("quiet_since", since) if since else None)


def _is_quiet(store: Store, caller: Caller, workflow: Summary, quiet: Standing) -> bool:
    """Whether all that belongs to a workflow is quiet, as far as the caller may see that.

    A workflow itself says nothing while its agents work.
    """
    lives = store.summaries(CORRELATION, Query(aggregate_id=workflow.id, limit=1))
    if whole_for(store, caller, CORRELATION, lives) == lives:
        return all(quiet.holds(life) for life in lives)
    # Part of it is of projects that the caller may not see: the rest is looked at by itself.
    since = Query(correlation_id=workflow.id, since=quiet.quiet_since, limit=1)
    return next(store.read(caller.narrow(since)), None) is None


def whole_for(store: Store, caller: Caller, kind: str, summaries: list[Summary]) -> list[Summary]:
    """Those that tell of nothing but the caller's projects: a summary is of all its events."""
    return whole(store, caller.projects, kind, summaries)


def page_of_summaries(
    store: Store,
    kind: str,
    query: Query,
    default: int = _DEFAULT_LIMIT,
    standing: Standing = ANY,
) -> tuple[list[Summary], int | None]:
    """A page of summaries, and the position from which the next goes on; none at the end.

    Args:
        store: where they are.
        kind: of what; see `Store.summaries`.
        query: which ones, and how many.
        default: how many where the query does not say.
        standing: how they stand.
    """
    if not kind:
        return [], None  # Events about nothing have no summary.
    limit = limit_of(query, default)
    summaries = store.summaries(kind, query.replace(limit=limit + 1), standing)
    if len(summaries) <= limit:
        return summaries, None
    return summaries[:limit], summaries[limit - 1].first_position
