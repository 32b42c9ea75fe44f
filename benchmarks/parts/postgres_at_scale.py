"""Look-ups on PostgreSQL whose time must not grow with the log, and what an event takes there.

The logs are those of `at_scale`: 10,000 events and 10 million. Their rows are the ones that
`append` would write, copied straight into the tables with all indexes in place, so that the indexes
are as large as appending makes them. PostgreSQL may keep a quarter of the machine's memory, as its
manual advises, and both logs are read through before: what grows with the log is compared, and not
a disk with memory.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg

from benchmarks import sample
from benchmarks.engines import postgres
from benchmarks.figures import Figure
from benchmarks.parts.at_scale import LOOK_UPS, look_ups, repeat
from benchmarks.rounds import compare
from benchmarks.workplace import Workplace
from tidings.bus import Bus
from tidings.record import (
    AGGREGATE_ID,
    AGGREGATE_TYPE,
    CHECKSUM,
    CORRELATION_ID,
    INSTANT,
    KEY,
    POSITION,
    RECORDED,
    TYPE,
    VERSION,
    placed,
)
from tidings.store import open_store
from tidings.store.summarize import fold_aggregate, fold_correlation
from tidings.store.values import Summary
from tidings.timestamps import now_instant

_SMALL = 10_000
_LARGE = 10_000_000
_AT_ONCE = 100_000
_ROUNDS = 21
_NO_TEXTS = {
    **dict.fromkeys((POSITION, INSTANT, VERSION, RECORDED, CHECKSUM), "int8"),
    KEY: "bytea",
}
_COLUMNS = [_NO_TEXTS.get(index, "text") for index in range(CHECKSUM + 1)]
_PARTS = """
SELECT relname, pg_total_relation_size(oid) FROM pg_class
WHERE relnamespace = 'tidings'::regnamespace AND relkind = 'r' AND relname = 'events'
UNION ALL
SELECT relname, pg_relation_size(oid) FROM pg_class
WHERE relnamespace = 'tidings'::regnamespace AND relkind = 'i' AND relname LIKE 'events%'
AND pg_relation_size(oid) > 1000000
ORDER BY 2 DESC
"""
_READ_THROUGH = """
SELECT count(payload) FROM (SELECT payload FROM tidings.events WHERE {0} IS NOT NULL
ORDER BY {0}, position OFFSET 0) AS events
"""


def measure(workplace: Workplace) -> Iterator[Figure]:
    """Each look-up in the large log against the same one in the small log."""
    large = workplace.size(_LARGE, 100_000)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    settings = {"shared_buffers": f"{memory // 4 // 2**20}MB", "max_wal_size": "4GB"}
    with postgres(workplace, settings) as engine:
        small_url = engine.url(engine.fresh_database())
        large_url = engine.url(engine.fresh_database())
        _fill(small_url, _SMALL)
        seconds = _fill(large_url, large)
        yield _sizes(large_url, large, seconds)
        with Bus(small_url) as small_bus, Bus(large_url) as large_bus:
            for name in look_ups(small_bus, _SMALL):
                things = {
                    "small": look_ups(small_bus, _SMALL)[name],
                    "large": look_ups(large_bus, large)[name],
                }
                found = compare(
                    {key: partial(repeat, look_up) for key, look_up in things.items()},
                    workplace.rounds(_ROUNDS),
                )
                yield Figure(
                    f"{name} in {large:,} events on PostgreSQL : in {_SMALL:,}",
                    found.slower("large", "small"),
                    at_most=2,
                    detail=" : ".join(
                        f"{found.median(key) / LOOK_UPS * 1e6:,.0f} µs"
                        for key in ("large", "small")
                    ),
                )


def _sizes(url: str, size: int, seconds: float) -> Figure:
    with psycopg.connect(url) as connection:
        (_, whole), *indexes = connection.execute(_PARTS).fetchall()
    shares = ", ".join(
        f"{name.removeprefix('events_')} {each / size:.0f}" for name, each in indexes
    )
    return Figure(
        "an event about an agent in a workflow takes on PostgreSQL, indexes included",
        whole / size,
        unit="B",
        detail=f"{size:,} events, copied in {seconds:.0f} s; of it indexes: {shares}",
    )


def _fill(url: str, size: int) -> float:
    """Fill a new store by copying; returns how long it took (seconds)."""
    with open_store(url, deadline=60) as store:
        assert store.head() == 0  # the tables are made when they are first asked for
    start = time.monotonic()
    log = _Log()
    with psycopg.connect(url, autocommit=True) as connection:
        for first in range(0, size, _AT_ONCE):
            last = min(first + _AT_ONCE, size)
            log.copy(connection, first, last)
            print(f"  {last:,} events", file=sys.stderr, flush=True)
        log.finish(connection)
        taken = time.monotonic() - start
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET enable_sort = off")
        for column in ("position", "aggregate_id", "correlation_id"):
            connection.execute(_READ_THROUGH.format(column))
    with open_store(url) as store:
        assert store.head() == size
        assert size > _SMALL or store.check() == []
    return taken


class _Log:
    """The rows that appending would write."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, str], int] = {}
        self._summaries: dict[tuple[str, str], Summary] = {}
        self._types: dict[str, tuple[int, int]] = {}
        self._head = 0

    def copy(self, connection: psycopg.Connection[Any], first: int, last: int) -> None:
        """Copy some events into the table."""
        copying = "COPY tidings.events FROM STDIN (FORMAT BINARY)"
        with connection.cursor() as cursor, cursor.copy(copying) as copy:
            copy.set_types(_COLUMNS)
            for number in range(first, last):
                copy.write_row(self._row(number))

    def finish(self, connection: psycopg.Connection[Any]) -> None:
        """Write what is kept beside the events."""
        with connection.cursor() as cursor:
            with cursor.copy("COPY tidings.summaries FROM STDIN") as copy:
                for (kind, _), summary in self._summaries.items():
                    copy.write_row((kind, *summary[1:]))
            for name, (count, newest) in self._types.items():
                cursor.execute(
                    "INSERT INTO tidings.types VALUES (%s, %s, %s)", (name, count, newest)
                )
            cursor.execute("UPDATE tidings.head SET position = %s", (self._head,))

    def _row(self, number: int) -> tuple[Any, ...]:
        record = sample.lifecycle_event(number).record
        about = record[AGGREGATE_TYPE], record[AGGREGATE_ID]
        version = self._versions[about] = self._versions.get(about, 0) + 1
        self._head += 1
        row = placed(record, self._head, version, now_instant())
        self._summaries[about] = fold_aggregate(self._summaries.get(about), row)
        workflow = "", row[CORRELATION_ID]
        self._summaries[workflow] = fold_correlation(self._summaries.get(workflow), row)
        self._types[row[TYPE]] = self._types.get(row[TYPE], (0, 0))[0] + 1, row[POSITION]
        return row
