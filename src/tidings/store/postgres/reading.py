"""How events are read back: page by page, each page its own short look at the tables.

Keeps promise 2 (a reader misses nothing and repeats nothing) and constant memory. A page is one
REPEATABLE READ transaction that ends before its reader has it, because an old snapshot keeps dead
rows from being vacuumed. Which index serves a page is decided in `planning`.
"""

from __future__ import annotations

from operator import itemgetter

from psycopg.types.numeric import Int8

from tidings.errors import HistoryPruned, StoreUnavailable
from tidings.event import Event
from tidings.record import PAYLOAD, POSITION, TYPE
from tidings.store.base import SCAN_LIMIT, Page, TypeCount
from tidings.store.postgres.bookkeeping import numbers
from tidings.store.postgres.failures import damaged, passes
from tidings.store.postgres.planning import SURE_PLANS, plan
from tidings.store.postgres.soundness import first_flaw

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from psycopg import Connection

    from tidings.record import Record
    from tidings.store.postgres.bookkeeping import Numbers
    from tidings.store.postgres.connections import Connections
    from tidings.store.postgres.planning import Condition, Plan
    from tidings.store.query import Query

__all__ = ["latest", "pages", "time_bounds", "type_names", "types"]

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
        yield _next_page(reader)


def _next_page(reader: _Reader) -> Page:
    """The next page; of a second try, on another connection, where the first one broke."""
    try:
        return reader.next_page()
    except StoreUnavailable as error:
        if not passes(error):
            raise
    return reader.next_page()


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
        connections = self.connections
        with connections.snapshot(SURE_PLANS) as connection:
            known = numbers(connections, connection)
            self._ensure_left(known)
            # Where events were pruned, index entries stay until they are vacuumed away.
            self.low = max(self.low, known.pruned + 1)
            top = min(self.high, known.head)
            names = type_names(connections, connection, self.query)
            found = plan(self.query, names, connections.schema)
            if self.end is None:
                top = self._narrow(connection, top)
            if self.low > top:
                return self._last_page([], top)
            size = self.page_size if self.left is None else min(self.page_size, self.left)
            first, last = self._span(connection, found, top, size)
            rows = self._rows(connection, found, first, last, size)
        first, last = self._looked_at(rows, first, last, size)
        flaw = first_flaw(rows, first, last, self.query, found.driver)
        expected = max(0, last - first + 1)
        if found.everything and not known.gaps and flaw is None and len(rows) != expected:
            flaw = f"events between positions {first} and {last} are missing"
        if flaw is not None:
            raise damaged(connections.url, flaw)
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

    def _narrow(self, connection: Connection[Any], top: int) -> int:
        """At the start, leave out positions whose events cannot be of the time asked for."""
        self.end = top
        self.low, top = time_bounds(self.connections, connection, self.query, self.low, top)
        if self.query.backwards or self.query.until is not None:
            self.high = top
        return top

    def _span(
        self, connection: Connection[Any], found: Plan, top: int, size: int
    ) -> tuple[int, int]:
        """The positions to look at next: those that fill a page, or a window that grows."""
        if found.exact:
            return self.low, top
        self.window = min(max(4 * size, 4 * self.window), _LARGEST_WINDOW, self.may_look_at)
        width = self.window if found.remaining else size
        backwards = self.query.backwards
        if found.driving:
            edge = _edge(connection, found, self.low, top, width, backwards=backwards)
        else:
            edge = top - width + 1 if backwards else self.low + width - 1
        return (max(self.low, edge), top) if backwards else (self.low, min(edge, top))

    def _rows(
        self, connection: Connection[Any], found: Plan, first: int, last: int, size: int
    ) -> list[Record]:
        select = found.select("*", first, last, backwards=self.query.backwards)
        return connection.execute(
            f"{select.sql} LIMIT %s", (*select.values, Int8(size)), binary=True
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


def latest(connections: Connections, type: str | None) -> Event | None:
    """The newest event, of one type if given."""
    if type is None:
        rows = connections.ask("latest", binary=True)
    elif "\0" in type:
        return None  # no event has such a type, and PostgreSQL cannot be asked for it
    else:
        rows = connections.ask("latest_of_type", type, binary=True)
    if not rows:
        return None
    kept, record = rows[0][0], rows[0][1:]
    if kept is None and record[POSITION] is None:
        return None
    if record[POSITION] != kept or type not in (None, record[TYPE]):
        raise damaged(connections.url, "the newest event is missing")
    return Event.from_record(record)


def types(connections: Connections) -> list[TypeCount]:
    """The types that occur, by name; each is what the newest event of its own says it is."""
    rows = connections.ask("types", binary=True)
    for name, _, _, said in rows:
        if said != name:
            flaw = f"the count of type {name!r} speaks of an event of type {said!r}"
            raise damaged(connections.url, flaw)
    return [TypeCount(*row[:3]) for row in rows]


def type_names(connections: Connections, connection: Connection[Any], query: Query) -> list[str]:
    """The types that occur, where the query asks for any; see `plan`."""
    if not query.types:
        return []
    return [name for (name,) in connection.execute(connections.sql["type_names"])]


def time_bounds(
    connections: Connections, connection: Connection[Any], query: Query, low: int, high: int
) -> tuple[int, int]:
    """Narrow a range of positions by the times asked for, where few events are of that time.

    Positions and times rise together but for late comers, so the index by time says between which
    positions the events of that time lie.
    """
    if query.since is not None:
        count, first, _ = _of_time(connections, connection, "events_since", query.since)
        if count <= _FEW:
            low = high + 1 if first is None else max(low, first)
    if query.until is not None:
        count, _, last = _of_time(connections, connection, "events_until", query.until)
        if count <= _FEW:
            high = low - 1 if last is None else min(high, last)
    return low, high


def _of_time(
    connections: Connections, connection: Connection[Any], name: str, instant: int
) -> tuple[int, int | None, int | None]:
    """How many events happened from an instant on, or until then; the first and last of them."""
    values = (Int8(instant), Int8(_FEW + 1))
    found = connection.execute(connections.sql[name], values).fetchone()
    return found or (0, None, None)


def _edge(
    connection: Connection[Any], found: Plan, low: int, high: int, width: int, *, backwards: bool
) -> int:
    """The position of the `width`-th event that indexes give from one end, or the other end."""
    edge: Condition = found.edge(low, high, width, backwards=backwards)
    row = connection.execute(edge.sql, edge.values).fetchone()
    if row is None:
        return low if backwards else high
    return int(row[0])
