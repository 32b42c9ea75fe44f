"""A copy of the whole store as a file of the SQLite backend, made while others write.

All of it is read in one snapshot, so the copy is what the store was at one moment; it appears under
its name when it is whole. A snapshot that lasts long keeps PostgreSQL from clearing away what was
deleted meanwhile, and nothing else.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress

from psycopg.types.numeric import Int8

from tidings.durable_files import make_directory, sync_directory, sync_file
from tidings.errors import StoreUnavailable
from tidings.store.postgres.bookkeeping import numbers
from tidings.store.postgres.planning import SURE_PLANS
from tidings.store.sqlite.bookkeeping import Numbers as CopiedNumbers
from tidings.store.sqlite.bookkeeping import checksum, put_numbers
from tidings.store.sqlite.failures import Translated
from tidings.store.sqlite.schema import prepare
from tidings.store.sqlite.statements import SQL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TypeAlias

    from psycopg import Connection

    from tidings.store.postgres.connections import Connections

    Row: TypeAlias = tuple[Any, ...]
    Key: TypeAlias = tuple[Any, ...]

__all__ = ["backup"]

_EVENTS_AT_ONCE = 500
_SUMMARIES_AT_ONCE = 1_000
_RECORDS_AT_ONCE = 20
_PATIENCE = 5.0
"""How long to wait for a file that nobody else has (seconds)."""


def backup(connections: Connections, path: str) -> None:
    """Write a copy of the store to `path`; what is there is replaced when the copy is whole."""
    target = os.path.abspath(path)
    unfinished = f"{target}.{os.getpid()}.tmp"
    try:
        make_directory(os.path.dirname(target))
        with (
            connections.snapshot(SURE_PLANS, None) as source,
            Translated(target, _PATIENCE),
            closing(sqlite3.connect(unfinished, isolation_level=None)) as copy,
        ):
            _write(connections, source, copy, unfinished)
        sync_file(unfinished)
        os.replace(unfinished, target)
        sync_directory(os.path.dirname(target))
    except OSError as error:
        raise StoreUnavailable(f"backup to {target} failed: {error.strerror}") from error
    finally:
        for left in (unfinished, f"{unfinished}-wal", f"{unfinished}-shm"):
            with suppress(OSError):
                os.unlink(left)


def _write(
    connections: Connections, source: Connection[Any], copy: sqlite3.Connection, path: str
) -> None:
    prepare(copy, path, time.monotonic() + _PATIENCE)
    # A copy that breaks off is thrown away, so nothing guards it until it is whole.
    copy.execute("PRAGMA journal_mode=OFF")
    copy.execute("PRAGMA synchronous=OFF")
    copy.execute("BEGIN")
    known = numbers(connections, source)

    def rows_of(name: str, first: Key, key: slice, at_once: int) -> Iterator[list[Row]]:
        return _pages_of(source, connections.sql[name], first, key, at_once)

    for events in rows_of("events_past", (Int8(0),), slice(1), _EVENTS_AT_ONCE):
        copy.executemany(SQL["insert_event"], events)
    types = source.execute(connections.sql["all_types"]).fetchall()
    copy.executemany(SQL["count_type"], types)
    for summaries in rows_of("summaries_past", ("", ""), slice(2), _SUMMARIES_AT_ONCE):
        copy.executemany(SQL["put_summary"], [(*row, checksum(*row)) for row in summaries])
    records = 0
    for found in rows_of("ledger_past", ("",), slice(1), _RECORDS_AT_ONCE):
        copy.executemany(SQL["ledger_put"], [(*row, checksum(*row)) for row in found])
        records += len(found)
    put_numbers(copy, CopiedNumbers(*known, records))
    copy.execute("COMMIT")
    copy.execute("PRAGMA journal_mode=DELETE")


def _pages_of(
    source: Connection[Any], statement: str, first: Key, key: slice, at_once: int
) -> Iterator[list[Row]]:
    """The rows of a table in order of its key, in constant memory.

    Args:
        source: in a snapshot.
        statement: gives so many rows past a key.
        first: lies before every key.
        key: where it stands in a row.
        at_once: how many rows to read at a time.
    """
    past = first
    while rows := source.execute(statement, (*past, Int8(at_once)), binary=True).fetchall():
        yield rows
        past = rows[-1][key]
