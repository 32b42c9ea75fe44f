"""How events are read back: page by page, each page its own short look at the file.

Keeps promise 2 (a reader misses nothing and repeats nothing) and constant memory. No page holds a
snapshot open while its reader thinks, because an old snapshot keeps the WAL from being emptied.
"""

from __future__ import annotations

from operator import itemgetter

from tidings.errors import HistoryPruned
from tidings.event import Event
from tidings.record import PAYLOAD, POSITION, TYPE
from tidings.store.base import SCAN_LIMIT, Page
from tidings.store.sqlite.bookkeeping import agreed_numbers, damaged, kept_types
from tidings.store.sqlite.planning import plan
from tidings.store.sqlite.soundness import (
    ensure_asked_for,
    ensure_in_order,
    ensure_sound,
    ensure_there,
    ensure_whole,
)
from tidings.store.sqlite.statements import SQL

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from tidings.record import Record
    from tidings.store.query import Query
    from tidings.store.sqlite.bookkeeping import Numbers
    from tidings.store.sqlite.connections import Connections
    from tidings.store.sqlite.planning import Condition, Plan

__all__ = ["latest", "pages", "time_bounds", "type_names"]

_FIRST_PAGE = 64
_LARGEST_PAGE = 2048
_PAGE_CHARACTERS = 4 * 1024 * 1024
"""What the payloads of a page may take together, about; pages grow and shrink to it."""

_LARGEST_WINDOW = 8192
"""How many events are looked at in one statement, at most, where an index alone does not do."""

_NO_END = 2**63 - 1

_FEW = 50_000
"""So many entries of the index by time are looked through without a thought."""


def pages(connections: Connections, query: Query, *, look_at: int | None = None) -> Iterator[Page]:
    """The pages of a read, until the head, the limit or the bound of a search is reached.

    Args:
        connections: the store's connections.
        query: what is wanted.
        look_at: how many events to look at, at most; none for the bound of `contains`, if given.
    """
    if query.contains is not None:
        query, look_at = query.replace(backwards=True), look_at or SCAN_LIMIT
    reader = _Reader(connections, query, look_at)
    while not reader.done:
        yield reader.next_page()


class _Reader:
    """One read under way: the positions from `low` to `high` are not yet looked at."""

    def __init__(self, connections: Connections, query: Query, look_at: int | None) -> None:
        self.connections = connections
        self.query = query
        self.low = query.after + 1
        self.high = _NO_END if query.before is None else query.before - 1
        self.end: int | None = None
        self.left = query.limit
        self.page_size = _FIRST_PAGE
        self.window = 0
        self.bounded = look_at is not None
        self.may_look_at = _NO_END if look_at is None else look_at
        self.done = query.limit == 0

    def next_page(self) -> Page:
        with self.connections.snapshot() as connection:
            known = agreed_numbers(connection)
            self._ensure_left(known)
            top = min(self.high, known.head)
            found = plan(self.query, type_names(connection, self.query))
            if self.end is None:
                top = self._narrow(connection, top)
            if self.low > top:
                return self._last_page([], top)
            size = self.page_size if self.left is None else min(self.page_size, self.left)
            first, last = self._span(connection, found, top, size)
            rows = self._rows(connection, found, first, last, size)
            first, last = self._looked_at(rows, first, last, size)
            ensure_sound(rows)
            ensure_in_order(rows, first, last, backwards=self.query.backwards)
            if found.driver is not None:
                ensure_asked_for(rows, found.driver, self.query)
                ensure_there(connection, found, first, last)
            elif not known.gaps:
                ensure_whole(connection, found, rows, max(first, known.pruned + 1), last)
        return self._page(found, rows, first, last, top)

    def _looked_at(self, rows: list[Record], first: int, last: int, size: int) -> tuple[int, int]:
        """The positions that were looked at: a full page ends before the others."""
        if len(rows) < size:
            return first, last
        end = rows[-1][POSITION]
        return (end, last) if self.query.backwards else (first, end)

    def _ensure_left(self, known: Numbers) -> None:
        """Tell a reader on its way forwards that what comes next was pruned meanwhile."""
        if 1 < self.low <= known.pruned and not self.query.backwards:
            raise HistoryPruned(self.low - 1, known.pruned + 1)

    def _narrow(self, connection: sqlite3.Connection, top: int) -> int:
        """At the start, leave out positions whose events cannot be of the time asked for."""
        self.end = top
        self.low, top = time_bounds(connection, self.query, self.low, top)
        if self.query.backwards or self.query.until is not None:
            self.high = top
        return top

    def _span(
        self, connection: sqlite3.Connection, found: Plan, top: int, size: int
    ) -> tuple[int, int]:
        """The positions to look at next: those that fill a page, or a window that grows."""
        if found.exact:
            return self.low, top
        self.window = min(max(4 * size, 4 * self.window), _LARGEST_WINDOW, self.may_look_at)
        width = self.window if found.remaining else size
        backwards = self.query.backwards
        if not found.driving:
            edge = top - width + 1 if backwards else self.low + width - 1
        else:
            edge = _edge(connection, found.driving, self.low, top, width, backwards=backwards)
        return (max(self.low, edge), top) if backwards else (self.low, min(edge, top))

    def _rows(
        self, connection: sqlite3.Connection, found: Plan, first: int, last: int, size: int
    ) -> list[Record]:
        select = found.select("*", first, last)
        direction = "DESC" if self.query.backwards else "ASC"
        return connection.execute(
            f"{select.sql} ORDER BY position {direction} LIMIT ?", (*select.values, size)
        ).fetchall()

    def _page(self, found: Plan, rows: list[Record], first: int, last: int, top: int) -> Page:
        """Turn rows into a page and remember what is left to look at."""
        self._adapt(rows)
        events = list(map(Event.from_record, rows))
        if found.verify:
            events = [event for event in events if self.query.matches(event)]
        if self.left is not None:
            self.left -= len(events)
        if self.left == 0:
            self.done = True
            return Page(events, events[-1].record[POSITION])
        if first <= self.low if self.query.backwards else last >= top:
            return self._last_page(events, top)
        if self.bounded:
            # A page that was full early looked at less than the window; of the log's own order it
            # is known how much.
            looked_at = self.window if found.driving else min(self.window, last - first + 1)
            self.may_look_at -= looked_at
        if self.query.backwards:
            self.high = first - 1
        else:
            self.low = last + 1
        self.done = self.may_look_at <= 0
        return Page(events, first if self.query.backwards else last, complete=not self.done)

    def _last_page(self, events: list[Event], top: int) -> Page:
        """The page at which there is nothing left to look at."""
        self.done = True
        if self.query.backwards:
            return Page(events, self.query.after)
        return Page(events, max(top, self.end or 0, self.query.after))

    def _adapt(self, rows: list[Record]) -> None:
        if rows:
            payloads = filter(None, map(itemgetter(PAYLOAD), rows))
            characters = sum(map(len, payloads)) + len(rows)
            fitting = _PAGE_CHARACTERS * len(rows) // characters
            self.page_size = max(1, min(fitting, self.page_size * 4, _LARGEST_PAGE))


def latest(connection: sqlite3.Connection, type: str | None) -> Event | None:
    """The newest event, of one type if given."""
    if type is None:
        known = agreed_numbers(connection)
        kept = (known.head,) if known.head > known.pruned else None
        row = connection.execute(SQL["latest"]).fetchone()
    else:
        kept = connection.execute(SQL["type"], (type,)).fetchone()
        row = connection.execute(SQL["latest_of_type"], (type,)).fetchone()
    if (row and (row[POSITION],)) != kept or (row and type not in (None, row[TYPE])):
        raise damaged("the newest event is missing")
    if row is None:
        return None
    ensure_sound([row])
    return Event.from_record(row)


def type_names(connection: sqlite3.Connection, query: Query) -> list[str]:
    """The types that occur, where the query asks for any; see `plan`."""
    return [known.type for known in kept_types(connection)] if query.types else []


def time_bounds(
    connection: sqlite3.Connection, query: Query, low: int, high: int
) -> tuple[int, int]:
    """Narrow a range of positions by the times asked for.

    Positions and times rise together but for late comers, so the index by time says between which
    positions the events of that time lie.
    """
    if query.since is not None and _few_since(connection, query.since):
        found = connection.execute(SQL["first_since"], (query.since,)).fetchone()[0]
        low = high + 1 if found is None else max(low, found)
    if query.until is not None and not _few_since(connection, query.until):
        found = connection.execute(SQL["last_until"], (query.until,)).fetchone()[0]
        high = low - 1 if found is None else min(high, found)
    return low, high


def _few_since(connection: sqlite3.Connection, instant: int) -> bool:
    """Whether the index by time may be looked through from there on without a thought."""
    found = connection.execute(SQL["count_since"], (instant, _FEW + 1)).fetchone()[0]
    return bool(found <= _FEW)


def _edge(
    connection: sqlite3.Connection,
    driving: list[Condition],
    low: int,
    high: int,
    width: int,
    *,
    backwards: bool,
) -> int:
    """The position of the `width`-th event that indexes give from one end, or the other end."""
    direction = "DESC" if backwards else "ASC"
    parts: list[str] = []
    values: list[object] = []
    for condition in driving:
        parts.append(
            f"SELECT position FROM (SELECT position FROM {condition.source} "  # noqa: S608 - fixed fragments
            f"WHERE {condition.sql} AND position BETWEEN ? AND ? "
            f"ORDER BY position {direction} LIMIT ?)"
        )
        values += [*condition.values, low, high, width]
    row = connection.execute(
        f"SELECT position FROM ({' UNION ALL '.join(parts)}) "  # noqa: S608 - fixed fragments
        f"ORDER BY position {direction} LIMIT 1 OFFSET ?",
        (*values, width - 1),
    ).fetchone()
    if row is None:
        return low if backwards else high
    return int(row[0])
