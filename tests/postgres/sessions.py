"""Sessions of PostgreSQL that are held up, or ended, at a known point.

Shared by the tests of this folder; it checks nothing itself.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.engines.postgres import PostgresServer
    from tidings.store.postgres import PostgresStore

__all__ = ["OPEN", "end_who_waits_for", "gate", "hurry", "wait_until", "waiting_for_locks"]

_GATE = 4711
"""The number of a lock of these tests' own."""

OPEN = f"SELECT pg_advisory_unlock({_GATE})"
"""What the keeper of a gate says to open it."""

_TRIGGERS = {
    "insert": "CREATE TRIGGER gate BEFORE INSERT ON {0}.events",
    "commit": "CREATE CONSTRAINT TRIGGER gate AFTER INSERT ON {0}.events "
    "DEFERRABLE INITIALLY DEFERRED",
}


@contextmanager
def gate(
    postgres: PostgresServer, schema: str, moment: str = "insert"
) -> Iterator[psycopg.Connection[Any]]:
    """Who appends an event of type `slow` waits in the middle of it until the gate is opened.

    Args:
        postgres: the server.
        schema: of a store that is there.
        moment: whether it waits at the `insert` or in the `commit`.
    """
    postgres.execute(
        f"CREATE FUNCTION {schema}.wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN SET LOCAL lock_timeout = 0; "
        f"PERFORM pg_advisory_xact_lock_shared({_GATE}); RETURN NEW; END$$"
    )
    postgres.execute(
        f"{_TRIGGERS[moment].format(schema)} FOR EACH ROW "
        f"WHEN (NEW.type = 'slow') EXECUTE FUNCTION {schema}.wait_at_gate()"
    )
    with psycopg.connect(postgres.url(), autocommit=True) as keeper:
        keeper.execute("SELECT pg_advisory_lock(%s)", (_GATE,))
        yield keeper


def hurry(store: PostgresStore, seconds: float = 0.3) -> None:
    """Let a store wait no longer than this from now on; that it connects may take its time."""
    store.head()
    store._connections.deadline = seconds


def waiting_for_locks(postgres: PostgresServer) -> int:
    """How many sessions wait at a gate, or for the lock of a store."""
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    ((count,),) = postgres.execute(waiting)
    return int(count)


def wait_until(holds: Callable[[], bool]) -> None:
    """Return once something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


_WAITING = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = %s::regclass AND NOT granted"
)


def end_who_waits_for(table: str, other: psycopg.Connection[Any]) -> None:
    """Wait until a session waits for a table that `other` keeps locked, and end it."""
    end = time.monotonic() + PATIENCE
    while not other.execute(_WAITING, (table,)).fetchall():
        assert time.monotonic() < end, f"nobody came to {table}"
        time.sleep(0.01)
