"""The PostgreSQL backend: one database for any number of processes and machines.

Keeps promises 1, 2, 4 and 5. `address` says where it is, `dialing` and `connections` reach
it, `schema` makes it, `writing` and `appending` write, `planning` and `reading` read, `waking`
tells of other writers, `ledger`, `overviews`, `upkeep`, `backup` and `remains` do what they say,
and `failures` turns psycopg's errors into ours.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from tidings.errors import TidingsError
    from tidings.event import Event
    from tidings.store.base import Batch, Bin, Count, LedgerRecord, Summary, TypeCount
    from tidings.store.postgres.bookkeeping import Numbers
    from tidings.store.query import Query

from tidings import settings
from tidings.errors import HistoryPruned, MissingExtra
from tidings.store.base import Reading, Store
from tidings.store.standing import ANY, Standing

try:
    from tidings.store.postgres import backup, ledger, overviews, reading, remains, upkeep
    from tidings.store.postgres.address import Address
    from tidings.store.postgres.appending import AppendBatches, RestoreEvents
    from tidings.store.postgres.bookkeeping import numbers_of
    from tidings.store.postgres.connections import Connections
    from tidings.store.postgres.waking import Waker
    from tidings.store.postgres.writing import write
except ModuleNotFoundError as error:
    if error.name not in ("psycopg", "psycopg_binary"):
        raise
    raise MissingExtra("a postgresql:// store", "postgres") from error

__all__ = ["PostgresStore"]

_RESTORED_AT_ONCE = 5_000


class PostgresStore(Store):
    """A store in one schema of a PostgreSQL database.

    Args:
        address: where it is; the schema is made when first used.
        deadline: the longest to wait for locks, connections and networks (seconds); none for
            `TIDINGS_DEADLINE`, 1 s.
    """

    atomic_put = True

    def __init__(self, address: Address, *, deadline: float | None = None) -> None:
        self.url = address.url
        self.durability = address.durability
        self._connections = Connections(
            address, settings.deadline() if deadline is None else deadline
        )
        self._waker = Waker(self._connections)

    @classmethod
    def from_url(cls, url: str, *, deadline: float | None = None) -> PostgresStore:
        """The store a URL such as `postgresql://user@host/database?schema=tidings` names.

        It is libpq's, with these options of ours: `schema` (default `tidings`), `durability`
        (`power` or `process`) and `pool`, how many connections read at once (8).

        Raises:
            InvalidSetting: the URL is not understood, or an option makes no sense.
        """
        return cls(Address.from_url(url), deadline=deadline)

    # The log --------------------------------------------------------------------------------------

    def append_all(self, batches: Sequence[Batch]) -> list[list[Event] | Exception]:
        self._ensure_open()
        if not batches:
            return []
        done = write(self._connections, lambda: AppendBatches(self._connections, batches))
        self._waker.tell(done.appending.head)
        return done.results

    def restore(self, events: Iterable[Event]) -> int:
        self._ensure_open()
        kept = 0
        part: list[Event] = []
        for event in events:
            part.append(event)
            if len(part) == _RESTORED_AT_ONCE:
                kept += self._restore(part)
                part = []
        return kept + self._restore(part)

    def _restore(self, events: list[Event]) -> int:
        if not events:
            return 0
        done = write(self._connections, lambda: RestoreEvents(self._connections, events))
        self._waker.tell(done.appending.head)
        return len(events)

    def remains(self, after: tuple[str, str] | None = None) -> list[Summary]:
        self._ensure_open()
        return remains.remains(self._connections, after)

    def adopt(self, pruned: int, summaries: Sequence[Summary] = ()) -> None:
        self._ensure_open()
        remains.adopt(self._connections, pruned, summaries)
        self._waker.tell(pruned)

    def read(self, query: Query) -> Reading:
        self._ensure_open()
        if query.after:
            first = self.first()
            if query.after < first - 1:
                raise HistoryPruned(query.after, first)
        start = query.after
        if query.backwards or query.contains is not None:
            start = self.head() + 1 if query.before is None else query.before
        return Reading(reading.pages(self._connections, query), start)

    def latest(self, type: str | None = None) -> Event | None:
        self._ensure_open()
        return reading.latest(self._connections, type)

    def head(self) -> int:
        return self._numbers().head

    def first(self) -> int:
        return self._numbers().pruned + 1

    def types(self) -> list[TypeCount]:
        self._ensure_open()
        return reading.types(self._connections)

    def count(self, query: Query) -> Count:
        self._ensure_open()
        return overviews.count(self._connections, query)

    def summaries(self, kind: str, query: Query, standing: Standing = ANY) -> list[Summary]:
        self._ensure_open()
        return overviews.summaries(self._connections, kind, query, standing)

    def histogram(self, query: Query, interval: int) -> list[Bin]:
        self._ensure_open()
        return overviews.histogram(self._connections, query, interval)

    def wait(self, after: int, timeout: float | None = None) -> int:
        self._ensure_open()
        return self._waker.wait(after, timeout)

    def trouble(self) -> TidingsError | None:
        return self._waker.trouble

    # Upkeep ---------------------------------------------------------------------------------------

    def backup(self, path: str) -> None:
        self._ensure_open()
        backup.backup(self._connections, path)

    def prune(self, through: int) -> int:
        self._ensure_open()
        return upkeep.prune(self._connections, through)

    def redact(self, query: Query) -> int:
        self._ensure_open()
        return upkeep.redact(self._connections, query)

    def check(self) -> list[str]:
        self._ensure_open()
        return upkeep.check(self._connections)

    def describe(self) -> dict[str, Any]:
        self._ensure_open()
        return upkeep.describe(self._connections, self.durability)

    # The ledger -----------------------------------------------------------------------------------

    def get(self, key: str) -> LedgerRecord | None:
        self._ensure_open()
        return ledger.get(self._connections, key)

    def put(self, key: str, value: Any, expected: int | None = None) -> int:
        self._ensure_open()
        return ledger.put(self._connections, key, value, expected)

    def delete(self, key: str, expected: int | None = None) -> bool:
        self._ensure_open()
        return ledger.delete(self._connections, key, expected)

    def keys(self, prefix: str = "", after: str = "", limit: int | None = None) -> list[str]:
        self._ensure_open()
        return ledger.keys(self._connections, prefix, after, limit)

    # Its end --------------------------------------------------------------------------------------

    def close(self) -> None:
        super().close()
        self._waker.close()
        self._connections.close()

    def _numbers(self) -> Numbers:
        self._ensure_open()
        return numbers_of(self.url, self._connections.ask("head"))
