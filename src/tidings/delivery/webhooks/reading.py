"""Reading what is to be sent from the store: a few events at a time, for one endpoint.

For endpoints that are behind the feed, for lanes that go on, and for what is tried again. Keeps its
part of promise 2: a reading says up to where it has looked, and the next one goes on from there.
All of it asks the store, so it is called in a thread.
"""

from __future__ import annotations

from typing import NamedTuple

from tidings.following import reading_query
from tidings.record import PAYLOAD
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.event import Event
    from tidings.store.base import Store

__all__ = ["Read", "event_at", "read_lane", "read_on", "size_of"]

_AHEAD = 50
"""So many events of a lane are read at once."""

_MOST_CHARACTERS = 1 << 20
"""Events are read until their payloads are as long as this: thousands may be behind."""


class Read(NamedTuple):
    """Events that were read, in order; up to where was looked; and whether that was all."""

    events: list[Event]
    position: int
    all: bool


def read_on(store: Store, query: Query, after: int, before: int, wanted: int) -> Read:
    """Read what an endpoint wants between two positions.

    Args:
        store: where.
        query: what it wants.
        after: past this position.
        before: ahead of this position.
        wanted: at most so many.

    Raises:
        HistoryPruned: not all of it is left.
    """
    reading = store.read(reading_query(query.replace(before=before), after))
    events = []
    left = _MOST_CHARACTERS
    for event in filter(query.matches, reading):
        events.append(event)
        left -= size_of(event)
        if len(events) == wanted or left <= 0:
            return Read(events, event.position or 0, all=False)
    return Read(events, max(reading.position, before - 1), all=True)


def read_lane(store: Store, query: Query, about: tuple[str, str], after: int, through: int) -> Read:
    """Read what an endpoint wants about an aggregate (type and id) in `after < … <= through`."""
    kind, id = about
    lane = query.replace(aggregate_type=kind, aggregate_id=id)
    after = max(after, store.first() - 1)
    read = read_on(store, lane, after, through + 1, _AHEAD)
    # Since its filters were changed, it may want none about this aggregate: all match, or none.
    events = [one for one in read.events if query.matches(one)]
    return Read(events, read.position, all=read.all or not events)


def size_of(event: Event) -> int:
    """How much of the memory an event takes is its payload's (characters)."""
    return len(event.record[PAYLOAD] or "")


def event_at(store: Store, position: int) -> Event | None:
    """The event at a position, as it is kept now.

    Raises:
        HistoryPruned: it was pruned.
    """
    query = Query(after=position - 1, before=position + 1, limit=1)
    return next(store.read(query), None)
