"""Counts, histograms and summaries: what an overview needs without reading every event."""

from __future__ import annotations

from psycopg.types.numeric import Int8

from tidings.errors import InvalidQuery, shorten
from tidings.store.base import CORRELATION, SCAN_LIMIT, Bin, Count, Summary
from tidings.store.postgres.bookkeeping import numbers
from tidings.store.postgres.planning import SURE_PLANS, Condition, plan
from tidings.store.postgres.reading import pages, time_bounds, type_names
from tidings.store.query import types_alone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from psycopg import Connection

    from tidings.store.postgres.connections import Connections
    from tidings.store.query import Query
    from tidings.store.standing import Standing

__all__ = ["count", "histogram", "summaries"]

_START = "instant - ((instant %% %s) + %s) %% %s"
"""When an interval began; the remainder is made positive for times before 1970."""

_EARLIEST, _LATEST = -(2**63), 2**63 - 1


def count(connections: Connections, query: Query) -> Count:
    """How many events match."""
    with connections.snapshot(SURE_PLANS) as connection:
        total = _counted(connections, connection, query)
    if total is None:
        return _count_by_looking(connections, query)
    return Count(total if query.limit is None else min(total, query.limit), exact=True)


def _counted(connections: Connections, connection: Connection[Any], query: Query) -> int | None:
    """How many events match, where an index, or the counts by type, can tell."""
    named = {name for name, _ in query.conditions()}
    if types_alone(query, ()) is not None:
        kept = connection.execute(connections.sql["type_counts"]).fetchall()
        wanted = types_alone(query, [name for name, _ in kept]) or ()
        return sum(int(number) for name, number in kept if name in wanted)
    if _is_whole(query) and named <= {"since", "until"}:
        return _single(connection, Condition(connections.sql["count_of_time"], *_times(query)))
    names = type_names(connections, connection, query)
    found = plan(query, names, connections.schema)
    if found.remaining or found.verify:
        return None
    low, high = _bounds(connections, connection, query)
    select = found.select("1", low, high, ordered=False)
    counted = f"SELECT count(*) FROM ({select.sql}) AS found"  # noqa: S608 - fixed fragments
    return _single(connection, Condition(counted, *select.values))


def _single(connection: Connection[Any], statement: Condition) -> int:
    row = connection.execute(statement.sql, statement.values).fetchone()
    return int(row[0]) if row else 0


def _count_by_looking(connections: Connections, query: Query) -> Count:
    """Count the matches among the newest events, as many as may be looked at."""
    total, exact = 0, True
    for page in pages(connections, query.replace(backwards=True), look_at=SCAN_LIMIT):
        total += len(page.events)
        exact = page.complete
    return Count(total, exact)


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
) -> Sequence[tuple[int, str, int]]:
    """Starts of intervals, outcomes and counts; the same pair may come more than once."""
    names = {name for name, _ in query.conditions()}
    if names & {"payload", "contains"} or query.limit is not None or _excludes_payload(query):
        # What only Python can tell, or what ends early, is counted event by event.
        return [
            (event.instant // interval * interval, event.status, 1)
            for page in pages(connections, query)
            for event in page.events
        ]
    with connections.snapshot(SURE_PLANS) as connection:
        if _is_whole(query) and names <= {"since", "until"}:
            values = (Int8(interval), Int8(interval), Int8(interval), *_times(query))
            return connection.execute(connections.sql["histogram_of_time"], values).fetchall()
        known = type_names(connections, connection, query)
        low, high = _bounds(connections, connection, query)
        found = plan(query, known, connections.schema)
        select = found.select("instant, status", low, high, ordered=False)
        return connection.execute(
            f"SELECT {_START} AS start, status, count(*) "  # noqa: S608 - fixed fragments
            f"FROM ({select.sql}) AS found GROUP BY start, status",
            (Int8(interval), Int8(interval), Int8(interval), *select.values),
        ).fetchall()


def _is_whole(query: Query) -> bool:
    return query.after == 0 and query.before is None and query.exclude is None


def _excludes_payload(query: Query) -> bool:
    return query.exclude is not None and bool(query.exclude.payload)


def _times(query: Query) -> tuple[Int8, Int8]:
    """From when on and before when, where the query leaves that open too."""
    since = _EARLIEST if query.since is None else query.since
    return Int8(since), Int8(_LATEST if query.until is None else query.until)


def _bounds(connections: Connections, connection: Connection[Any], query: Query) -> tuple[int, int]:
    """The positions between which a query's events lie."""
    head = numbers(connections, connection).head
    high = head if query.before is None else min(head, query.before - 1)
    # Past the head no position is asked for: the largest ones have no next.
    low = min(query.after, head) + 1
    return time_bounds(connections, connection, query, low, high)


def summaries(
    connections: Connections, kind: str, query: Query, standing: Standing
) -> list[Summary]:
    """One page of aggregates of a type, or of correlations."""
    words = (kind, query.aggregate_id, query.correlation_id, *query.project, *query.status)
    if any("\0" in word for word in words if word is not None):
        return []  # nothing is called so, and PostgreSQL cannot be asked for it
    with connections.snapshot(SURE_PLANS) as connection:
        known = numbers(connections, connection)
        statement = _summaries_statement(
            f"{connections.schema}.summaries",
            "" if kind == CORRELATION else kind,
            query,
            standing,
            known.pruned,
            known.head,
        )
        rows = connection.execute(statement.sql, statement.values, binary=True).fetchall()
    return [Summary(row[0] or CORRELATION, *row[1:]) for row in rows]


def _summaries_statement(
    table: str, kind: str, query: Query, standing: Standing, pruned: int, head: int
) -> Condition:
    """A SELECT of one page, in a form that one index alone can serve; see `planning`."""
    low = min(query.after, head) + 1  # no summary begins past the head
    high = head if query.before is None else min(head, query.before - 1)
    where = [Condition("last_position > %s", Int8(pruned))]
    for column, words in (("project", query.project), ("status", query.status)):
        if words:
            where.append(Condition(f"{column} = ANY(%s)", list(words)))
    if standing.state is not None:
        where.append(Condition("state = %s", standing.state))
    if standing.quiet_since is not None:
        where.append(Condition("last_instant < %s", Int8(standing.quiet_since)))
    columns, wanted = ["kind"], [kind]
    source = Condition(table)
    if query.aggregate_id is not None:
        source = _one(table, kind, query.aggregate_id)
        if query.correlation_id is not None:
            where.append(Condition("correlation_id = %s", query.correlation_id))
    elif query.correlation_id is not None:
        columns, wanted = ["correlation_id", "kind"], [query.correlation_id, kind]
        where.append(Condition("correlation_id IS NOT NULL"))
    where.append(_between(columns, wanted, low, high))
    direction = "DESC" if query.backwards else "ASC"
    order = ", ".join(f"{column} {direction}" for column in (*columns, "first_position"))
    limit = None if query.limit is None else Int8(query.limit)
    return Condition(
        f"SELECT * FROM {source.sql} WHERE {' AND '.join(part.sql for part in where)} "  # noqa: S608 - fixed fragments
        f"ORDER BY {order} LIMIT %s",
        *(*source.values, *(value for part in where for value in part.values), limit),
    )


def _one(table: str, kind: str, name: str) -> Condition:
    """The summary of that name, by the index that is made for it."""
    return Condition(
        f"(SELECT * FROM {table} WHERE (kind, id) >= (%s, %s) AND (kind, id) <= (%s, %s) "  # noqa: S608 - fixed fragments
        "ORDER BY kind, id LIMIT 1) AS one",
        *(kind, name, kind, name),
    )


def _between(columns: Sequence[str], wanted: Sequence[str], low: int, high: int) -> Condition:
    """That columns have these values and the first position lies between two others."""
    row = f"({', '.join(columns)}, first_position)"
    marks = f"({', '.join('%s' for _ in wanted)}, %s)"
    return Condition(
        f"{row} >= {marks} AND {row} <= {marks}", *wanted, Int8(low), *wanted, Int8(high)
    )
