"""Looking after a store: prune, redact, check, describe.

Each works while others use the store, in short transactions where it writes. The copy that a backup
makes is in `backup`.
"""

from __future__ import annotations

from psycopg.types.numeric import Int8

from tidings.errors import StoreDamaged, StoreUnavailable, TidingsError
from tidings.event import Event
from tidings.record import PAYLOAD, POSITION, checksum_of
from tidings.store.postgres.bookkeeping import numbers
from tidings.store.postgres.planning import SURE_PLANS
from tidings.store.postgres.reading import pages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from psycopg import Connection

    from tidings.store.postgres.bookkeeping import Numbers
    from tidings.store.postgres.connections import Connections
    from tidings.store.query import Query

__all__ = ["check", "describe", "prune", "redact"]

_PRUNED_AT_ONCE = 10_000
_REDACTED_AT_ONCE = 500
_CHECKED_AT_ONCE = 2_000
_SHOWN_PROBLEMS = 20


def prune(connections: Connections, through: int) -> int:
    """Remove the events up to and with a position."""
    sql = connections.sql
    removed = 0
    while True:
        with connections.transaction() as connection:
            known = numbers(connections, connection)
            row = connection.execute(sql["oldest_past"], (Int8(known.pruned),)).fetchone()
            oldest = row[0] if row else known.head
            goal = min(through, known.head)
            upto = min(goal, max(known.pruned, oldest - 1) + _PRUNED_AT_ONCE)
            if upto <= known.pruned:
                return removed
            span = Int8(known.pruned + 1), Int8(upto)
            gone = connection.execute(sql["prune_events"], span).fetchall()
            for name, count in gone:
                connection.execute(sql["discount_type"], (Int8(count), name))
            connection.execute(sql["drop_empty_types"])
            deleted = sum(count for _, count in gone)
            gaps = known.gaps - (upto - known.pruned - deleted)
            connection.execute(sql["put_pruned"], (Int8(upto), Int8(gaps)))
            connection.execute(sql["prune_correlations"], (Int8(upto),))
            removed += deleted


def redact(connections: Connections, query: Query) -> int:
    """Empty the payloads of the events that match, and have the old ones cleared away."""
    redacted = 0
    remaining: Query | None = query
    while remaining is not None:
        found, remaining = remaining, None
        for page in pages(connections, found):
            positions = [event.record[POSITION] for event in page.events if not event.redacted]
            for start in range(0, len(positions), _REDACTED_AT_ONCE):
                redacted += _redact(connections, positions[start : start + _REDACTED_AT_ONCE])
            if not page.complete:
                # A search for text stops early; a secret must not outlive that.
                remaining = found.replace(before=page.position)
    # Also where nothing was left to redact: an earlier call may have got no further than that.
    _clear_away(connections)
    return redacted


def _clear_away(connections: Connections) -> None:
    """Have the rows cleared away that hold what was redacted.

    Who does not own the table is only warned by PostgreSQL; autovacuum does it later.
    """
    try:
        with connections.reading(None) as connection:
            connection.execute(connections.sql["vacuum_events"], prepare=False)
    except StoreUnavailable as error:
        raise StoreUnavailable(
            f"{connections.url}: the payloads are redacted, but what was there is not cleared away "
            f"yet ({error}); redact again"
        ) from error


def _redact(connections: Connections, positions: list[int]) -> int:
    emptied = []
    with connections.transaction() as connection:
        statement = connections.sql["events_at"]
        for record in connection.execute(statement, (positions,), binary=True):
            if record[PAYLOAD] is None:
                continue
            Event.from_record(record).verify()  # or a new checksum would hide the damage
            left = (*record[:PAYLOAD], None, *record[PAYLOAD + 1 :])
            emptied.append((Int8(checksum_of(left)), Int8(record[POSITION])))
        if emptied:
            with connection.cursor() as cursor:
                cursor.executemany(connections.sql["redact_event"], emptied)
    return len(emptied)


def describe(connections: Connections, durability: str) -> dict[str, Any]:
    """Facts about the store for people."""
    sql = connections.sql
    with connections.snapshot(SURE_PLANS) as connection:
        known = numbers(connections, connection)
        (size,) = connection.execute(sql["size"], (connections.schema,)).fetchone() or (0,)
        (version,) = connection.execute(sql["server_version"]).fetchone() or ("",)
    return {
        "url": connections.url,
        "durability": durability,
        "head": known.head,
        "first": known.pruned + 1,
        "size": size,
        "engine": f"PostgreSQL {version}",
        "schema": connections.address.schema,
    }


def check(connections: Connections) -> list[str]:
    """What is wrong with the store."""
    try:
        problems = [*_differing_events(connections), *_contradictions(connections)]
    except TidingsError as error:
        return [str(error)]
    if len(problems) > _SHOWN_PROBLEMS:
        left_out = len(problems) - _SHOWN_PROBLEMS
        problems[_SHOWN_PROBLEMS:] = [f"… and {left_out} more like these"]
    return problems


def _differing_events(connections: Connections) -> Iterator[str]:
    """Events that are not what their checksum says; page by page, to hold no snapshot for long."""
    after = 0
    while True:
        with connections.snapshot(SURE_PLANS) as connection:
            values = Int8(after), Int8(_CHECKED_AT_ONCE)
            statement = connections.sql["events_past"]
            rows = connection.execute(statement, values, binary=True).fetchall()
        for row in rows:
            try:
                Event.from_record(row).verify()
            except StoreDamaged:
                yield f"the event at position {row[POSITION]} differs from its checksum"
        if not rows:
            return
        after = rows[-1][POSITION]


def _contradictions(connections: Connections) -> Iterator[str]:
    """Where counts, summaries and the store's own numbers are not those of its events."""
    sql = connections.sql
    with connections.snapshot("SET LOCAL jit = off", None) as connection:
        (rows,) = connection.execute(sql["head_rows"]).fetchone() or (0,)
        if rows > 1:
            yield f"the row of its own numbers stands there {rows} times"
        yield from _misplaced(connections, connection, numbers(connections, connection))
        for name, kept, found, said, newest in connection.execute(sql["miscounted_types"]):
            if kept != found:
                yield f"type {name!r} is counted as {kept}, and there are {found}"
            else:
                yield f"type {name!r} is said to stand last at {said}, and does at {newest}"
        for kind, name, found, kept in connection.execute(sql["misplaced_aggregates"]):
            yield f"{kind}/{name} is at version {found}, and its summary says {kept}"
        for kind, name, version, count in connection.execute(sql["repeated_versions"]):
            yield f"{kind}/{name} has {count} events of version {version}"


def _misplaced(
    connections: Connections, connection: Connection[Any], known: Numbers
) -> Iterator[str]:
    row = connection.execute(connections.sql["extent"]).fetchone()
    count, first, last = row or (0, 0, 0)
    there = known.head - known.pruned - known.gaps
    if count != there:
        yield f"there are {count} events, and {there} were written"
    if count and not known.pruned < first <= last <= known.head:
        yield (
            f"events stand at positions {first} to {last}, and the log goes from "
            f"{known.pruned + 1} to {known.head}"
        )
