"""The store contract: what every backend promises, and what they share.

A store is a *log* of events in one order, and a *ledger* of small named records. The contract is
synchronous and safe for many threads; a store outlives a fork. Stores only raise: falling back to
the spool, adding context and knowing types is the bus's work. `tidings.testing` holds a pytest
class that proves a backend.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from tidings.errors import StoreClosed
from tidings.record import POSITION, RECORDED
from tidings.store.standing import ANY, Standing
from tidings.store.values import (
    Batch,
    Bin,
    Count,
    LedgerRecord,
    Page,
    Put,
    Summary,
    TypeCount,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Any, Self

    from tidings.errors import TidingsError
    from tidings.event import Event
    from tidings.store.query import Query

__all__ = [
    "CORRELATION",
    "REMAINS_PAGE",
    "SCAN_LIMIT",
    "Batch",
    "Bin",
    "Count",
    "LedgerRecord",
    "Page",
    "Put",
    "Reading",
    "Store",
    "Summary",
    "TypeCount",
]

CORRELATION = "correlation"
"""The kind of summary that `Store.summaries` gives of correlations."""

SCAN_LIMIT = 100_000
"""How many events a read looks at for `contains` before it stops and says where to go on."""

REMAINS_PAGE = 1_000
"""How many summaries `Store.remains` gives at once."""


class Reading:
    """The events a read gives, one by one; an iterator that knows how far it has looked.

    Attributes:
        position: every event up to here was looked at; go on with `after=position` (or, backwards,
            with `before=position`) and nothing is missed or repeated. Past the last event given
            where those that followed did not match.
        complete: False where a bounded scan stopped early and there may be more.
    """

    def __init__(self, pages: Iterator[Page], start: int) -> None:
        self._pages = pages
        self._events: Iterator[Event] = iter(())
        self._page_end = start
        self.position = start
        self.complete = True

    def __iter__(self) -> Iterator[Event]:
        # A generator: a call of `__next__` for each event would take as long as reading it.
        while True:
            for event in self._events:
                self.position = event.record[POSITION]
                yield event
            self.position = self._page_end
            page = self.next_page()
            if page is None:
                return
            self._events = iter(page.events)

    def __next__(self) -> Event:
        for event in self:
            return event
        raise StopIteration

    def next_page(self) -> Page | None:
        """The next events at once, as the backend read them; none at the end.

        `position` is then that of the whole page. Take events one by one, or page by page.
        """
        page = next(self._pages, None)
        if page is not None:
            self.position = self._page_end = page.position
            self.complete = page.complete
        return page

    def close(self) -> None:
        """Stop reading and let go of what the backend holds."""
        close = getattr(self._pages, "close", None)
        if close is not None:
            close()


class Store(ABC):
    """What every backend promises; see the methods.

    All methods raise `StoreUnavailable` (a subclass says why) when the engine cannot serve them,
    and `StoreClosed` after `close`.

    Attributes:
        url: what was opened, without its secrets: it is shown and logged.
        durability: what an acknowledged event survives: `power`, `process` or `none`.
        atomic_put: whether `append` takes ledger writes into the same transaction.
    """

    url: str
    durability: str
    atomic_put: bool = False
    _closed: bool = False

    # The log -------------------------------------------------------------------------------------

    def append(
        self,
        events: Sequence[Event],
        expected_version: int | None = None,
        put: Sequence[Put] = (),
    ) -> list[Event]:
        """Keep events, all or none, at contiguous positions.

        Args:
            events: what to keep; versions are assigned here.
            expected_version: none for any; 0 where the aggregate must be new; n where it must stand
                at version n. All events must then be about that one aggregate.
            put: ledger writes in the same transaction, where `atomic_put` holds.

        Returns:
            The stored events, with position, version and `recorded_at`. An id that is already there
            with the same content gives the stored event, not a second one. When this returns, the
            events survive what `durability` says.

        Raises:
            VersionConflict: the aggregate stands at another version.
            IdConflict: an id is there with other content.
            RevisionConflict: a ledger record is at another revision.
            StoreUnavailable: nothing was kept.
            OutcomeUnknown: kept or not is not known; the same events may be sent again.
        """
        (result,) = self.append_all([Batch(events, expected_version, put)])
        if isinstance(result, Exception):
            raise result
        return result

    @abstractmethod
    def append_all(self, batches: Sequence[Batch]) -> list[list[Event] | Exception]:
        """Keep many independent batches in as few durable writes as the backend can.

        Returns:
            For each batch, in order, what `append` would return or raise. One that fails does not
            disturb the rest, also where they touch the same ids or aggregates; they are decided in
            the order given.

        Raises:
            StoreUnavailable, OutcomeUnknown: as for `append`, for all of them.
        """

    @abstractmethod
    def restore(self, events: Iterable[Event]) -> int:
        """Keep events at the positions and versions they carry, for `migrate`.

        Args:
            events: with position, version and recorded_at, positions increasing and past the head.

        Returns:
            How many were kept.

        Raises:
            InvalidEvent: an event has no position, or one that is not past the head.
        """

    @abstractmethod
    def remains(self, after: tuple[str, str] | None = None) -> list[Summary]:
        """The summaries that began at or before the last pruned position, for `migrate`.

        No events that are left can tell them: those of aggregates, also where all of their events
        are gone (versions go on), and those of correlations, which have the empty kind here,
        because an aggregate may be called `correlation` too.

        Args:
            after: kind and id of the last one of the page before; none for the first page.

        Returns:
            One page, at most `REMAINS_PAGE`, in an order of the store's own; empty at the end.
        """

    @abstractmethod
    def adopt(self, pruned: int, summaries: Sequence[Summary] = ()) -> None:
        """Take over what `restore` cannot: that events were pruned, and what is left of them.

        All of it is taken, or nothing. Taking the same over again changes nothing.

        Args:
            pruned: the events up to here are gone where the store comes from, so positions up to
                here are never given out. Where it lies past what is pruned here, no event may be
                left here. 0 changes nothing.
            summaries: at most `REMAINS_PAGE`, as `remains` gives them; each takes the place of the
                one that is kept. It must speak of the newest event that is kept of its own, or,
                where none is left (which only an aggregate survives), of a pruned one.

        Raises:
            InvalidEvent: `pruned` or a summary contradicts the events that are kept.
        """

    @abstractmethod
    def read(self, query: Query) -> Reading:
        """Read events by position, in constant memory.

        A reader that goes on from the last position it saw never misses an event and never sees one
        twice, whoever writes meanwhile. An end that is not given (`before`) is the head when the
        read reaches it. With `contains` the newest events come first whatever `backwards` says,
        at most `SCAN_LIMIT` are looked at, and the reading says where to go on.

        Raises:
            HistoryPruned: `after` is given, not 0, and lies before the first position left. (From 0
                a reader starts at what is left.)
        """

    @abstractmethod
    def latest(self, type: str | None = None) -> Event | None:
        """The newest event, of one type if given; in constant time at any size."""

    @abstractmethod
    def head(self) -> int:
        """The position of the newest event ever kept, 0 for none; in constant time."""

    def catch_up(self) -> int:
        """Take in what others have kept, and return the head.

        Everything that was acknowledged to anybody before this call can then be read here. A store
        that is read where it is written has nothing to take in; a replica asks its log.

        Raises:
            StoreUnavailable: the engine cannot be asked now, so what is here may lag behind.
        """
        return self.head()

    @abstractmethod
    def first(self) -> int:
        """The first position that may be read: 1, or the one past what was pruned."""

    @abstractmethod
    def types(self) -> list[TypeCount]:
        """The types that occur, by name."""

    @abstractmethod
    def count(self, query: Query) -> Count:
        """How many events match; exact where an index answers, else at least so many."""

    @abstractmethod
    def summaries(self, kind: str, query: Query, standing: Standing = ANY) -> list[Summary]:
        """The aggregates of a type, or the correlations, each as one summary.

        Args:
            kind: an aggregate type such as `workflow`, or `"correlation"`.
            query: of it `after`, `before` (both against `first_position`), `limit`, `backwards`,
                `aggregate_id` (the summary's own id), `correlation_id`, `project` and `status`
                count. In order of `first_position`: the next page goes on from the last one's.
            standing: how they stand as they are read. What changes while pages are read comes once
                or not at all; what stands so all the while comes once.

        Returns:
            One page, in time proportional to it and to those between that do not fit.
        """

    @abstractmethod
    def histogram(self, query: Query, interval: int) -> list[Bin]:
        """Counts per interval and outcome, by when events happened; empty intervals left out.

        Args:
            query: which events; `since` and `until` bound the time.
            interval: the width of a bin (microseconds).
        """

    @abstractmethod
    def wait(self, after: int, timeout: float | None = None) -> int:
        """Return the head as soon as it is past `after`, also when another process wrote.

        Args:
            after: a position.
            timeout: the longest to wait (seconds); none waits for good. The head is returned then
                too.

        Raises:
            StoreClosed: also when the store is closed meanwhile.
        """

    def trouble(self) -> TidingsError | None:
        """Why nothing comes to those who `wait` just now, where they wait for what is away."""
        return None

    @abstractmethod
    def backup(self, path: str) -> None:
        """Write a consistent copy of the whole store to `path`, while it is in use.

        A file that is there is replaced, in one step, when the copy is whole.
        """

    @abstractmethod
    def prune(self, through: int) -> int:
        """Remove the events up to and with a position; positions and versions stay.

        Returns:
            How many were removed.
        """

    @abstractmethod
    def redact(self, query: Query) -> int:
        """Empty the payloads of events (a secret, a person) and keep the rest.

        Returns:
            How many were redacted. What was there cannot be read from the store's files afterwards,
            as far as the engine overwrites what it frees; each backend's page says how far.
        """

    @abstractmethod
    def check(self) -> list[str]:
        """What is wrong with the store, one sentence each; empty where nothing is."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Facts about the store for people: url, head, size (bytes), engine and version."""

    def position_before(self, instant: int) -> int:
        """The last position that was recorded before an instant, found by halves; 0 for none.

        Times of recording rise with positions, but where a clock was set back.

        Args:
            instant: microseconds since 1970.
        """
        from tidings.store.query import Query

        low, high = self.first() - 1, self.head()
        while low < high:
            middle = (low + high + 1) // 2
            event = next(self.read(Query(before=middle + 1, backwards=True, limit=1)), None)
            if event is None or event.record[RECORDED] < instant:
                low = middle
            else:
                high = event.record[POSITION] - 1
        return low

    # The ledger ----------------------------------------------------------------------------------

    @abstractmethod
    def get(self, key: str) -> LedgerRecord | None:
        """The record under a key, or none."""

    @abstractmethod
    def put(self, key: str, value: Any, expected: int | None = None) -> int:
        """Write a record.

        Args:
            key: 1–255 characters.
            value: any JSON value.
            expected: the revision it must be at; 0 where it must not be there; none for any.

        Returns:
            Its new revision.

        Raises:
            RevisionConflict: it is at another revision.
        """

    @abstractmethod
    def delete(self, key: str, expected: int | None = None) -> bool:
        """Remove a record; returns whether it was there. `expected` as for `put`."""

    @abstractmethod
    def keys(self, prefix: str = "", after: str = "", limit: int | None = None) -> list[str]:
        """The keys that start with a prefix, in order.

        Args:
            prefix: what they start with.
            after: only those past this key; empty for all.
            limit: at most so many, for a page; none for all.
        """

    # Its end -------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of everything; waiting calls end with `StoreClosed`. Calling again is harmless."""
        self._closed = True

    def _ensure_open(self) -> None:
        if self._closed:
            raise StoreClosed(f"{self.url} is closed; open it again")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"
