"""How batches of events become rows: decided in order, written set by set, in one transaction.

First every batch is decided in memory (`store/deciding.py`), then all accepted rows are written
with a few statements; the caller commits. It does not open transactions or translate errors.
"""

from __future__ import annotations

import sqlite3

from tidings.errors import InvalidEvent
from tidings.record import KEY
from tidings.store.base import CORRELATION, Summary
from tidings.store.deciding import Appending
from tidings.store.sqlite import ledger
from tidings.store.sqlite.bookkeeping import (
    agreed_numbers,
    checked,
    checksum,
    numbers,
    put_numbers,
)
from tidings.store.sqlite.statements import SQL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from tidings.event import Event
    from tidings.record import Record
    from tidings.store.base import Batch, Put
    from tidings.store.sqlite.bookkeeping import Head

__all__ = [
    "DuplicateKeys",
    "append_batches",
    "must_look_up",
    "records_of",
    "restore_events",
    "summary_of",
]

_KEYS_PER_QUERY = 500


class DuplicateKeys(Exception):  # noqa: N818 - a signal to the caller, never to users
    """An id is there already; decide again, looking ids up first."""


def append_batches(
    connection: sqlite3.Connection,
    head: Head,
    batches: Sequence[Batch],
    *,
    look_up: bool,
    recorded: Sequence[int] | None = None,
) -> list[list[Event] | Exception]:
    """Decide and write batches inside the caller's transaction.

    Args:
        connection: in a write transaction.
        head: what is known of the head; moved by what is appended.
        batches: what to append.
        look_up: whether to look the ids up first. Nearly all ids are new, so the caller first tries
            without, and the unique index tells when that was wrong.
        recorded: the instant at which each batch was taken; none for now.

    Raises:
        DuplicateKeys: `look_up` is false and an id is there already; roll back and do look up.
    """
    appending = _Appending(connection, head.look_up(connection))
    if look_up:
        appending.look_up(event.record[KEY] for batch in batches for event in batch.events)
    results = appending.decide_all(batches, recorded)
    try:
        appending.write()
    except sqlite3.IntegrityError as error:
        if look_up:
            raise
        raise DuplicateKeys from error
    head.move(connection, appending.head)
    return results


def records_of(connection: sqlite3.Connection, keys: Iterable[bytes]) -> dict[bytes, Record]:
    """The records that are there under some keys."""
    found = {}
    wanted = list(dict.fromkeys(keys))
    for start in range(0, len(wanted), _KEYS_PER_QUERY):
        part = wanted[start : start + _KEYS_PER_QUERY]
        marks = ",".join("?" * len(part))
        for record in connection.execute(
            f"SELECT * FROM events WHERE key IN ({marks})",  # noqa: S608 - question marks only
            part,
        ):
            found[record[KEY]] = record
    return found


def must_look_up(batches: Sequence[Batch]) -> bool:
    """Whether ids must be known before anything is decided.

    They must where something is expected, because an event sent again never breaks that; and where
    an id stands twice.
    """
    keys: list[bytes] = []
    for batch in batches:
        if batch.expected_version is not None or batch.put:
            return True
        keys += [event.record[KEY] for event in batch.events]
    return len(set(keys)) < len(keys)


def summary_of(row: tuple[Any, ...]) -> Summary:
    """A row of `summaries` as what it stands for."""
    kind, *values = checked(row, f"the summary of {row[0] or CORRELATION}/{row[1]}")
    return Summary(kind or CORRELATION, *values)


def restore_events(
    connection: sqlite3.Connection, events: Iterable[Event], recorded: int | None = None
) -> int:
    """Write events at the positions and versions they carry, inside the caller's transaction.

    Args:
        connection: in a write transaction.
        events: what to write.
        recorded: the instant at which those were taken that do not say it; none for now.
    """
    appending = _Appending(connection, agreed_numbers(connection).head)
    if recorded is not None:
        appending.recorded = recorded
    for event in events:
        appending.place(event)
    try:
        appending.write()
    except sqlite3.IntegrityError:
        raise InvalidEvent("id", "", "of an event to restore is in the store already") from None
    if appending.left_out:
        known = numbers(connection)
        put_numbers(connection, known._replace(gaps=known.gaps + appending.left_out))
    return len(appending.rows)


class _Appending(Appending):
    """What one transaction knows, and the statements that write it."""

    def __init__(self, connection: sqlite3.Connection, head: int) -> None:
        super().__init__(head)
        self.connection = connection

    def look_up(self, keys: Iterable[bytes]) -> None:
        """Learn which of the ids are there."""
        self.looked_up = True
        self.known.update(records_of(self.connection, keys))

    def find_summary(self, kind: str, id: str) -> Summary | None:
        row = self.connection.execute(SQL["summary"], (kind, id)).fetchone()
        return None if row is None else summary_of(row)

    def check_puts(self, puts: Sequence[Put]) -> list[tuple[str, str]]:
        return ledger.checked(self.connection, puts)

    def write_put(self, key: str, value: str) -> int:
        return ledger.write(self.connection, key, value)

    def write(self) -> None:
        """Write what was decided."""
        if not self.rows:
            return
        connection = self.connection
        if len(self.rows) == 1:
            connection.execute(SQL["insert_event"], self.rows[0])
        else:
            connection.executemany(SQL["insert_event"], self.rows)
        counts, newest = self.summarize()
        for name, count in counts.items():
            connection.execute(SQL["count_type"], (name, count, newest[name]))
        summaries = [
            (kind, *summary[1:])
            for (kind, _), summary in self.summaries.items()
            if summary is not None
        ]
        connection.executemany(SQL["put_summary"], [(*row, checksum(*row)) for row in summaries])
