"""Following: past events, then each new one as soon as it is kept.

Keeps promise 2 for those who follow: they go on from a position, so nothing is missed or repeated.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.event import Event
    from tidings.store.base import Store
    from tidings.store.query import Query

__all__ = ["follow", "has_ended", "reading_query"]


def follow(store: Store, query: Query, after: int, timeout: float | None) -> Iterator[Event]:
    """Give the events past a position, then each new one.

    Args:
        store: where they are.
        query: which ones; with `before` it ends at that position.
        after: a position.
        timeout: ends when none came for so long (seconds); none goes on for good.

    Raises:
        StoreClosed, HistoryPruned: as for `Store.read`.
    """
    seen = 0
    last = time.monotonic()
    while query.limit is None or seen < query.limit:
        reading = store.read(reading_query(query, after))
        for event in reading:
            after = reading.position
            if query.contains is None or query.matches(event):
                seen += 1
                yield event
                last = time.monotonic()
                if seen == query.limit:
                    return
        after = reading.position
        left = None if timeout is None else timeout - (time.monotonic() - last)
        if has_ended(query, after, left) or store.wait(after, left) <= after:
            return


def has_ended(query: Query, after: int, left: float | None) -> bool:
    """Whether a follower that has read so far has no time (seconds) or no positions left.

    Looking at the time here, too, ends it beside writers whose events it does not want, however
    many they are.
    """
    return (left is not None and left <= 0) or (
        query.before is not None and after >= query.before - 1
    )


def reading_query(query: Query, after: int) -> Query:
    """What a follower reads next: oldest first, so a search for text is left to `matches`."""
    return query.replace(after=after, limit=None, backwards=False, contains=None)
