"""What is looked at in rows just read, so that a damaged page is told and not believed.

Keeps: a read of the whole log, or of the newest event, gives exactly what was kept or raises
`StoreDamaged`; a filtered read gives no event that was not asked for. An event's own checksum is
compared when it is first touched (`Event.verify`), because that costs as much as reading it. Does
not keep: a damaged index, or a damaged field in a condition, can hide an event from a filtered
read; `check` names it.
"""

from __future__ import annotations

from operator import itemgetter

from tidings.event import Event
from tidings.record import (
    AGGREGATE_ID,
    AGGREGATE_TYPE,
    CAUSATION_ID,
    CHECKSUM,
    CORRELATION_ID,
    PAYLOAD,
    POSITION,
    PROJECT,
    STATUS,
    TYPE,
)
from tidings.store.query import matches_type
from tidings.store.sqlite.bookkeeping import damaged
from tidings.store.sqlite.statements import SQL

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from tidings.record import Record
    from tidings.store.query import Query
    from tidings.store.sqlite.planning import Plan

__all__ = ["ensure_asked_for", "ensure_in_order", "ensure_sound", "ensure_there", "ensure_whole"]

_COLUMNS = {
    "causation_id": CAUSATION_ID,
    "correlation_id": CORRELATION_ID,
    "aggregate_id": AGGREGATE_ID,
    "project": PROJECT,
    "status": STATUS,
    "aggregate_type": AGGREGATE_TYPE,
}


def ensure_sound(rows: Sequence[Record]) -> None:
    """Refuse rows that cannot be told from sound ones later on: without checksum, or payload text.

    Raises:
        sqlite3.DatabaseError: as all functions here; `failures` makes it `StoreDamaged`.
    """
    if None in map(itemgetter(CHECKSUM), rows):
        raise damaged("an event has no checksum")
    if not {str, type(None)}.issuperset(map(type, map(itemgetter(PAYLOAD), rows))):
        raise damaged("a payload is no text")


def ensure_in_order(rows: Sequence[Record], first: int, last: int, *, backwards: bool) -> None:
    """Refuse rows that stand twice, in another order, or outside of the positions looked at."""
    positions = list(map(itemgetter(POSITION), rows))
    ordered = sorted(set(positions), reverse=backwards)
    if positions != ordered or (rows and not first <= min(ordered) <= max(ordered) <= last):
        raise damaged(f"events between positions {first} and {last} are out of order")


def ensure_asked_for(rows: Sequence[Record], driver: str, query: Query) -> None:
    """Refuse rows an index led to that do not say what the index says of them."""
    if driver == "ids":
        fits = all(_id_of(row) in query.ids for row in rows)
    elif driver == "types":
        types = set(map(itemgetter(TYPE), rows))
        fits = all(_is_wanted(name, query.types) for name in types)
    else:
        wanted = getattr(query, driver)
        wanted = {*wanted} if isinstance(wanted, tuple) else {wanted}
        fits = wanted.issuperset(map(itemgetter(_COLUMNS[driver]), rows))
    if not fits:
        raise damaged(f"an index of {driver} leads to another event")


def ensure_there(connection: sqlite3.Connection, found: Plan, first: int, last: int) -> None:
    """Refuse indexes that, together, lead to events which are not there.

    A single index is followed by SQLite itself, which then notices.
    """
    if len(found.driving) > 1:
        dangling = found.dangling(first, last)
        (count,) = connection.execute(dangling.sql, dangling.values).fetchone()
        if count:
            raise damaged(f"{count} events between positions {first} and {last} are missing")


def ensure_whole(
    connection: sqlite3.Connection, found: Plan, rows: Sequence[Record], first: int, last: int
) -> None:
    """Refuse a part of the log that leaves a position out.

    Args:
        connection: in the snapshot that gave the rows.
        found: how they were found; by no index.
        rows: what was read, in order.
        first: the first position that must be there.
        last: the last one.
    """
    if found.everything:
        count = len(rows)
    else:
        (count,) = connection.execute(SQL["count_between"], (first, last)).fetchone()
    if count != max(0, last - first + 1):
        raise damaged(f"events between positions {first} and {last} are missing")


def _is_wanted(name: object, patterns: Sequence[str]) -> bool:
    return isinstance(name, str) and any(matches_type(pattern, name) for pattern in patterns)


def _id_of(row: Record) -> str:
    event = Event.from_record(row)
    event.verify()
    return event.id
