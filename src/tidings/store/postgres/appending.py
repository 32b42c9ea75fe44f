"""How batches of events become rows: decided in order, written set by set, in one transaction.

What the batches touch (ids, aggregates, correlations, ledger records) is looked up at once under
the store's lock, every batch is decided in memory (`store/deciding.py`), and all accepted rows are
written with a few statements. Sending and committing them is the work of `writing`.
"""

from __future__ import annotations

from json import JSONEncoder

from tidings.errors import InvalidEvent, InvalidQuery
from tidings.record import (
    AGGREGATE_ID,
    AGGREGATE_TYPE,
    CHECKSUM,
    CONTEXT,
    CORRELATION_ID,
    EXTENSIONS,
    KEY,
    PAYLOAD,
    POSITION,
)
from tidings.store.base import CORRELATION, Summary
from tidings.store.deciding import Appending
from tidings.store.ledger import checked_key, checked_puts
from tidings.store.postgres.schema import channel
from tidings.store.postgres.writing import Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tidings.event import Event
    from tidings.record import Record
    from tidings.store.base import Batch, Put
    from tidings.store.postgres.bookkeeping import Numbers
    from tidings.store.postgres.connections import Connections
    from tidings.store.postgres.writing import Rows, Statement

__all__ = ["AppendBatches", "RestoreEvents", "summary_of"]

_ROWS_AT_ONCE = 1_000
_CHARACTERS_AT_ONCE = 8 * 1024 * 1024
"""How much is sent as one JSON value; PostgreSQL takes at most 256 MiB (larger events go alone)."""


def summary_of(row: tuple[object, ...]) -> Summary:
    """A row of `summaries` as what it stands for."""
    return Summary(row[0] or CORRELATION, *row[1:])


class _AppendRows(Work):
    """What appending and restoring have in common.

    Args:
        connections: the store's.
        events: all that may be appended.
    """

    def __init__(self, connections: Connections, events: Iterable[Event]) -> None:
        super().__init__(connections)
        self._channel = channel(connections.address.schema)
        self._keys: list[bytes] = []
        self._summaries: dict[tuple[str, str], None] = {}
        for event in events:
            record = event.record
            self._keys.append(record[KEY])
            if record[AGGREGATE_ID] is not None:
                self._summaries[record[AGGREGATE_TYPE], record[AGGREGATE_ID]] = None
            if record[CORRELATION_ID] is not None:
                self._summaries["", record[CORRELATION_ID]] = None
        self.appending: _Appending

    def questions(self) -> list[Statement]:
        """The events with these ids, and the summaries of what the events are about, if any."""
        asked: list[Statement] = [(self.sql["known"], (self._keys,))]
        if self._summaries:
            kinds, names = zip(*self._summaries, strict=True)
            asked.append((self.sql["summaries_of"], (list(kinds), list(names))))
        return asked

    def look_up(self, answers: Sequence[Rows]) -> None:
        """Learn what is there."""
        self.appending = appending = _Appending(self.known.head, self.known.revision)
        appending.looked_up = True
        appending.known = {row[KEY]: row for row in answers[0]}
        appending.summaries = dict.fromkeys(self._summaries)
        for row in answers[1] if self._summaries else ():
            appending.summaries[row[0], row[1]] = summary_of(row)

    def statements(self) -> list[Statement]:
        """What writes the rows, and all that is kept up beside them."""
        appending, sql = self.appending, self.sql
        if not appending.rows and not appending.puts:
            return []
        written = list(_inserts(sql, appending.rows))
        counts, newest = appending.summarize()
        if counts:
            # In order, as every writer locks them: prune and check touch the same rows.
            types = [(name, counts[name], newest[name]) for name in sorted(counts)]
            written.append((sql["count_types"], (_json(types),)))
        summaries = [
            (kind, *summary[1:])
            for (kind, _), summary in appending.summaries.items()
            if summary is not None and summary.last_position > self.known.head
        ]
        for start in range(0, len(summaries), _ROWS_AT_ONCE):
            part = summaries[start : start + _ROWS_AT_ONCE]
            written.append((sql["put_summaries"], (_json(part),)))
        for key, (revision, value) in appending.puts.items():
            written.append((sql["ledger_put"], (key, revision, value)))
        gaps = self.known.gaps + appending.left_out
        place = appending.head, gaps, appending.revision, self.mark
        if appending.rows:
            written.append((sql["move_head_and_notify"], (*place, self._channel)))
        else:
            written.append((sql["move_head"], place))
        return written

    def evidence(self) -> list[Statement]:
        return [(self.sql["places"], ([row[KEY] for row in self.appending.rows],))]

    def was_kept(self, now: Numbers, answers: Sequence[Rows]) -> bool | None:
        """By id: an event that stands where it was to stand, as it was to be, is ours."""
        rows = self.appending.rows
        if not rows:
            return False if now.revision < self.appending.revision else None
        there = {(bytes(key), position, checksum) for key, position, checksum in answers[0]}
        if any((row[KEY], row[POSITION], row[CHECKSUM]) in there for row in rows):
            return True
        # They may have been kept, and pruned or redacted since.
        hidden = now.pruned > self.known.pruned and now.pruned >= rows[0][POSITION]
        changed = any((row[KEY], row[POSITION]) in {place[:2] for place in there} for row in rows)
        return None if hidden or changed else False


class AppendBatches(_AppendRows):
    """Batches to append.

    Args:
        connections: the store's.
        batches: what to append.

    Attributes:
        results: what each came to, once decided.
    """

    def __init__(self, connections: Connections, batches: Sequence[Batch]) -> None:
        super().__init__(connections, (event for batch in batches for event in batch.events))
        self._batches = batches
        self._ledger_keys = list(_sayable(put.key for batch in batches for put in batch.put))
        self.results: list[list[Event] | Exception] = []

    def questions(self) -> list[Statement]:
        asked = super().questions()
        if self._ledger_keys:
            asked.append((self.sql["revisions"], (self._ledger_keys,)))
        return asked

    def decide(self, answers: Sequence[Rows]) -> list[Statement]:
        self.look_up(answers)
        if self._ledger_keys:
            self.appending.revisions = dict(answers[-1])
        self.results = self.appending.decide_all(self._batches)
        return self.statements()


class RestoreEvents(_AppendRows):
    """Events to keep at the positions and versions they carry."""

    def __init__(self, connections: Connections, events: Sequence[Event]) -> None:
        super().__init__(connections, events)
        self._events = events

    def decide(self, answers: Sequence[Rows]) -> list[Statement]:
        self.look_up(answers)
        known = self.appending.known
        for event in self._events:
            if event.record[KEY] in known:
                raise InvalidEvent("id", event.id, "of an event to restore is in the store already")
            self.appending.place(event)
            known[event.record[KEY]] = event.record
        return self.statements()


class _Appending(Appending):
    """What one transaction knows; all that is asked for has been looked up.

    Attributes:
        revision: the newest one of the ledger, the writes decided here included.
        revisions: those of the records that the batches write.
        puts: the records to write: revision and encoded value by key.
    """

    def __init__(self, head: int, revision: int) -> None:
        super().__init__(head)
        self.revision = revision
        self.revisions: dict[str, int] = {}
        self.puts: dict[str, tuple[int, str]] = {}

    def find_summary(self, kind: str, id: str) -> Summary | None:
        return self.summaries.get((kind, id))

    def check_puts(self, puts: Sequence[Put]) -> list[tuple[str, str]]:
        return checked_puts(puts, lambda key: self.revisions.get(key, 0))

    def write_put(self, key: str, value: str) -> int:
        self.revision += 1
        self.revisions[key] = self.revision
        self.puts[key] = self.revision, value
        return self.revision


def _inserts(sql: dict[str, str], rows: list[Record]) -> Iterator[Statement]:
    """The statements that insert rows, with as many rows each as one JSON value may hold."""
    part: list[Record] = []
    size = 0
    for row in rows:
        length = sum(len(row[index] or "") for index in (PAYLOAD, CONTEXT, EXTENSIONS))
        if part and (len(part) == _ROWS_AT_ONCE or size + length > _CHARACTERS_AT_ONCE):
            yield _insert(sql, part)
            part, size = [], 0
        part.append(row)
        size += length
    if part:
        yield _insert(sql, part)


def _insert(sql: dict[str, str], rows: list[Record]) -> Statement:
    if len(rows) == 1:
        return sql["insert_event"], rows[0]
    told = [(row[0], f"\\x{row[KEY].hex()}", *row[2:]) for row in rows]
    return sql["insert_events"], (_json(told),)


_json = JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


def _sayable(keys: Iterable[object]) -> Iterator[str]:
    """The keys that a record can have; the others are refused when their batch is decided."""
    for key in keys:
        try:
            yield checked_key(key)
        except InvalidQuery:
            continue
