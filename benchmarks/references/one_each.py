"""PostgreSQL as one would write it without a thought of batches: a transaction an event.

Positions must be dense and seen in order, so each writer takes the store's advisory lock first, as
ours does. The rest is as good as it gets: a pipeline, so that a transaction is one round trip;
prepared statements; the events encoded before; two indexes where ours has twelve.
"""

from __future__ import annotations

import time
from threading import Barrier, Thread

import psycopg

__all__ = ["OneEach"]

_TABLES = """
CREATE TABLE head (position bigint NOT NULL);
INSERT INTO head VALUES (0);
CREATE TABLE events (
    position bigint PRIMARY KEY, id uuid UNIQUE DEFAULT gen_random_uuid(), type text NOT NULL,
    payload text NOT NULL, recorded timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""
_INSERT = """
WITH moved AS (UPDATE head SET position = position + 1 RETURNING position)
INSERT INTO events (position, type, payload) SELECT position, %s, %s FROM moved
"""


class OneEach:
    """Some writers on a database, each with a connection of its own.

    Args:
        url: of the database, which is new.
        writers: how many.
        payload: what each event says, as JSON.
    """

    def __init__(self, url: str, writers: int, payload: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute(_TABLES)
        self._payload = payload
        self._lines = [psycopg.connect(url, prepare_threshold=0) for _ in range(writers)]

    def rate(self, seconds: float) -> float:
        """How many events a second all writers keep together."""
        kept = [0] * len(self._lines)
        begin = Barrier(len(self._lines) + 1)

        def write(number: int) -> None:
            line = self._lines[number]
            begin.wait()
            while time.perf_counter() < until:
                with line.pipeline(), line.transaction():
                    line.execute("SELECT pg_advisory_xact_lock(1)")
                    line.execute(_INSERT, ("job_done", self._payload))
                kept[number] += 1

        threads = [Thread(target=write, args=(number,)) for number in range(len(self._lines))]
        for thread in threads:
            thread.start()
        started = time.perf_counter()
        until = started + seconds
        begin.wait()
        for thread in threads:
            thread.join()
        return sum(kept) / (time.perf_counter() - started)

    def close(self) -> None:
        """Close all connections."""
        for line in self._lines:
            line.close()
