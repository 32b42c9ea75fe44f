"""What a client asks of the stream: which events, from where on, and in which form.

Keeps promise 5: a cursor or parameter that makes no sense is refused by name before the stream
begins. What the filters mean is said in `tidings.server.asking`.
"""

from __future__ import annotations

from typing import NamedTuple

from tidings.bus import followed
from tidings.errors import InvalidQuery, shorten
from tidings.server.asking import query_of, read_whole
from tidings.server.live.frames import NAMINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.server.calls import Call
    from tidings.store.query import Query

__all__ = ["Wanted", "wanted_of"]

_CURSORS = ("last_event_id", "after")
"""Parameters that say from where on; the first that is given counts, after the header."""


class Wanted(NamedTuple):
    """What a client asks of the stream.

    Attributes:
        query: which events, its window aside.
        naming: what the `event` field says; see `frames.NAMINGS`.
        after: the position to go on from; none for new events only.
        limit: so many events, then the stream ends; none for no end.
        before: the stream ends ahead of this position; none for no end.
        until_head: whether it ends at the head as it is now.
    """

    query: Query
    naming: str
    after: int | None
    limit: int | None
    before: int | None
    until_head: bool


def wanted_of(call: Call) -> Wanted:
    """Read what a call asks for.

    Raises:
        InvalidQuery: a parameter or the header `Last-Event-ID` makes no sense.
        Problem: the caller's key is not for these events.
    """
    params = call.params
    until_head = ("until", "head") in params
    params = [pair for pair in params if pair != ("until", "head")]
    asked = query_of(params, beside=("event", "last_event_id"))
    if asked.backwards:
        raise InvalidQuery("order 'desc' makes no sense here: a stream comes oldest first")
    window = {"after": 0, "before": None, "limit": None}
    return Wanted(
        query=followed(call.caller.narrow(asked.replace(**window))),
        naming=_naming(params),
        after=_cursor(call.header("last-event-id"), params),
        limit=asked.limit,
        before=asked.before,
        until_head=until_head,
    )


def _cursor(header: str | None, params: Sequence[tuple[str, str]]) -> int | None:
    """The position to go on from. The header wins: a browser keeps the URL when it comes back."""
    if header:
        return read_whole("Last-Event-ID", header)
    for cursor in _CURSORS:
        for name, value in params:
            if name == cursor:
                return read_whole(name, value)
    return None


def _naming(params: Sequence[tuple[str, str]]) -> str:
    given = [value for name, value in params if name == "event"]
    for value in given:
        if value not in NAMINGS:
            raise InvalidQuery(f"event {shorten(value)} must be {', '.join(NAMINGS)}")
    return given[-1] if given else NAMINGS[0]
