"""Counts, histograms and summaries: what an overview needs without reading every event."""

from __future__ import annotations

from tidings.errors import InvalidQuery, shorten
from tidings.store.base import CORRELATION, SCAN_LIMIT, Bin, Count
from tidings.store.query import types_alone
from tidings.store.sqlite.appending import summary_of
from tidings.store.sqlite.bookkeeping import agreed_numbers, damaged, kept_types, numbers
from tidings.store.sqlite.planning import plan
from tidings.store.sqlite.reading import pages, time_bounds, type_names
from tidings.store.sqlite.statements import SQL

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from typing import Any

    from tidings.store.base import Summary
    from tidings.store.query import Query
    from tidings.store.sqlite.connections import Connections
    from tidings.store.standing import Standing

__all__ = ["count", "histogram", "summaries"]

_EARLIEST, _LATEST = -(2**63), 2**63 - 1


def count(connections: Connections, query: Query) -> Count:
    """How many events match."""
    with connections.snapshot() as connection:
        low, high = _bounds(connection, query)
        types = kept_types(connection)
        names = [known.type for known in types]
        wanted = types_alone(query, names)
        if wanted is not None:
            total = sum(known.count for known in types if known.type in wanted)
            return _limited(query, total, exact=True)
        found = plan(query, names)
        if _by_time_alone(query):
            (total,) = connection.execute(SQL["count_of_time"], _times(query)).fetchone()
            return _limited(query, total, exact=True)
        if not found.remaining and not found.verify:
            select = found.select("count(*)", low, high)
            (total,) = connection.execute(select.sql, select.values).fetchone()
            return _limited(query, total, exact=True)
    return _count_by_looking(connections, query)


def _count_by_looking(connections: Connections, query: Query) -> Count:
    """Count the matches among the newest events, as many as may be looked at."""
    total, exact = 0, True
    for page in pages(connections, query.replace(backwards=True), look_at=SCAN_LIMIT):
        total += len(page.events)
        exact = page.complete
    return Count(total, exact)


def _limited(query: Query, total: int, *, exact: bool) -> Count:
    return Count(total if query.limit is None else min(total, query.limit), exact)


def histogram(connections: Connections, query: Query, interval: int) -> list[Bin]:
    """Counts per interval and outcome."""
    if interval < 1:
        raise InvalidQuery(f"interval {shorten(interval)} must be microseconds from 1 on")
    bins: dict[int, dict[str, int]] = {}
    for start, status, number in _histogram_rows(connections, query, interval):
        counts = bins.setdefault(start, {})
        counts[status] = counts.get(status, 0) + number
    return [Bin(start, bins[start]) for start in sorted(bins)]


def _histogram_rows(
    connections: Connections, query: Query, interval: int
) -> list[tuple[int, str, int]]:
    """Starts of intervals, outcomes and counts; the same pair may come more than once."""
    excluded = None if query.exclude is None else query.exclude.payload
    if query.payload or excluded or query.contains or query.limit is not None:
        # What only Python can tell, or what ends early, is counted event by event.
        return [
            (event.instant // interval * interval, event.status, 1)
            for page in pages(connections, query)
            for event in page.events
        ]
    with connections.reading() as connection:
        if _by_time_alone(query):
            values = (interval, interval, interval, *_times(query))
            return _sound(connection.execute(SQL["histogram_of_all"], values).fetchall())
        low, high = _bounds(connection, query)
        found = plan(query, type_names(connection, query))
        # The remainder is made positive for times before 1970.
        select = found.select(
            "instant - ((instant % ?) + ?) % ? AS start, status, count(*)", low, high
        )
        values = (interval, interval, interval, *select.values)
        rows = connection.execute(f"{select.sql} GROUP BY start, status", values).fetchall()
        return _sound(rows)


def _sound(rows: list[tuple[int, str, int]]) -> list[tuple[int, str, int]]:
    if not all(type(start) is int and type(status) is str for start, status, _ in rows):
        raise damaged("an event happened at no moment, or has no outcome")
    return rows


def _by_time_alone(query: Query) -> bool:
    names = {name for name, _ in query.conditions()}
    whole = query.after == 0 and query.before is None
    return whole and query.exclude is None and names <= {"since", "until"}


def _times(query: Query) -> tuple[int, int]:
    """From when on and before when, where the query leaves that open too."""
    since = _EARLIEST if query.since is None else query.since
    return since, _LATEST if query.until is None else query.until


def _bounds(connection: sqlite3.Connection, query: Query) -> tuple[int, int]:
    """The positions between which a query's events lie."""
    head = agreed_numbers(connection).head
    high = head if query.before is None else min(head, query.before - 1)
    return time_bounds(connection, query, query.after + 1, high)


def summaries(
    connections: Connections, kind: str, query: Query, standing: Standing
) -> list[Summary]:
    """One page of aggregates of a type, or of correlations."""
    with connections.snapshot() as connection:
        pruned = numbers(connection).pruned
        kept_as = "" if kind == CORRELATION else kind
        sql, values = _summaries_statement(kept_as, query, standing, pruned)
        return [summary_of(row) for row in connection.execute(sql, values)]


def _summaries_statement(
    kind: str, query: Query, standing: Standing, pruned: int
) -> tuple[str, list[Any]]:
    where = ["kind = ?", "last_position > ?", "first_position > ?"]
    values: list[Any] = [kind, pruned, query.after]
    if query.before is not None:
        where.append("first_position < ?")
        values.append(query.before)
    for condition, value in (
        ("id = ?", query.aggregate_id),
        ("correlation_id = ?", query.correlation_id),
        ("state = ?", standing.state),
        ("last_instant < ?", standing.quiet_since),
    ):
        if value is not None:
            where.append(condition)
            values.append(value)
    for column, words in (("project", query.project), ("status", query.status)):
        if words:
            where.append(f"{column} IN ({', '.join('?' * len(words))})")
            values += words
    direction = "DESC" if query.backwards else "ASC"
    sql = (
        f"SELECT * FROM summaries WHERE {' AND '.join(where)} "  # noqa: S608 - fixed fragments
        f"ORDER BY first_position {direction} LIMIT ?"
    )
    return sql, [*values, -1 if query.limit is None else query.limit]
