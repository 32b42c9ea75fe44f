"""Reading on from the store, for streams whose cursors lie before the ring.

Page by page, each read when a client has taken the one before: a hundred thousand events of backlog
cost a slow client's server one page. Clients that come back together after a restart ask for the
same, so what was read in the last second is shared. Reads in worker threads, not too many at once.
"""

from __future__ import annotations

import asyncio
from functools import partial
from time import monotonic
from typing import NamedTuple

from tidings.following import reading_query
from tidings.server.live.frames import frame_of
from tidings.server.live.selection import CHUNK_BYTES, CHUNK_EVENTS, Due, Joining, Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.server.live import Live
    from tidings.store.base import Reading

__all__ = ["Backlog"]

_FIRST_PAGE = 32
_MOST_SECONDS = 0.1
"""So long one read may look for events that match before it says how far it came."""

_SHARED = 48
_LARGEST_SHARED = 2 * CHUNK_BYTES
"""What is shared takes at most so much, 24 MB in all, until it is forgotten."""


class _Asked(NamedTuple):
    """What a stream asks for; arguments as for `Selection.due`."""

    selection: Selection
    cursor: int
    most: int
    last: int | None


class Backlog:
    """What streams behind the ring get.

    Args:
        live: whose store is read, in whose threads.
    """

    def __init__(self, live: Live) -> None:
        self._live = live
        self._page = _FIRST_PAGE
        self._shared: dict[_Asked, asyncio.Task[Due]] = {}

    async def due(self, selection: Selection, cursor: int, most: int, last: int | None) -> Due:
        """What is due from the store; arguments as for `Selection.due`.

        Raises:
            HistoryPruned: what comes past the cursor was pruned away.
            StoreUnavailable: the store cannot be read now.
        """
        asked = _Asked(selection, cursor, most, last)
        reading = self._shared.get(asked)
        if reading is None:
            reading = asyncio.create_task(self._live.read(self._read_on, asked))
            self._shared[asked] = reading
            reading.add_done_callback(partial(self._settle, asked))
            if len(self._shared) > _SHARED:
                del self._shared[next(iter(self._shared))]
        # One stream's end must not end what others wait for.
        return await asyncio.shield(reading)

    def forget(self) -> None:
        """Let go of what was read."""
        self._shared.clear()

    def _settle(self, asked: _Asked, reading: asyncio.Task[Due]) -> None:
        """Share only what brings a stream on, and is not too large."""
        if not reading.cancelled() and reading.exception() is None:
            due = reading.result()
            if due.position > asked.cursor and sum(map(len, due.parts)) <= _LARGEST_SHARED:
                return
        if self._shared.get(asked) is reading:
            del self._shared[asked]

    # In a worker thread ---------------------------------------------------------------------------

    def _read_on(self, asked: _Asked) -> Due:
        query = reading_query(asked.selection.query, asked.cursor)
        # Not more than a chunk takes, so that large payloads are not read to be thrown away.
        page = min(asked.most, self._page)
        before = None if asked.last is None else asked.last + 1
        joining = Joining(asked.selection.naming, asked.most)
        due = _joined(
            self._live.store.read(query.replace(limit=page, before=before)), joining, asked
        )
        if due.events:
            fitting = CHUNK_BYTES * due.events // joining.size
            self._page = max(1, min(fitting, 4 * self._page, CHUNK_EVENTS))
        return due


def _joined(reading: Reading, joining: Joining, asked: _Asked) -> Due:
    query = asked.selection.query
    until = monotonic() + _MOST_SECONDS
    position = asked.cursor
    while (page := reading.next_page()) is not None:
        for event in page.events:
            if query.contains is not None and not query.matches(event):
                continue
            if joining.add(event, frame_of(event)):
                return joining.due(event.position or 0)
        position = page.position
        if monotonic() > until:
            break
    reading.close()
    return joining.due(max(asked.cursor, position))
