"""Pages of events and of types, as tools show them: bounded in size, with where to go on.

Everything here reads the store, and so blocks; tools call it in a thread.
"""

from __future__ import annotations

from time import monotonic

from tidings.errors import InvalidQuery
from tidings.event_item import read_aggregate_type
from tidings.mcp_server.shapes import EventShape, PageAnswer, TypesAnswer, TypeShape
from tidings.record import PAYLOAD
from tidings.searching import SEARCH_SECONDS, position_of, search
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.bus import Bus
    from tidings.event import Event
    from tidings.store.base import Store, TypeCount

__all__ = ["page", "query", "types"]

_MOST_CHARACTERS = 60_000
"""How much one page holds, about: clients cut answers that are much longer."""

_OF_ONE_EVENT = 500
"""What an event takes beside its payload, about (characters)."""


def query(*, backwards: bool = False, **conditions: Any) -> Query:
    """The query that arguments ask for; an empty one was left out.

    Raises:
        InvalidQuery: they make no sense.

    >>> query(project="", types=["job.*"], before=0, backwards=True)
    Query(types=('job.*',), backwards=True)
    """
    given = {name: value for name, value in conditions.items() if value not in ("", None, 0, [])}
    if "aggregate_type" in given:
        given["aggregate_type"] = read_aggregate_type(given["aggregate_type"])
    if "contains" in given and not backwards and "after" in given:
        raise InvalidQuery(
            "order 'asc' does not go with contains, which looks at the newest first; leave it out"
        )
    return Query(backwards=backwards, **given)


def page(
    store: Store, query: Query, limit: int, payload_limit: int, *, details: bool
) -> PageAnswer:
    """The events that match, as many as an answer may hold.

    Args:
        store: where they are.
        query: which ones, narrowed to what the client may see.
        limit: at most so many.
        payload_limit: how many characters of each payload.
        details: as for `EventShape.of`.
    """
    # One more than is shown says whether there is more.
    found = search(store, query, limit + 1, monotonic() + SEARCH_SECONDS)
    shown = _fitting(found.events[:limit], payload_limit)
    full = len(found.events) > len(shown)
    last = position_of(shown[-1]) if full else found.stopped
    return PageAnswer(
        events=[EventShape.of(event, payload_limit, details=details) for event in shown],
        complete=last is None,
        next_before=last if query.backwards else None,
        next_after=None if query.backwards else last,
        message=None if last is None or full else _STOPPED,
    )


_STOPPED = "the search took long and stopped; there may be more matches, so go on as said"


def _fitting(events: list[Event], payload_limit: int) -> list[Event]:
    """The first events that fit into one answer; the first one always does."""
    taken = 0
    for index, event in enumerate(events):
        taken += min(len(event.record[PAYLOAD] or ""), payload_limit) + _OF_ONE_EVENT
        if taken > _MOST_CHARACTERS and index:
            return events[:index]
    return events


def types(bus: Bus, prefix: str, after: str, limit: int, *, counted: bool) -> TypesAnswer:
    """The types that are known and those that occur, by name.

    Args:
        bus: whose catalog and store they are in.
        prefix: what their names begin with; the type of that very name is told with its schema.
        after: only names past this one.
        limit: at most so many.
        counted: whether to say how often each occurs; else only what is known is listed.
    """
    counts = {each.type: each for each in bus.store.types()} if counted else {}
    names = sorted(
        name for name in {*bus.catalog.names(), *counts} if name.startswith(prefix) and name > after
    )
    shown = [
        _type(bus, name, counts.get(name), counted=counted, schema=name == prefix)
        for name in names[:limit]
    ]
    more = len(names) > limit
    return TypesAnswer(types=shown, next_after=shown[-1].type if more else None)


def _type(
    bus: Bus, name: str, occurs: TypeCount | None, *, counted: bool, schema: bool
) -> TypeShape:
    info = bus.catalog.info(name)
    return TypeShape(
        type=name,
        description=info.get("description") or None,
        payload_keys=info.get("payload_keys") or None,
        aggregate_type=info.get("aggregate_type"),
        payload_schema=info.get("schema") if schema else None,
        count=None if not counted else 0 if occurs is None else occurs.count,
        last_position=None if occurs is None else occurs.last_position,
    )
