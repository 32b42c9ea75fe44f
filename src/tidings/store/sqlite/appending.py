"""How batches of events become rows: decided in order, written set by set, in one transaction.

Keeps promise 5 (a refused batch leaves no trace) and the contract of `Store.append_all`. First
every batch is decided in memory, then all accepted rows are written with a few statements; the
caller commits. It does not open transactions or translate errors.
"""

from __future__ import annotations

import sqlite3

from tidings.errors import IdConflict, InvalidEvent, TidingsError, VersionConflict
from tidings.event import Event
from tidings.record import (
    AGGREGATE_ID,
    AGGREGATE_TYPE,
    CORRELATION_ID,
    KEY,
    POSITION,
    RECORDED,
    TYPE,
    VERSION,
    differing_fields,
    placed,
)
from tidings.store.base import CORRELATION, Summary
from tidings.store.sqlite import ledger
from tidings.store.sqlite.bookkeeping import (
    agreed_numbers,
    checked,
    checksum,
    numbers,
    put_numbers,
)
from tidings.store.sqlite.statements import SQL
from tidings.store.summarize import fold_aggregate, fold_correlation
from tidings.timestamps import now_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from tidings.record import Record
    from tidings.store.base import Batch
    from tidings.store.sqlite.bookkeeping import Head

__all__ = ["DuplicateKeys", "append_batches", "restore_events", "summary_of"]

_KEYS_PER_QUERY = 500


class DuplicateKeys(Exception):  # noqa: N818 - a signal to the caller, never to users
    """An id is there already; decide again, looking ids up first."""


def append_batches(
    connection: sqlite3.Connection, head: Head, batches: Sequence[Batch], *, look_up: bool
) -> list[list[Event] | Exception]:
    """Decide and write batches inside the caller's transaction.

    Args:
        connection: in a write transaction.
        head: what is known of the head; moved by what is appended.
        batches: what to append.
        look_up: whether to look the ids up first. Nearly all ids are new, so the caller first tries
            without, and the unique index tells when that was wrong.

    Raises:
        DuplicateKeys: `look_up` is false and an id is there already; roll back and do look up.
    """
    appending = _Appending(connection, head.look_up(connection))
    if look_up:
        appending.look_up(event.record[KEY] for batch in batches for event in batch.events)
    results: list[list[Event] | Exception] = []
    for batch in batches:
        try:
            results.append(appending.decide(batch))
        except TidingsError as error:
            results.append(error)
    try:
        appending.write()
    except sqlite3.IntegrityError as error:
        if look_up:
            raise
        raise DuplicateKeys from error
    head.move(connection, appending.head)
    return results


def summary_of(row: tuple[Any, ...]) -> Summary:
    """A row of `summaries` as what it stands for."""
    kind, *values = checked(row, f"the summary of {row[0] or CORRELATION}/{row[1]}")
    return Summary(kind or CORRELATION, *values)


def restore_events(connection: sqlite3.Connection, events: Iterable[Event]) -> int:
    """Write events at the positions and versions they carry, inside the caller's transaction."""
    appending = _Appending(connection, agreed_numbers(connection).head)
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


class _Appending:
    """What one transaction knows and is about to write."""

    def __init__(self, connection: sqlite3.Connection, head: int) -> None:
        self.connection = connection
        self.head = head
        self.left_out = 0
        self.recorded = now_instant()
        self.rows: list[Record] = []
        self.known: dict[bytes, Record] = {}
        self.looked_up = False
        self.versions: dict[tuple[str, str], int] = {}
        self.summaries: dict[tuple[str, str], Summary | None] = {}

    def look_up(self, keys: Iterable[bytes]) -> None:
        """Learn which of the ids are there."""
        self.looked_up = True
        wanted = list(dict.fromkeys(keys))
        for start in range(0, len(wanted), _KEYS_PER_QUERY):
            part = wanted[start : start + _KEYS_PER_QUERY]
            marks = ",".join("?" * len(part))
            for record in self.connection.execute(
                f"SELECT * FROM events WHERE key IN ({marks})",  # noqa: S608 - question marks only
                part,
            ):
                self.known[record[KEY]] = record

    def decide(self, batch: Batch) -> list[Event]:
        """The stored events of a batch, or the reason why it cannot be."""
        aggregate = batch.aggregate()
        fresh = self._fresh(batch.events) if self.looked_up else list(batch.events)
        if aggregate is not None and fresh:
            self._expect(aggregate, batch.expected_version)
        puts = ledger.checked(self.connection, batch.put) if batch.put else ()
        stored = list(map(Event.from_record, self._placed(fresh)))
        for key, value in puts:
            ledger.write(self.connection, key, value)
        if len(stored) == len(batch.events):
            return stored
        return [Event.from_record(self.known[event.record[KEY]]) for event in batch.events]

    def place(self, event: Event) -> None:
        """Take an event at the position it carries."""
        record = event.record
        if record[POSITION] is None or record[POSITION] <= self.head:
            raise InvalidEvent(
                "position", record[POSITION], f"must lie past the head, {self.head}, to be restored"
            )
        self._ensure_version_rises(record)
        recorded = self.recorded if record[RECORDED] is None else record[RECORDED]
        self.rows.append(placed(record, record[POSITION], record[VERSION], recorded))
        self.left_out += record[POSITION] - self.head - 1
        self.head = record[POSITION]

    def write(self) -> None:
        """Write what was decided."""
        if not self.rows:
            return
        connection = self.connection
        if len(self.rows) == 1:
            connection.execute(SQL["insert_event"], self.rows[0])
        else:
            connection.executemany(SQL["insert_event"], self.rows)
        counts: dict[str, int] = {}
        newest: dict[str, int] = {}
        for row in self.rows:
            name = row[TYPE]
            counts[name] = counts.get(name, 0) + 1
            newest[name] = row[POSITION]
            if row[AGGREGATE_ID] is not None or row[CORRELATION_ID] is not None:
                self._summarize(row)
        for name, count in counts.items():
            connection.execute(SQL["count_type"], (name, count, newest[name]))
        for (kind, _), summary in self.summaries.items():
            if summary is not None:
                row = kind, *summary[1:]
                connection.execute(SQL["put_summary"], (*row, checksum(*row)))

    def _fresh(self, events: Sequence[Event]) -> list[Event]:
        """The events whose ids are new; the others must say what is kept under theirs."""
        fresh: dict[bytes, Event] = {}
        for event in events:
            sent = event.record
            first = fresh.get(sent[KEY])
            kept = self.known.get(sent[KEY]) if first is None else first.record
            if kept is None:
                fresh[sent[KEY]] = event
                continue
            differs = differing_fields(kept, sent, timestamp_given=event.timestamp_given)
            if differs:
                raise IdConflict(event.id, kept[POSITION] or self.head + 1, differs)
        return list(fresh.values())

    def _expect(self, aggregate: tuple[str, str], expected: int | None) -> None:
        actual = self._version(aggregate)
        if expected != actual:
            raise VersionConflict("/".join(aggregate), expected or 0, actual)

    def _ensure_version_rises(self, record: Record) -> None:
        """Refuse a version that the aggregate has passed; pruned ones may be missing."""
        if record[AGGREGATE_ID] is None:
            return
        aggregate = record[AGGREGATE_TYPE], record[AGGREGATE_ID]
        before = self._version(aggregate)
        if record[VERSION] is None or record[VERSION] <= before:
            rule = f"must lie past {before}, where its aggregate stands, to be restored"
            raise InvalidEvent("version", record[VERSION], rule)
        self.versions[aggregate] = record[VERSION]

    def _version(self, aggregate: tuple[str, str]) -> int:
        version = self.versions.get(aggregate)
        if version is None:
            summary = self._summary(aggregate)
            version = self.versions[aggregate] = 0 if summary is None else summary.version
        return version

    def _placed(self, events: list[Event]) -> list[Record]:
        """The rows of accepted events, at the next positions and versions."""
        rows = []
        position, recorded = self.head, self.recorded
        for event in events:
            record = event.record
            position += 1
            if record[AGGREGATE_ID] is None:
                version = None
            else:
                aggregate = record[AGGREGATE_TYPE], record[AGGREGATE_ID]
                version = self.versions[aggregate] = self._version(aggregate) + 1
            rows.append(placed(record, position, version, recorded))
        self.head = position
        self.rows.extend(rows)
        if self.looked_up:
            self.known.update((row[KEY], row) for row in rows)
        return rows

    def _summarize(self, row: Record) -> None:
        if row[AGGREGATE_ID] is not None:
            key = row[AGGREGATE_TYPE], row[AGGREGATE_ID]
            self.summaries[key] = fold_aggregate(self._summary(key), row)
        if row[CORRELATION_ID] is not None:
            key = "", row[CORRELATION_ID]
            self.summaries[key] = fold_correlation(self._summary(key), row)

    def _summary(self, key: tuple[str, str]) -> Summary | None:
        if key not in self.summaries:
            row = self.connection.execute(SQL["summary"], key).fetchone()
            self.summaries[key] = None if row is None else summary_of(row)
        return self.summaries[key]
