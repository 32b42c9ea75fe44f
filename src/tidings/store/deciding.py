"""How batches of events are decided: in order, in memory, before anything is written.

Keeps promise 5 (a refused batch leaves no trace) and the contract of `Store.append_all`, the same
way for every backend that keeps rows: what an id sent again, an expected version or a version to
restore means is said here once. It reads and writes nothing; a backend's subclass says how
summaries and ledger records are found, and writes the rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

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
from tidings.store.summarize import fold_aggregate, fold_correlation
from tidings.timestamps import now_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.record import Record
    from tidings.store.base import Batch, Put, Summary

__all__ = ["Appending"]


class Appending(ABC):
    """What one transaction knows and is about to write.

    Args:
        head: the newest position ever kept.

    Attributes:
        recorded: the instant the store takes what is decided next.
        rows: the records to write, in order of position.
        left_out: how many positions restored events left out.
        known: records of ids that are there, or about to be, by key; complete for the ids at hand
            where `looked_up` holds.
        summaries: summaries by kind (empty for correlations) and id; none where there is none.
    """

    def __init__(self, head: int) -> None:
        self.head = head
        self.left_out = 0
        self.recorded = now_instant()
        self.rows: list[Record] = []
        self.known: dict[bytes, Record] = {}
        self.looked_up = False
        self.versions: dict[tuple[str, str], int] = {}
        self.summaries: dict[tuple[str, str], Summary | None] = {}

    @abstractmethod
    def find_summary(self, kind: str, id: str) -> Summary | None:
        """The kept summary of an aggregate or, with the empty kind, of a correlation."""

    @abstractmethod
    def check_puts(self, puts: Sequence[Put]) -> list[tuple[str, str]]:
        """Keys and encoded values of ledger writes that may happen; see `ledger.checked_puts`."""

    @abstractmethod
    def write_put(self, key: str, value: str) -> int:
        """Write a ledger record that `check_puts` let pass; returns its revision."""

    def decide_all(
        self, batches: Sequence[Batch], recorded: Sequence[int] | None = None
    ) -> list[list[Event] | Exception]:
        """For each batch, in order, what `decide` gives or raises.

        Args:
            batches: what to append.
            recorded: the instant at which each was taken; none for now.
        """
        results: list[list[Event] | Exception] = []
        for index, batch in enumerate(batches):
            if recorded is not None:
                self.recorded = recorded[index]
            try:
                results.append(self.decide(batch))
            except TidingsError as error:
                results.append(error)
        return results

    def decide(self, batch: Batch) -> list[Event]:
        """The stored events of a batch, or the reason why it cannot be."""
        aggregate = batch.aggregate()
        fresh = self._fresh(batch.events) if self.looked_up else list(batch.events)
        if aggregate is not None and fresh:
            self._expect(aggregate, batch.expected_version)
        puts = self.check_puts(batch.put) if batch.put else []
        stored = list(map(Event.from_record, self._placed(fresh)))
        for key, value in puts:
            self.write_put(key, value)
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

    def summarize(self) -> tuple[dict[str, int], dict[str, int]]:
        """Bring `summaries` up to date with the rows.

        Returns:
            For each type that the rows have, how many do, and the newest position among them.
        """
        counts: dict[str, int] = {}
        newest: dict[str, int] = {}
        for row in self.rows:
            name = row[TYPE]
            counts[name] = counts.get(name, 0) + 1
            newest[name] = row[POSITION]
            if row[AGGREGATE_ID] is not None or row[CORRELATION_ID] is not None:
                self._summarize(row)
        return counts, newest

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
                place = kept[POSITION]
                if first is not None:  # earlier in this batch, and not placed yet
                    place = self.head + 1 + list(fresh).index(kept[KEY])
                raise IdConflict(event.id, place, differs)
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
            self.summaries[key] = self.find_summary(*key)
        return self.summaries[key]
