"""Sessions of PostgreSQL that are ended at a known point.

Shared by the tests of this folder; it checks nothing itself.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg

from tidings.testing.elsewhere import PATIENCE

__all__ = ["end_who_waits_for"]

_WAITING = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = %s::regclass AND NOT granted"
)


def end_who_waits_for(table: str, other: psycopg.Connection[Any]) -> None:
    """Wait until a session waits for a table that `other` keeps locked, and end it."""
    end = time.monotonic() + PATIENCE
    while not other.execute(_WAITING, (table,)).fetchall():
        assert time.monotonic() < end, f"nobody came to {table}"
        time.sleep(0.01)
