"""Events as lists: of all, of an agent, of a workflow; and one event by its id.

Keeps the answers of seed 002, newest first, and works where that server does not: filters filter,
`since` compares instants, `total` is right, and nothing reads the whole store. A page goes on by
position (`next`). No answer searches for much longer than a second or holds much more than 16 MiB:
where little matches, or events are large, `complete: false` says that `next` goes on.
"""

from __future__ import annotations

from time import monotonic
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from tidings.errors import InvalidQuery, shorten
from tidings.event_item import item_json
from tidings.fields import encode_json
from tidings.searching import SEARCH_SECONDS, Found, position_of, search
from tidings.server.access import Caller, needs
from tidings.server.asking import query_of, read_whole
from tidings.server.models import EventItem, EventsResponse
from tidings.server.openapi import PROBLEM
from tidings.server.paging import (
    asked,
    ensure_known,
    limit_of,
    link_header,
    next_link,
    once,
)
from tidings.server.parameters import FILTER_PARAMETERS, WINDOW_PARAMETERS, parameter
from tidings.server.problems import Problem
from tidings.server.service import service_of
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.store.base import Count, Store

__all__ = ["router"]

router = APIRouter(tags=["events"])

_Reader = Annotated[Caller, Depends(needs("read"))]

_DEFAULT_LIMIT = 100
"""Source: seed 002."""

_LARGEST_OFFSET = 10_000
"""What an offset leaves out is read all the same; `next` has no such cost."""

_BESIDE = ("offset", "include")

_OFFSET = parameter(
    "offset",
    "Leaves out so many; to go further, follow `next`",
    {"type": "integer", "minimum": 0, "maximum": _LARGEST_OFFSET, "default": 0},
)
_INCLUDE = parameter(
    "include",
    "`agents` adds the events of the workflow's agents",
    {"type": "string", "enum": ["agents"]},
)
_PARAMETERS = [*FILTER_PARAMETERS, *WINDOW_PARAMETERS, _OFFSET]
_ABOUT_ONE = [each for each in _PARAMETERS if not each["name"].startswith("aggregate_")]
_REFUSALS: dict[int | str, dict[str, Any]] = {410: PROBLEM, 422: PROBLEM}


@router.get(
    "/events/",
    response_model=EventsResponse,
    responses=_REFUSALS,
    openapi_extra={"parameters": _PARAMETERS},
)
@router.get("/events", include_in_schema=False)
def list_events(request: Request, caller: _Reader) -> Response:
    """The events that match, newest first."""
    return _answer(request, caller, [_query(asked(request), ("offset",))])


@router.get(
    "/events/agents/{agent_id:path}",
    response_model=EventsResponse,
    responses=_REFUSALS,
    openapi_extra={"parameters": _ABOUT_ONE},
)
def list_events_of_agent(request: Request, agent_id: str, caller: _Reader) -> Response:
    """The events of an agent, newest first."""
    own = (("aggregate_type", "agent"), ("aggregate_id", agent_id))
    return _answer(request, caller, [_query([*asked(request), *own], ("offset",))])


@router.get(
    "/events/workflows/{workflow_id:path}",
    response_model=EventsResponse,
    responses=_REFUSALS,
    openapi_extra={"parameters": [*_ABOUT_ONE, _INCLUDE]},
)
def list_events_of_workflow(request: Request, workflow_id: str, caller: _Reader) -> Response:
    """The workflow's own events, newest first; with `include=agents` those of its agents too."""
    params = asked(request)
    own = (("aggregate_type", "workflow"), ("aggregate_id", workflow_id))
    queries = [_query([*params, *own])]
    include = once(params, "include")
    if include not in (None, "agents"):
        raise InvalidQuery(f"include {shorten(include)} must be agents")
    if include:
        of_agents = (("aggregate_type", "agent"), ("correlation_id", workflow_id))
        queries.append(_query([*params, *of_agents]))
    return _answer(request, caller, queries)


@router.get(
    "/events/by-id/{event_id:path}",
    response_model=EventItem,
    responses={404: PROBLEM, 422: PROBLEM},
    openapi_extra={
        "parameters": [
            parameter("source", "Where it came from: ids are unique per source", {"type": "string"})
        ]
    },
)
def get_event(request: Request, event_id: str, caller: _Reader) -> Response:
    """The event with this id; the newest, where several sources gave the same."""
    params = asked(request)
    ensure_known(params, ("source",))
    query = Query(ids=event_id, source=once(params, "source"), backwards=True, limit=1)
    service = service_of(request)
    event = next(service.store.read(caller.narrow(query)), None)
    if event is None:
        raise Problem(404, "no-event", f"there is no event with the id {shorten(event_id)}")
    service.metrics.read(1)
    return Response(item_json(event), media_type="application/json")


# How a list is found --------------------------------------------------------------------------


def _query(params: Sequence[tuple[str, str]], beside: Sequence[str] = _BESIDE) -> Query:
    query = query_of(params, beside=beside, backwards=True)
    if query.contains is not None and not query.backwards:
        raise InvalidQuery("order asc does not go with contains, which looks at the newest first")
    return query


def _answer(request: Request, caller: Caller, queries: list[Query]) -> Response:
    """A page of what matches any of some queries, of which no event may match two."""
    queries = [caller.narrow(query) for query in queries]
    window = queries[0]
    limit, offset = limit_of(window, _DEFAULT_LIMIT), _offset(asked(request))
    service = service_of(request)
    # One more than is shown says whether there is a next page.
    until = monotonic() + SEARCH_SECONDS
    searched = [search(service.store, query, offset + limit + 1, until) for query in queries]
    found = _merged(searched, backwards=window.backwards)
    shown = found.events[offset : offset + limit]
    full = len(found.events) > offset + limit
    last = position_of(shown[-1]) if full else found.stopped
    left = max(0, offset - len(found.events))
    link = next_link(request, last, backwards=window.backwards, offset=left)
    whole = link is None and window.after == 0 and window.before is None
    total, exact = (len(found.events), True) if whole else _count(service.store, queries)
    service.metrics.read(len(shown))
    rest = {
        "total": total if exact else None,
        "limit": limit,
        "offset": offset,
        "next": link,
        "complete": full or found.stopped is None,
        "exact": exact,
        "at_least": max(total, len(found.events)),
    }
    items = b",".join(map(item_json, shown))
    body = b'{"events":[%b],%b' % (items, encode_json(rest)[1:].encode())
    return Response(body, headers=link_header(link), media_type="application/json")


def _offset(params: Sequence[tuple[str, str]]) -> int:
    given = once(params, "offset")
    if given is None:
        return 0
    offset = read_whole("offset", given)
    if offset > _LARGEST_OFFSET:
        raise InvalidQuery(
            f"offset {offset} must be at most {_LARGEST_OFFSET}; follow `next` of the page before, "
            f"which goes on from a position (before=…) at no cost"
        )
    return offset


def _merged(found: Sequence[Found], *, backwards: bool) -> Found:
    """What several searches gave, in order, as far as all of them looked."""
    if len(found) == 1:
        return found[0]
    events = [event for each in found for event in each.events]
    events.sort(key=position_of, reverse=backwards)
    stops = [each.stopped for each in found if each.stopped is not None]
    if not stops:
        return Found(events, None)
    if backwards:
        stopped = max(stops)
        return Found([event for event in events if position_of(event) >= stopped], stopped)
    stopped = min(stops)
    return Found([event for event in events if position_of(event) <= stopped], stopped)


def _count(store: Store, queries: Sequence[Query]) -> Count | tuple[int, bool]:
    """How many events match in all, and whether that is exact; what page is shown counts not."""
    if any(query.contains is not None for query in queries):
        return 0, False  # It would search a second time.
    wholes = [query.replace(after=0, before=None, limit=None) for query in queries]
    counts = [store.count(query) for query in wholes]
    return sum(count.value for count in counts), all(count.exact for count in counts)
