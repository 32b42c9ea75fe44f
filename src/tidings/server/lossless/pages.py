"""A bounded page of a reading, and where it ends: what a client asks for again and again.

Keeps constant memory on the server, and promise 2: a page begins where the one before ended, and
the server holds nothing in between.
"""

from __future__ import annotations

from time import monotonic

from tidings.fields import encode_json
from tidings.store.wire import event_row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.base import Store
    from tidings.store.query import Query

__all__ = ["PAGE_EVENTS", "page_of"]

PAGE_EVENTS = 1000
_PAGE_BYTES = 2 * 1024 * 1024
_PAGE_SECONDS = 2.0
"""When a page ends: after so many events, so many bytes, or so long a search for few events."""


def page_of(store: Store, query: Query) -> tuple[int, bytes]:
    """The first events that match, as many as a page holds, and where they end.

    Args:
        store: what is read.
        query: which events.

    Returns:
        How many there are, and the page as JSON text.

    Raises:
        HistoryPruned: as `Store.read`.
    """
    most = PAGE_EVENTS if query.limit is None else min(query.limit, PAGE_EVENTS)
    reading = store.read(query.replace(limit=most))
    rows: list[bytes] = []
    start, size = reading.position, 0
    end = monotonic() + _PAGE_SECONDS
    position, complete, ended = start, True, False
    while size < _PAGE_BYTES and monotonic() < end:
        found = reading.next_page()
        if found is None:
            ended = len(rows) < PAGE_EVENTS or query.limit == PAGE_EVENTS
            position, complete = reading.position, reading.complete
            break
        for event in found.events:
            rows.append(encode_json(event_row(event)).encode())
            size += len(rows[-1])
            if size >= _PAGE_BYTES:
                position = event.position or position
                break
        else:
            position, complete = found.position, found.complete
    head = {"start": start, "position": position, "complete": complete, "ended": ended}
    reading.close()
    return len(rows), b'%s,"events":[%s]}' % (encode_json(head).encode()[:-1], b",".join(rows))
