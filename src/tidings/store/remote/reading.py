"""How events are read from a server: page by page, each page a request of its own.

Keeps promise 2 and constant memory on both sides: a server holds nothing between two pages, so a
reading goes on when the server was started anew in between.
"""

from __future__ import annotations

from time import monotonic, sleep
from typing import NamedTuple

from tidings.errors import NotAllowed, StoreUnavailable
from tidings.store.base import SCAN_LIMIT, Page, Reading, Summary
from tidings.store.wire import event_of_row, query_data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from tidings.event import Event
    from tidings.store.query import Query
    from tidings.store.standing import Standing

__all__ = ["read", "summaries"]

_OUTAGE = 15.0
"""How long a reading under way waits for its server, which may be starting anew (seconds)."""

_PAUSE = 0.2


class _Answer(NamedTuple):
    """A page as the server gave it; `ended` where nothing follows, `start` is where it began."""

    events: list[Event]
    start: int
    position: int
    complete: bool
    ended: bool


def read(ask: Callable[..., Any], query: Query, *, patient: bool) -> Reading:
    """Read events; the first page is asked for at once. See `Store.read`.

    Args:
        ask: asks the server.
        query: which events.
        patient: whether the first page waits for the server as the later ones do.
    """
    first = (_page_in_time if patient else _page)(ask, query)
    return Reading(_pages(ask, query, first), first.start)


def summaries(
    ask: Callable[..., Any], kind: str, query: Query, standing: Standing
) -> list[Summary]:
    """Summaries, page by page until there are as many as were asked for."""

    def told(answer: Any) -> tuple[list[Summary], bool]:
        return [Summary(*row) for row in answer["summaries"]], bool(answer["ended"])

    stands = {"state": standing.state, "quiet_since": standing.quiet_since}
    # What is not given is left out: older servers know neither.
    wanted = {name: value for name, value in stands.items() if value is not None}
    found: list[Summary] = []
    ended = False
    while not ended:
        asked = {"kind": kind, "query": query_data(query), **wanted}
        page, ended = ask(told, "POST", "/log/summaries", asked)
        found += page
        if page:
            query = _going_on(query, page[-1].first_position, len(page), backwards=query.backwards)
    return found


def _pages(ask: Callable[..., Any], query: Query, answer: _Answer) -> Iterator[Page]:
    start = answer.start
    backwards = query.backwards or query.contains is not None
    while True:
        # However often the server stops for breath, a search looks at no more than its bound.
        searched = query.contains is not None and start - answer.position >= SCAN_LIMIT
        stops = searched and not answer.ended
        yield Page(answer.events, answer.position, answer.complete and not stops)
        if answer.ended or not answer.complete or stops:
            return
        query = _going_on(query, answer.position, len(answer.events), backwards=backwards)
        answer = _page_in_time(ask, query)


def _going_on(query: Query, position: int, given: int, *, backwards: bool) -> Query:
    """The query for what follows a page that ended at a position."""
    limit = None if query.limit is None else query.limit - given
    if backwards:
        return query.replace(limit=limit, before=position)
    return query.replace(limit=limit, after=position)


def _page_in_time(ask: Callable[..., Any], query: Query) -> _Answer:
    """A page of a server that was there just now and may be away for a moment."""
    end = monotonic() + _OUTAGE
    while True:
        try:
            return _page(ask, query)
        except StoreUnavailable as error:
            if isinstance(error, NotAllowed) or monotonic() > end:
                raise
        sleep(_PAUSE)


def _page(ask: Callable[..., Any], query: Query) -> _Answer:
    def told(answer: Any) -> _Answer:
        return _Answer(
            [event_of_row(row) for row in answer["events"]],
            int(answer["start"]),
            int(answer["position"]),
            bool(answer["complete"]),
            bool(answer["ended"]),
        )

    answer: _Answer = ask(told, "POST", "/log/read", {"query": query_data(query)})
    return answer
