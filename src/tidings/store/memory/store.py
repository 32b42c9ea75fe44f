"""The memory store: the contract's calls over a log and a ledger, under one lock.

Keeps promise 2 (a reader misses nothing and repeats nothing): readers look at the log a page at a
time, each under the lock. It keeps nothing once it is closed or its process ends (durability
`none`), and no other process sees it; after a fork, parent and child each have their own copy.
"""

from __future__ import annotations

from json import loads
from sys import version
from threading import Condition

from tidings.errors import HistoryPruned, InvalidQuery, NotAStore, TidingsError, shorten
from tidings.event import Event
from tidings.record import PAYLOAD, POSITION
from tidings.store.base import (
    CORRELATION,
    REMAINS_PAGE,
    SCAN_LIMIT,
    Bin,
    Count,
    LedgerRecord,
    Page,
    Put,
    Reading,
    Store,
    Summary,
)
from tidings.store.ledger import (
    checked_key,
    checked_page,
    checked_puts,
    expect_revision,
)
from tidings.store.memory.backup_file import read_backup, write_backup
from tidings.store.memory.forking import watch
from tidings.store.memory.log import Log
from tidings.store.standing import ANY, Standing
from tidings.timestamps import now_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any, Self

    from tidings.record import Record
    from tidings.store.base import Batch, TypeCount
    from tidings.store.query import Query

__all__ = ["MemoryStore"]

_PAGE = 256
"""How many events a read looks at before it lets others go on."""


class MemoryStore(Store):
    """A store in memory, for tests and for what need not last.

    >>> from tidings.store.query import Query
    >>> with MemoryStore() as store:
    ...     stored = store.append([Event("job_done", "figrecipe"), Event("job_done", "scitex")])
    ...     [event.position for event in store.read(Query(project="scitex"))]
    [2]
    """

    url = "memory:"
    durability = "none"
    atomic_put = True

    def __init__(self) -> None:
        self._changed = Condition()
        self._log = Log()
        self._ledger: dict[str, tuple[int, str]] = {}
        self._revision = 0
        watch(self)

    # The log --------------------------------------------------------------------------------------

    def append_all(self, batches: Sequence[Batch]) -> list[list[Event] | Exception]:
        with self._changed:
            self._ensure_open()
            recorded = now_instant()
            results = [self._attempt(batch, recorded) for batch in batches]
            self._changed.notify_all()
            return results

    def _attempt(self, batch: Batch, recorded: int) -> list[Event] | Exception:
        try:
            decision = self._log.decide(batch, recorded)
            puts = checked_puts(batch.put, self._revision_of)
        except TidingsError as error:
            return error
        self._log.keep(decision.fresh)
        for key, text in puts:
            self._write(key, text)
        return [Event.from_record(record) for record in decision.records]

    def restore(self, events: Iterable[Event]) -> int:
        restored = list(events)
        with self._changed:
            self._ensure_open()
            records = self._log.decide_restore(restored, now_instant())
            self._log.keep(records)
            self._changed.notify_all()
        return len(records)

    def remains(self, after: tuple[str, str] | None = None) -> list[Summary]:
        with self._changed:
            self._ensure_open()
            found = self._log.remains()
        return [kept for kept in found if (kept.kind, kept.id) > (after or ("", ""))][:REMAINS_PAGE]

    def adopt(self, pruned: int, summaries: Sequence[Summary] = ()) -> None:
        with self._changed:
            self._ensure_open()
            self._log.adopt(pruned, summaries)
            self._changed.notify_all()

    def read(self, query: Query) -> Reading:
        backwards = _newest_first(query)
        with self._changed:
            self._ensure_open()
            self._ensure_not_pruned(query.after)
            start = query.after
            if backwards:
                start = self._log.head + 1 if query.before is None else query.before
        pages = self._backwards(query, start) if backwards else self._forwards(query)
        return Reading(pages if query.limit is None else _limited(pages, query.limit), start)

    def _forwards(self, query: Query) -> Iterator[Page]:
        position, at_end = query.after, False
        while not at_end:
            with self._changed:
                self._ensure_open()
                self._ensure_not_pruned(position)
                start, stop = self._log.window(position, query.before)
                at_end = stop - start <= _PAGE
                records = self._log.records[start : min(stop, start + _PAGE)]
                head = self._log.head
            if at_end:
                end = head if query.before is None else min(head, query.before - 1)
                position = max(position, end)
            else:
                position = records[-1][POSITION]
            yield Page(_matching(query, records), position)

    def _backwards(self, query: Query, position: int) -> Iterator[Page]:
        may_look_at = SCAN_LIMIT if query.contains is not None else None
        at_end = stopped = False
        while not (at_end or stopped):
            size = _PAGE if may_look_at is None else min(_PAGE, may_look_at)
            with self._changed:
                self._ensure_open()
                start, stop = self._log.window(query.after, position)
                records = self._log.records[max(start, stop - size) : stop][::-1]
            at_end = stop - start <= size
            position = query.after if at_end else records[-1][POSITION]
            if may_look_at is not None:
                may_look_at -= len(records)
                stopped = may_look_at == 0 and not at_end
            yield Page(_matching(query, records), position, complete=not stopped)

    def _ensure_not_pruned(self, after: int) -> None:
        if 0 < after < self._log.pruned:
            raise HistoryPruned(after, self._log.pruned + 1)

    def latest(self, type: str | None = None) -> Event | None:
        with self._changed:
            self._ensure_open()
            if type is None:
                return Event.from_record(self._log.records[-1]) if self._log.records else None
            counted = self._log.types.get(type)
            if counted is None:
                return None
            return Event.from_record(self._log.at(counted.last_position))

    def head(self) -> int:
        with self._changed:
            self._ensure_open()
            return self._log.head

    def first(self) -> int:
        with self._changed:
            self._ensure_open()
            return self._log.pruned + 1

    def types(self) -> list[TypeCount]:
        with self._changed:
            self._ensure_open()
            return sorted(self._log.types.values())

    def count(self, query: Query) -> Count:
        return Count(len(self._found(query)), exact=True)

    def summaries(self, kind: str, query: Query, standing: Standing = ANY) -> list[Summary]:
        """Aggregates or correlations; see `Store.summaries`. It looks at all there are."""
        with self._changed:
            self._ensure_open()
            of_kind = (
                list(self._log.correlations.values())
                if kind == CORRELATION
                else [kept for kept in self._log.aggregates.values() if kept.kind == kind]
            )
            pruned = self._log.pruned
        wanted = [
            summary
            for summary in of_kind
            if summary.last_position > pruned
            and _is_wanted(query, summary)
            and standing.holds(summary)
        ]
        # Adopted ones came later than they began.
        wanted.sort(key=_began, reverse=query.backwards)
        return wanted[: query.limit]

    def histogram(self, query: Query, interval: int) -> list[Bin]:
        if interval < 1:
            raise InvalidQuery(f"interval {shorten(interval)} must be microseconds from 1 on")
        bins: dict[int, dict[str, int]] = {}
        for event in self._found(query):
            counts = bins.setdefault(event.instant // interval * interval, {})
            counts[event.status] = counts.get(event.status, 0) + 1
        return [Bin(start, bins[start]) for start in sorted(bins)]

    def wait(self, after: int, timeout: float | None = None) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._log.head > after, timeout)
            self._ensure_open()
            return self._log.head

    def _found(self, query: Query) -> list[Event]:
        """All events that a query asks for, at once."""
        with self._changed:
            self._ensure_open()
            start, stop = self._log.window(query.after, query.before)
            records = self._log.records[start:stop]
        found = _matching(query, records)
        return (found[::-1] if _newest_first(query) else found)[: query.limit]

    # Keeping house --------------------------------------------------------------------------------

    def backup(self, path: str) -> None:
        """Write everything to a file of JSON lines that `from_backup` reads; see `Store.backup`.

        The first line says where the store stood; then each line holds one `aggregate` or
        `correlation` (a summary), `record` (of the ledger) or `event` (see `Event.to_dict`).
        """
        with self._changed:
            self._ensure_open()
            log = self._log
            stood = {"head": log.head, "pruned": log.pruned, "revision": self._revision}
            lines: list[dict[str, Any]] = [
                *({"aggregate": kept} for kept in log.aggregates.values()),
                *({"correlation": kept} for kept in log.correlations.values()),
                *({"record": [key, *entry]} for key, entry in self._ledger.items()),
            ]
            records = list(log.records)
        lines += [{"event": Event.from_record(record).to_dict()} for record in records]
        write_backup(path, stood, lines)

    @classmethod
    def from_backup(cls, path: str) -> Self:
        """The store that `backup` wrote to a file.

        Raises:
            NotAStore: the file is something else.
            StoreUnavailable: the file cannot be read.
        """
        stood, lines = read_backup(path)
        store = cls()
        try:
            for line in lines:
                ((what, value),) = line.items()
                store._take(what, value)
            store._log.head, store._log.pruned = stood["head"], stood["pruned"]
            store._revision = stood["revision"]
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise NotAStore(f"{path} is no whole backup of a memory store: {error}") from error
        return store

    def _take(self, what: str, value: Any) -> None:
        if what == "event":
            self._log.index(Event.from_dict(value).record)
        elif what == "record":
            key, revision, text = value
            self._ledger[key] = revision, text
        elif what == "aggregate":
            kept = Summary(*value)
            self._log.aggregates[kept.kind, kept.id] = kept
        elif what == "correlation":
            kept = Summary(*value)
            self._log.correlations[kept.id] = kept
        else:
            raise ValueError(f"a {what!r} is not known")

    def prune(self, through: int) -> int:
        with self._changed:
            self._ensure_open()
            return self._log.prune(through)

    def redact(self, query: Query) -> int:
        with self._changed:
            found = self._found(query)
            return self._log.redact(event.record[POSITION] for event in found)

    def check(self) -> list[str]:
        with self._changed:
            self._ensure_open()
            return self._log.problems()

    def describe(self) -> dict[str, Any]:
        """Facts for people; the size is that of the payloads. See `Store.describe`."""
        with self._changed:
            self._ensure_open()
            size = sum(len((record[PAYLOAD] or "").encode()) for record in self._log.records)
            head, first = self._log.head, self._log.pruned + 1
        return {
            "url": self.url,
            "head": head,
            "first": first,
            "size": size,
            "engine": f"Python {version.partition(' ')[0]}",
        }

    # The ledger -----------------------------------------------------------------------------------

    def get(self, key: str) -> LedgerRecord | None:
        with self._changed:
            self._ensure_open()
            found = self._ledger.get(checked_key(key))
        return None if found is None else LedgerRecord(key, found[0], loads(found[1]))

    def put(self, key: str, value: Any, expected: int | None = None) -> int:
        with self._changed:
            self._ensure_open()
            ((key, text),) = checked_puts([Put(key, value, expected)], self._revision_of)
            return self._write(key, text)

    def delete(self, key: str, expected: int | None = None) -> bool:
        with self._changed:
            self._ensure_open()
            expect_revision(checked_key(key), expected, self._revision_of(key))
            return self._ledger.pop(key, None) is not None

    def keys(self, prefix: str = "", after: str = "", limit: int | None = None) -> list[str]:
        start, past, most = checked_page(prefix, after, limit)
        with self._changed:
            self._ensure_open()
            found = sorted(key for key in self._ledger if key.startswith(start) and key > past)
        return found[:most]

    def _revision_of(self, key: str) -> int:
        return self._ledger.get(key, (0, ""))[0]

    def _write(self, key: str, text: str) -> int:
        self._revision += 1
        self._ledger[key] = self._revision, text
        return self._revision

    # Its end, and forks ---------------------------------------------------------------------------

    def close(self) -> None:
        with self._changed:
            super().close()
            self._log = Log()
            self._ledger = {}
            self._changed.notify_all()

    def before_fork(self) -> None:
        """Let no thread be in the middle of a change when the child's copy is taken."""
        self._changed.acquire()

    def after_fork_in_parent(self) -> None:
        """Let the others go on."""
        self._changed.release()

    def after_fork_in_child(self) -> None:
        """Take a new lock: threads that wait at the old one are not in this process."""
        self._changed = Condition()


def _began(summary: Summary) -> int:
    return summary.first_position


def _newest_first(query: Query) -> bool:
    return query.backwards or query.contains is not None


def _matching(query: Query, records: list[Record]) -> list[Event]:
    return [event for event in map(Event.from_record, records) if query.matches(event)]


def _limited(pages: Iterator[Page], limit: int) -> Iterator[Page]:
    """The pages up to a number of events; the last then ends with the last event."""
    while limit > 0:
        page = next(pages, None)
        if page is None:
            return
        if len(page.events) >= limit:
            events = page.events[:limit]
            page = Page(events, events[-1].record[POSITION])
        limit -= len(page.events)
        yield page


def _is_wanted(query: Query, summary: Summary) -> bool:
    return (
        query.after < summary.first_position
        and (query.before is None or summary.first_position < query.before)
        and query.aggregate_id in (None, summary.id)
        and query.correlation_id in (None, summary.correlation_id)
        and (not query.project or summary.project in query.project)
        and (not query.status or summary.status in query.status)
    )
