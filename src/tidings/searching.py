"""Searching for a page's events: as many as are wanted, in bounded time and memory.

Where little matches, or events are large, a search ends early and says from where to go on; it
never says that there is nothing where it has not looked. What a page looks like is the business of
whoever shows it: the HTTP server and the MCP server do.
"""

from __future__ import annotations

from time import monotonic
from typing import NamedTuple

from tidings.record import CONTEXT, EXTENSIONS, PAYLOAD, POSITION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.event import Event
    from tidings.store.base import Store
    from tidings.store.query import Query

__all__ = ["SEARCH_CHARACTERS", "SEARCH_SECONDS", "Found", "position_of", "search"]

SEARCH_SECONDS = 1.0
"""How long one answer searches, about."""

SEARCH_CHARACTERS = 16 * 1024 * 1024
"""How much one answer holds, about: a thousand events may take a gigabyte."""


class Found(NamedTuple):
    """What a search gave.

    Attributes:
        events: in the query's order.
        stopped: the position up to which it looked where it ended early; none where it saw all.
    """

    events: list[Event]
    stopped: int | None


def search(store: Store, query: Query, wanted: int, until: float) -> Found:
    """The first events that match, as many as are wanted, come in time and are not too large.

    Args:
        store: where they are; reading it blocks.
        query: which ones; its own limit does not count.
        wanted: at most so many.
        until: the moment to stop (`time.monotonic`), as soon as a page was looked at.

    Raises:
        TidingsError: the store cannot be read.
    """
    reading = store.read(query.replace(limit=wanted))
    events: list[Event] = []
    characters = 0
    while (page := reading.next_page()) is not None:
        position = reading.position
        for event in page.events:
            events.append(event)
            characters += _size(event)
            if characters > SEARCH_CHARACTERS:
                position = position_of(event)
                break
        bound = characters > SEARCH_CHARACTERS or monotonic() > until
        if bound and len(events) < wanted and not _at_end(store, query, position):
            reading.close()
            return Found(events, position)
    return Found(events, None if reading.complete else reading.position)


def position_of(event: Event) -> int:
    """The place of an event that was read."""
    return event.record[POSITION]  # type: ignore[no-any-return]  # records hold many types


def _size(event: Event) -> int:
    """How long an event's JSON is, about (characters)."""
    return sum(len(event.record[index] or "") for index in (PAYLOAD, CONTEXT, EXTENSIONS))


def _at_end(store: Store, query: Query, position: int) -> bool:
    """Whether nothing is left to look at past a position."""
    if query.backwards:
        return position <= query.after
    last = store.head()
    return position >= (last if query.before is None else min(last, query.before - 1))
