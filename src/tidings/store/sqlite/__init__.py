"""The SQLite backend: one file, no server, safe for many threads and processes.

Keeps promises 1, 2 and 5 on one machine. `connections` opens the file and translates forks,
`appending` writes, `planning` and `reading` read, `bookkeeping` notices what is damaged, `waking`
tells of other processes, `ledger` and `upkeep` do what they say, `failures` turns sqlite3's errors
into ours.
"""

from __future__ import annotations

import os
import sqlite3

from tidings import settings
from tidings.errors import HistoryPruned, InvalidSetting, shorten
from tidings.store.base import Batch, Put, Reading, Store
from tidings.store.sqlite import ledger
from tidings.store.sqlite.appending import (
    DuplicateKeys,
    append_batches,
    must_look_up,
    restore_events,
)
from tidings.store.sqlite.bookkeeping import agreed_numbers, kept_types
from tidings.store.sqlite.connections import Connections
from tidings.store.sqlite.waking import Waker
from tidings.store.standing import ANY, Standing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from tidings.event import Event
    from tidings.store.base import Bin, Count, LedgerRecord, Summary, TypeCount
    from tidings.store.query import Query
    from tidings.store.sqlite.bookkeeping import Numbers

__all__ = ["SQLiteStore"]

_SYNCHRONOUS = {"power": "FULL", "process": "NORMAL"}
_RESTORED_AT_ONCE = 5_000


class SQLiteStore(Store):
    """A store in one SQLite file.

    Args:
        path: the file; made, with its directory, when first used.
        durability: `power`: an acknowledged event survives power loss; `process`: it survives the
            process, and a power loss may take the newest ones, in order.
        deadline: the longest to wait for a lock (seconds); none for `TIDINGS_DEADLINE`, 1 s.

    Raises:
        InvalidSetting: the durability is not known.
    """

    atomic_put = True
    _follows_log = False

    def __init__(
        self, path: str, *, durability: str = "power", deadline: float | None = None
    ) -> None:
        if durability not in _SYNCHRONOUS:
            raise InvalidSetting(f"durability {shorten(durability)} must be power or process")
        self.path = os.path.abspath(os.path.expanduser(path))
        self.url = f"sqlite:///{self.path}"
        self.durability = durability
        self._connections = Connections(
            self.path,
            settings.deadline() if deadline is None else deadline,
            _SYNCHRONOUS[durability],
            follows_log=self._follows_log,
        )
        self._waker = Waker(self._connections)

    @classmethod
    def from_url(cls, url: str, *, deadline: float | None = None) -> SQLiteStore:
        """The store a URL such as `sqlite:////var/lib/events.db?durability=process` names.

        Three slashes lead to a path from the working directory, four to one from the root.

        Raises:
            InvalidSetting: the URL has no path, or an option that is not known.
        """
        rest, _, options = url.removeprefix("sqlite:").partition("?")
        path = rest.removeprefix("///")
        if path == rest or not path:
            raise InvalidSetting(f"store URL {shorten(url)} must be sqlite:///path/to/file.db")
        durability = "power"
        for option in filter(None, options.split("&")):
            name, _, durability = option.partition("=")
            if name != "durability":
                raise InvalidSetting(
                    f"store URL {shorten(url)}: option {shorten(name)} is not known"
                )
        return cls(path, durability=durability, deadline=deadline)

    # The log --------------------------------------------------------------------------------------

    def append_all(self, batches: Sequence[Batch]) -> list[list[Event] | Exception]:
        self._ensure_open()
        try:
            results = self._append(batches, look_up=must_look_up(batches))
        except DuplicateKeys:
            results = self._append(batches, look_up=True)
        return results

    def _append(self, batches: Sequence[Batch], *, look_up: bool) -> list[list[Event] | Exception]:
        with self._connections.transaction() as connection:
            results = append_batches(connection, self._connections.head, batches, look_up=look_up)
        self._tell(results)
        return results

    def _tell(self, results: list[list[Event] | Exception]) -> None:
        for result in reversed(results):
            if isinstance(result, list) and result:
                self._waker.tell(result[-1].record[0])
                return

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
        with self._connections.transaction() as connection:
            restored = restore_events(connection, events)
        self._waker.tell(events[-1].record[0])
        return restored

    def remains(self, after: tuple[str, str] | None = None) -> list[Summary]:
        from tidings.store.sqlite.remains import remains

        self._ensure_open()
        with self._connections.snapshot() as connection:
            return remains(connection, after)

    def adopt(self, pruned: int, summaries: Sequence[Summary] = ()) -> None:
        from tidings.store.sqlite.remains import adopt

        self._ensure_open()
        with self._connections.transaction() as connection:
            adopt(connection, pruned, summaries)
        self._waker.tell(pruned)

    def read(self, query: Query) -> Reading:
        from tidings.store.sqlite.reading import pages

        self._ensure_open()
        if query.after:
            first = self.first()
            if query.after < first - 1:
                raise HistoryPruned(query.after, first)
        start = query.after
        if query.backwards or query.contains is not None:
            start = self.head() + 1 if query.before is None else query.before
        return Reading(pages(self._connections, query), start)

    def latest(self, type: str | None = None) -> Event | None:
        from tidings.store.sqlite.reading import latest

        self._ensure_open()
        with self._connections.snapshot() as connection:
            return latest(connection, type)

    def head(self) -> int:
        return self._numbers().head

    def first(self) -> int:
        return self._numbers().pruned + 1

    def types(self) -> list[TypeCount]:
        self._ensure_open()
        with self._connections.snapshot() as connection:
            agreed_numbers(connection)
            return kept_types(connection)

    def count(self, query: Query) -> Count:
        from tidings.store.sqlite.overviews import count

        self._ensure_open()
        return count(self._connections, query)

    def summaries(self, kind: str, query: Query, standing: Standing = ANY) -> list[Summary]:
        from tidings.store.sqlite.overviews import summaries

        self._ensure_open()
        return summaries(self._connections, kind, query, standing)

    def histogram(self, query: Query, interval: int) -> list[Bin]:
        from tidings.store.sqlite.overviews import histogram

        self._ensure_open()
        return histogram(self._connections, query, interval)

    def wait(self, after: int, timeout: float | None = None) -> int:
        self._ensure_open()
        return self._waker.wait(after, timeout)

    # Upkeep ---------------------------------------------------------------------------------------

    def backup(self, path: str) -> None:
        from tidings.store.sqlite import upkeep

        self._ensure_open()
        upkeep.backup(self._connections, path)

    def prune(self, through: int) -> int:
        from tidings.store.sqlite import upkeep

        self._ensure_open()
        return upkeep.prune(self._connections, through)

    def redact(self, query: Query) -> int:
        from tidings.store.sqlite import upkeep

        self._ensure_open()
        redacted = upkeep.redact_matching(self._connections, query)
        # Also where nothing was left to redact: an earlier call may have got no further than that.
        upkeep.empty_wal(self._connections)
        return redacted

    def check(self) -> list[str]:
        from tidings.store.sqlite import upkeep

        self._ensure_open()
        return upkeep.check(self._connections)

    def describe(self) -> dict[str, Any]:
        head = self.head()
        files = [self.path, f"{self.path}-wal"]
        return {
            "url": self.url,
            "durability": self.durability,
            "head": head,
            "first": self.first(),
            "size": sum(os.path.getsize(file) for file in files if os.path.exists(file)),
            "engine": f"SQLite {sqlite3.sqlite_version}",
        }

    # The ledger -----------------------------------------------------------------------------------

    def get(self, key: str) -> LedgerRecord | None:
        self._ensure_open()
        with self._connections.snapshot() as connection:
            return ledger.get(connection, key)

    def put(self, key: str, value: Any, expected: int | None = None) -> int:
        self._ensure_open()
        with self._connections.transaction() as connection:
            ((key, text),) = ledger.checked(connection, [Put(key, value, expected)])
            return ledger.write(connection, key, text)

    def delete(self, key: str, expected: int | None = None) -> bool:
        self._ensure_open()
        with self._connections.transaction() as connection:
            return ledger.delete(connection, key, expected)

    def keys(self, prefix: str = "", after: str = "", limit: int | None = None) -> list[str]:
        self._ensure_open()
        with self._connections.snapshot() as connection:
            return ledger.keys(connection, prefix, after, limit)

    # Its end --------------------------------------------------------------------------------------

    def close(self) -> None:
        super().close()
        self._waker.close()
        self._connections.close()

    def _numbers(self) -> Numbers:
        self._ensure_open()
        with self._connections.reading() as connection:
            return agreed_numbers(connection)
