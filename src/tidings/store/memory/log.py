"""The log of a memory store: events in order, and what is kept up beside them.

Keeps promise 5 (a refused batch leaves no trace): everything is decided before anything is kept. It
holds no lock and wakes nobody; `store` does.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import NamedTuple

from tidings.errors import IdConflict, InvalidEvent, VersionConflict
from tidings.record import (
    AGGREGATE_ID,
    AGGREGATE_TYPE,
    CORRELATION_ID,
    KEY,
    PAYLOAD,
    POSITION,
    RECORDED,
    TYPE,
    VERSION,
    differing_fields,
)
from tidings.store.adopting import ensure_adoptable, ensure_may_be_pruned
from tidings.store.base import CORRELATION, TypeCount
from tidings.store.summarize import fold_aggregate, fold_correlation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeAlias

    from tidings.event import Event
    from tidings.record import Record
    from tidings.store.base import Batch, Summary

    Aggregate: TypeAlias = tuple[str, str]

__all__ = ["Decision", "Log"]


class Decision(NamedTuple):
    """What becomes of a batch: for each event its record, and the records that are new."""

    records: list[Record]
    fresh: list[Record]


class Log:
    """Events in order of position.

    Attributes:
        records: what is left of the log.
        types: the types that occur in it.
        aggregates: the summaries of aggregates, also of pruned ones, because their versions go on.
        correlations: the summaries of correlations that have an event left.
        head: the newest position ever kept.
        pruned: the last position that was pruned away.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.types: dict[str, TypeCount] = {}
        self.aggregates: dict[Aggregate, Summary] = {}
        self.correlations: dict[str, Summary] = {}
        self.head = 0
        self.pruned = 0
        self._position_of: dict[bytes, int] = {}

    # Deciding -------------------------------------------------------------------------------------

    def decide(self, batch: Batch, recorded: int) -> Decision:
        """Where the events of a batch would be kept, or the reason why they cannot be.

        Args:
            batch: what to append.
            recorded: the instant the store takes it.

        Raises:
            InvalidEvent, IdConflict, VersionConflict: as for `Store.append`.
        """
        aggregate = batch.aggregate()
        fresh = self._placed(batch.events, recorded)
        if aggregate is not None and fresh:
            actual = self._version(aggregate)
            if batch.expected_version != actual:
                raise VersionConflict("/".join(aggregate), batch.expected_version or 0, actual)
        keys = [event.record[KEY] for event in batch.events]
        return Decision([fresh.get(key) or self._known(key) for key in keys], list(fresh.values()))

    def decide_restore(self, events: Iterable[Event], recorded: int) -> list[Record]:
        """The records of events that bring their positions and versions.

        Raises:
            InvalidEvent: one has no position past those before it, or an id that is taken, or a
                version that its aggregate has passed.
        """
        head, records = self.head, []
        keys: set[bytes] = set()
        versions: dict[Aggregate, int] = {}
        for event in events:
            record = event.record
            if record[POSITION] is None or record[POSITION] <= head:
                rule = f"must lie past the head, {head}, to be restored"
                raise InvalidEvent("position", record[POSITION], rule)
            if record[KEY] in keys or record[KEY] in self._position_of:
                raise InvalidEvent("id", event.id, "is in the store already; it cannot be restored")
            self._ensure_version_rises(record, versions)
            head = record[POSITION]
            keys.add(record[KEY])
            taken = recorded if record[RECORDED] is None else record[RECORDED]
            records.append((*record[:RECORDED], taken, None))
        return records

    def _placed(self, events: Sequence[Event], recorded: int) -> dict[bytes, Record]:
        """The events that are new, at their places; the others must say what is kept."""
        fresh: dict[bytes, Record] = {}
        versions: dict[Aggregate, int] = {}
        for event in events:
            sent = event.record
            key = sent[KEY]
            kept = self._known(key) if key in self._position_of else fresh.get(key)
            if kept is None:
                place = self.head + len(fresh) + 1
                fresh[key] = (
                    place, *sent[KEY:VERSION], self._next_version(sent, versions),
                    *sent[VERSION + 1 : RECORDED], recorded, None,
                )  # fmt: skip
                continue
            differs = differing_fields(kept, sent, timestamp_given=event.timestamp_given)
            if differs:
                raise IdConflict(event.id, kept[POSITION], differs)
        return fresh

    def _next_version(self, record: Record, versions: dict[Aggregate, int]) -> int | None:
        if record[AGGREGATE_ID] is None:
            return None
        aggregate = record[AGGREGATE_TYPE], record[AGGREGATE_ID]
        versions[aggregate] = versions.get(aggregate, self._version(aggregate)) + 1
        return versions[aggregate]

    def _ensure_version_rises(self, record: Record, versions: dict[Aggregate, int]) -> None:
        """Refuse a version that its aggregate has passed; pruned ones may be missing."""
        if record[AGGREGATE_ID] is None:
            return
        aggregate = record[AGGREGATE_TYPE], record[AGGREGATE_ID]
        before = versions.get(aggregate, self._version(aggregate))
        if record[VERSION] is None or record[VERSION] <= before:
            rule = f"must be past {before}, where {'/'.join(aggregate)} stands, to be restored"
            raise InvalidEvent("version", record[VERSION], rule)
        versions[aggregate] = record[VERSION]

    def _version(self, aggregate: Aggregate) -> int:
        summary = self.aggregates.get(aggregate)
        return 0 if summary is None else summary.version

    # Keeping --------------------------------------------------------------------------------------

    def keep(self, records: Iterable[Record]) -> None:
        """Take records that have their places, and bring what lies beside the log up to date."""
        for record in records:
            self.index(record)
            name = record[AGGREGATE_ID]
            if name is not None:
                aggregate = record[AGGREGATE_TYPE], name
                before = self.aggregates.get(aggregate)
                self.aggregates[aggregate] = fold_aggregate(before, record)
            name = record[CORRELATION_ID]
            if name is not None:
                self.correlations[name] = fold_correlation(self.correlations.get(name), record)

    def index(self, record: Record) -> None:
        """Take a record whose summaries are known already."""
        position, type = record[POSITION], record[TYPE]
        self.records.append(record)
        self.head = position
        self._position_of[record[KEY]] = position
        counted = self.types.get(type)
        self.types[type] = TypeCount(type, 1 if counted is None else counted.count + 1, position)

    def prune(self, through: int) -> int:
        """Remove the events up to and with a position."""
        _, stop = self.window(0, through + 1)
        for record in self.records[:stop]:
            del self._position_of[record[KEY]]
            counted = self.types.pop(record[TYPE])
            if counted.count > 1:
                self.types[record[TYPE]] = counted._replace(count=counted.count - 1)
        del self.records[:stop]
        self.pruned = max(self.pruned, min(through, self.head))
        gone = [key for key, kept in self.correlations.items() if kept.last_position <= self.pruned]
        for key in gone:
            del self.correlations[key]
        return stop

    def redact(self, positions: Iterable[int]) -> int:
        """Empty the payloads at some positions; returns how many had one."""
        redacted = 0
        for position in positions:
            index = bisect_left(self.records, position, key=_position)
            record = self.records[index]
            if record[PAYLOAD] is not None:
                self.records[index] = (*record[:PAYLOAD], None, *record[PAYLOAD + 1 :])
                redacted += 1
        return redacted

    def adopt(self, pruned: int, summaries: Iterable[Summary]) -> None:
        """Take over what was pruned elsewhere, and what is left of it; see `Store.adopt`."""
        if pruned > self.pruned:
            ensure_may_be_pruned(pruned, self.pruned, len(self.records))
        upto = max(pruned, self.pruned)
        adopted = list(summaries)
        for summary in adopted:
            ensure_adoptable(summary, self._remaining(summary.kind, summary.id), upto)
        self.pruned, self.head = upto, max(self.head, upto)
        for summary in adopted:
            if summary.kind:
                self.aggregates[summary.kind, summary.id] = summary
            else:
                self.correlations[summary.id] = summary._replace(kind=CORRELATION)

    def remains(self) -> list[Summary]:
        """The summaries that began before what is left, by kind, which correlations have none."""
        correlations = (kept._replace(kind="") for kept in self.correlations.values())
        return sorted(
            kept
            for kept in (*correlations, *self.aggregates.values())
            if kept.first_position <= self.pruned
        )

    def _remaining(self, kind: str, id: str) -> Summary | None:
        if kind:
            return self.aggregates.get((kind, id))
        kept = self.correlations.get(id)
        return None if kept is None else kept._replace(kind="")

    # Finding --------------------------------------------------------------------------------------

    def window(self, after: int, before: int | None) -> tuple[int, int]:
        """Where in the list the events between two positions start and stop."""
        start = bisect_right(self.records, after, key=_position)
        if before is None:
            return start, len(self.records)
        return start, max(start, bisect_left(self.records, before, key=_position))

    def at(self, position: int) -> Record:
        """The record at a position, which is there."""
        return self.records[bisect_left(self.records, position, key=_position)]

    def _known(self, key: bytes) -> Record:
        return self.at(self._position_of[key])

    # Checking -------------------------------------------------------------------------------------

    def problems(self) -> list[str]:
        """What contradicts itself, one sentence each."""
        found = []
        positions = [self.pruned, *map(_position, self.records)]
        if any(left >= right for left, right in pairwise(positions)):
            found.append("The positions of the log do not rise from what was pruned on.")
        if positions[-1] > self.head:
            found.append(f"The newest event is at {positions[-1]}, past the head, {self.head}.")
        if self._position_of != {record[KEY]: record[POSITION] for record in self.records}:
            found.append("The index of ids does not say where the events are.")
        if self.types != self._counted_types():
            found.append("The counts of types are not those of the events.")
        return found + self._summary_problems()

    def _counted_types(self) -> dict[str, TypeCount]:
        counted: dict[str, TypeCount] = {}
        for record in self.records:
            before = counted.get(record[TYPE])
            count = 1 if before is None else before.count + 1
            counted[record[TYPE]] = TypeCount(record[TYPE], count, record[POSITION])
        return counted

    def _summary_problems(self) -> list[str]:
        newest: dict[Aggregate, Record] = {}
        for record in self.records:
            if record[AGGREGATE_ID] is not None:
                newest[record[AGGREGATE_TYPE], record[AGGREGATE_ID]] = record
        return [
            f"The summary of {'/'.join(aggregate)} does not speak of its newest event, at "
            f"{record[POSITION]}."
            for aggregate, record in newest.items()
            if (summary := self.aggregates.get(aggregate)) is None
            or (summary.version, summary.last_position) != (record[VERSION], record[POSITION])
        ]


def _position(record: Record) -> int:
    return record[POSITION]  # type: ignore[no-any-return]  # records hold many types
