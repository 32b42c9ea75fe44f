"""Looking after a store's file: backup, prune, redact, check.

Each works while others use the store, in short transactions where it writes.
"""

from __future__ import annotations

import os
import sqlite3
import time

from tidings.durable_files import make_directory, sync_directory, sync_file
from tidings.errors import StoreDamaged, StoreLocked, StoreUnavailable, TidingsError
from tidings.event import Event
from tidings.record import PAYLOAD, POSITION, checksum_of
from tidings.store.sqlite.bookkeeping import (
    agreed_numbers,
    checked,
    put_numbers,
)
from tidings.store.sqlite.failures import Translated
from tidings.store.sqlite.ledger import ensure_all_there
from tidings.store.sqlite.reading import pages
from tidings.store.sqlite.soundness import ensure_sound
from tidings.store.sqlite.statements import SQL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidings.store.query import Query
    from tidings.store.sqlite.connections import Connections

__all__ = ["backup", "check", "empty_wal", "prune", "redact_matching"]

_PRUNED_AT_ONCE = 10_000
_REDACTED_AT_ONCE = 500
_RETRY_SECONDS = 0.01
_SHOWN_PROBLEMS = 20


def backup(
    connections: Connections,
    path: str,
    finish: Callable[[sqlite3.Connection], None] | None = None,
) -> None:
    """Write a copy of the store to `path`; what is there is replaced when the copy is whole.

    Args:
        connections: the store's.
        path: where to write.
        finish: what is still to be done to the copy, if anything.
    """
    target = os.path.abspath(path)
    unfinished = f"{target}.{os.getpid()}.tmp"
    try:
        make_directory(os.path.dirname(target))
        with connections.reading() as source, Translated(target, connections.deadline):
            copy = sqlite3.connect(unfinished, isolation_level=None)
            try:
                source.backup(copy)
                if finish is not None:
                    finish(copy)
                # Back to one file: a copy that is moved around must not need a WAL beside it.
                copy.execute("PRAGMA journal_mode=DELETE")
            finally:
                copy.close()
        sync_file(unfinished)
        os.replace(unfinished, target)
        sync_directory(os.path.dirname(target))
    except OSError as error:
        raise StoreUnavailable(f"backup to {target} failed: {error.strerror}") from error
    finally:
        if os.path.exists(unfinished):
            os.unlink(unfinished)


def prune(connections: Connections, through: int) -> int:
    """Remove the events up to and with a position."""
    removed = 0
    while True:
        with connections.transaction() as connection:
            known = agreed_numbers(connection)
            oldest = connection.execute(SQL["oldest"]).fetchone()[0] or known.head
            goal = min(through, known.head)
            upto = min(goal, max(known.pruned, oldest - 1) + _PRUNED_AT_ONCE)
            if upto <= known.pruned:
                return removed
            for name, count in connection.execute(SQL["pruned_types"], (upto,)).fetchall():
                connection.execute(SQL["discount_type"], (name, count))
            connection.execute(SQL["drop_empty_types"])
            deleted = connection.execute(SQL["delete_events"], (upto,)).rowcount
            passed_over = upto - known.pruned - deleted
            put_numbers(connection, known._replace(pruned=upto, gaps=known.gaps - passed_over))
            removed += deleted
            connection.execute(SQL["delete_pruned_correlations"], (upto,))


def redact_matching(connections: Connections, query: Query) -> int:
    """Empty the payloads of the events that match; `empty_wal` then overwrites where they were."""
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
    return redacted


def check(connections: Connections) -> list[str]:
    """What is wrong with the store."""
    try:
        with connections.snapshot() as connection:
            problems = [
                f"SQLite: {row[0]}"
                for row in connection.execute("PRAGMA integrity_check")
                if row[0] != "ok"
            ]
            return problems or _contradictions(connection)
    except TidingsError as error:
        return [str(error)]


def _redact(connections: Connections, positions: list[int]) -> int:
    redacted = 0
    with connections.transaction() as connection:
        for position in positions:
            record = connection.execute(SQL["event_at"], (position,)).fetchone()
            if record is None or record[PAYLOAD] is None:
                continue
            Event.from_record(record).verify()  # or a new checksum would hide the damage
            emptied = (*record[:PAYLOAD], None, *record[PAYLOAD + 1 :])
            connection.execute(SQL["redact_event"], (checksum_of(emptied), position))
            redacted += 1
    return redacted


def empty_wal(connections: Connections) -> None:
    """Copy the WAL into the file and cut it off: it still holds what was redacted."""
    until = time.monotonic() + connections.deadline
    with connections.writing() as connection, Translated(connections.path, connections.deadline):
        while True:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if not busy:
                return
            if time.monotonic() > until:
                raise StoreLocked(
                    f"{connections.path}: the payloads are redacted, but readers keep an old copy "
                    f"alive in {connections.path}-wal; redact again when they are done"
                )
            time.sleep(_RETRY_SECONDS)


def _contradictions(connection: sqlite3.Connection) -> list[str]:
    problems = [*_differing_events(connection), *_differing_rows(connection)]
    for name, kept, found in connection.execute(SQL["miscounted_types"]):
        problems.append(f"type {name!r} is counted as {kept}, and there are {found}")
    for kind, name, found, kept in connection.execute(SQL["misplaced_aggregates"]):
        problems.append(f"{kind}/{name} is at version {found}, and its summary says {kept}")
    for kind, name, version, count in connection.execute(SQL["repeated_versions"]):
        problems.append(f"{kind}/{name} has {count} events of version {version}")
    if len(problems) > _SHOWN_PROBLEMS:
        left_out = len(problems) - _SHOWN_PROBLEMS
        problems[_SHOWN_PROBLEMS:] = [f"… and {left_out} more like these"]
    return problems


def _differing_events(connection: sqlite3.Connection) -> Iterator[str]:
    for record in connection.execute(SQL["everything"]):
        try:
            ensure_sound([record])
            Event.from_record(record).verify()
        except (sqlite3.DatabaseError, StoreDamaged):
            yield f"the event at position {record[POSITION]} differs from its checksum"


def _differing_rows(connection: sqlite3.Connection) -> Iterator[str]:
    """What is wrong in the rows outside of the log."""
    for statement in ("all_summaries", "all_ledger"):
        for row in connection.execute(SQL[statement]):
            try:
                checked(row, f"the row of {row[:2]!r} in {statement.removeprefix('all_')}")
            except sqlite3.DatabaseError as error:
                yield str(error)
    for agree in (agreed_numbers, ensure_all_there):
        try:
            agree(connection)
        except sqlite3.DatabaseError as error:
            yield str(error)
