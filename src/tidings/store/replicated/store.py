"""The store over a log: writes are commands, reads are the replica's.

Keeps every promise of the contract on many machines: what is decided is decided by the log's order,
the same on each of them. A write returns when this machine's replica has applied it, so it reads
its own writes. A read gives what the replica has: all that was in the log when the store was
opened, and what has come since, behind other machines by as long as the log takes to bring it;
`catch_up` waits for that.
"""

from __future__ import annotations

import time
from json import loads

from tidings import settings
from tidings.errors import (
    InvalidQuery,
    NotAStore,
    StoreClosed,
    StoreDamaged,
    StoreUnavailable,
    TidingsError,
    shorten,
)
from tidings.store.base import Batch, Put, Reading, Store
from tidings.store.ledger import checked_key, encoded_value
from tidings.store.replicated.command import (
    ADOPT,
    APPEND,
    DELETE,
    PRUNE,
    PUT,
    REDACT,
    RESTORE,
    Command,
)
from tidings.store.replicated.following import Follower
from tidings.store.replicated.generations import Generations
from tidings.store.standing import ANY, Standing
from tidings.store.wire import whole
from tidings.timestamps import now_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any, TypeVar

    from tidings.event import Event
    from tidings.store.base import Bin, Count, LedgerRecord, Page, Summary, TypeCount
    from tidings.store.query import Query
    from tidings.store.replicated.log import Log
    from tidings.store.replicated.replica import Replica

    T = TypeVar("T")

__all__ = ["ReplicatedStore"]

_RESTORED_AT_ONCE = 5_000

_LONG, _LONG_PUBLISH = 600.0, 60.0
"""What prunes, redacts and restores may take (seconds), in all and to be published: they go through
the whole store, or bring much of one."""


class ReplicatedStore(Store):
    """A store whose log is shared between machines, and whose content is this machine's replica.

    Args:
        log: the shared log.
        deadline: the longest a write waits for log and replica (seconds); none for
            `TIDINGS_DEADLINE`, 1 s.
    """

    atomic_put = True

    def __init__(self, log: Log, *, deadline: float | None = None) -> None:
        self.url = log.url
        self.durability = log.durability
        self._deadline = settings.deadline() if deadline is None else deadline
        self._log = log
        self._follower = Follower(log, self._deadline)

    # The log --------------------------------------------------------------------------------------

    def append_all(self, batches: Sequence[Batch]) -> list[list[Event] | Exception]:
        self._ensure_open()
        asked = [_sayable(batch) for batch in batches]
        sent = [each for each in asked if isinstance(each, Batch)]
        if not sent:
            return [each for each in asked if isinstance(each, TidingsError)]
        content = {"at": now_instant(), "batches": sent}
        decided = iter(self._run(Command(APPEND, content), self._deadline))
        return [next(decided) if isinstance(each, Batch) else each for each in asked]

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
        command = Command(RESTORE, {"at": now_instant(), "events": events})
        return int(self._run_one(command, _LONG))

    def adopt(self, pruned: int, summaries: Sequence[Summary] = ()) -> None:
        self._ensure_open()
        self._run_one(Command(ADOPT, {"pruned": pruned, "summaries": list(summaries)}), _LONG)

    def read(self, query: Query) -> Reading:
        replica, reading = self._reading(lambda replica: (replica, replica.read(query)))
        return Reading(self._pages(replica, reading), reading.position)

    def _pages(self, replica: Replica, reading: Reading) -> Iterator[Page]:
        try:
            while (page := reading.next_page()) is not None:
                yield page
        except (StoreDamaged, NotAStore):
            self._follower.renew(replica)
            raise

    def latest(self, type: str | None = None) -> Event | None:
        return self._reading(lambda replica: replica.latest(type))

    def head(self) -> int:
        return self._reading(lambda replica: replica.head())

    def first(self) -> int:
        return self._reading(lambda replica: replica.first())

    def catch_up(self) -> int:
        self._ensure_open()
        sequence = self._follower.head(self._deadline)
        return self._follower.follow_to(sequence, None).head()

    def types(self) -> list[TypeCount]:
        return self._reading(lambda replica: replica.types())

    def count(self, query: Query) -> Count:
        return self._reading(lambda replica: replica.count(query))

    def summaries(self, kind: str, query: Query, standing: Standing = ANY) -> list[Summary]:
        return self._reading(lambda replica: replica.summaries(kind, query, standing))

    def remains(self, after: tuple[str, str] | None = None) -> list[Summary]:
        return self._reading(lambda replica: replica.remains(after))

    def histogram(self, query: Query, interval: int) -> list[Bin]:
        return self._reading(lambda replica: replica.histogram(query, interval))

    def wait(self, after: int, timeout: float | None = None) -> int:
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            replica = self._follower_replica()
            left = None if until is None else max(0.0, until - time.monotonic())
            try:
                return replica.wait(after, left)
            except (StoreDamaged, NotAStore):
                self._follower.renew(replica)
            except (StoreClosed, StoreUnavailable):
                self._ensure_open()
                if replica.is_in_place():
                    raise
                self._follower.replaced(replica)

    def trouble(self) -> TidingsError | None:
        return self._follower.trouble() or self._log.trouble()

    # Upkeep ---------------------------------------------------------------------------------------

    def backup(self, path: str) -> None:
        self._reading(lambda replica: replica.backup(path))

    def prune(self, through: int) -> int:
        self._ensure_open()
        if whole("through", through) is None:
            raise InvalidQuery(f"through {shorten(through)} must be a whole number")
        removed = int(self._run_one(Command(PRUNE, {"through": through}), _LONG))
        if removed:
            self._trim()
        return removed

    def redact(self, query: Query) -> int:
        self._ensure_open()
        redacted = int(self._run_one(Command(REDACT, {"query": query}), _LONG))
        self._reading(lambda replica: replica.overwrite_redacted())
        # Also where nothing was left to redact: an earlier call may have got no further than that.
        self._trim()
        return redacted

    def _trim(self) -> None:
        """Leave in the log only what a snapshot of the replica does not have."""
        with Generations(self._log.replica_path).copying() as path:
            sequence = self._follower_replica().copy(path).sequence
            self._log.put_snapshot(sequence, path)
        self._log.trim(sequence)

    def check(self) -> list[str]:
        self._ensure_open()
        replica = None
        try:
            replica = self._follower_replica()
            problems = replica.check() + self._log.check()
        except (StoreDamaged, NotAStore) as error:
            if replica is None:
                return [str(error)]
            self._follower.renew(replica)
            return [f"{error}; it is only this machine's replica, which is made anew from the log"]
        except TidingsError as error:
            return [str(error)]
        trouble = self._follower.trouble()
        return problems if trouble is None else [*problems, str(trouble)]

    def describe(self) -> dict[str, Any]:
        replica = self._follower_replica()
        return {
            **replica.describe(),
            "url": self.url,
            "durability": self.durability,
            "replica": replica.path,
            **self._log.describe(),
        }

    # The ledger -----------------------------------------------------------------------------------

    def get(self, key: str) -> LedgerRecord | None:
        return self._reading(lambda replica: replica.get(key), self._deadline)

    def put(self, key: str, value: Any, expected: int | None = None) -> int:
        self._ensure_open()
        command = Command(PUT, {"put": _sayable_put(Put(key, value, expected))})
        return int(self._run_one(command, self._deadline))

    def delete(self, key: str, expected: int | None = None) -> bool:
        self._ensure_open()
        content = {"key": checked_key(key), "expected": whole("expected", expected)}
        command = Command(DELETE, content)
        return bool(self._run_one(command, self._deadline))

    def keys(self, prefix: str = "", after: str = "", limit: int | None = None) -> list[str]:
        return self._reading(lambda replica: replica.keys(prefix, after, limit), self._deadline)

    # Its end --------------------------------------------------------------------------------------

    def close(self) -> None:
        if not self._closed:
            super().close()
            self._follower.close()

    # How it is done -------------------------------------------------------------------------------

    def _run(self, command: Command, deadline: float) -> list[Any]:
        """Publish a command, and give its results once this machine's replica has them."""
        until = time.monotonic() + deadline
        # A replica that is far behind could not tell the outcome in time: then nothing is sent.
        self._follower.ensure_near(self._deadline)
        left = max(0.0, until - time.monotonic())
        return self._follower.run(command, left, min(left, max(self._deadline, _LONG_PUBLISH)))

    def _run_one(self, command: Command, deadline: float) -> Any:
        (result,) = self._run(command, deadline)
        if isinstance(result, Exception):
            raise result
        return result

    def _follower_replica(self, deadline: float | None = None) -> Replica:
        self._ensure_open()
        return self._follower.replica(deadline)

    def _reading(self, ask: Callable[[Replica], T], deadline: float | None = None) -> T:
        """What the replica says; once more where it had to be made or opened anew.

        Args:
            ask: what to ask it.
            deadline: the longest to wait for it (seconds), where an emit may wait for the answer;
                none waits for as long as it comes nearer to the log.
        """
        replica = self._follower_replica(deadline)
        try:
            return ask(replica)
        except (StoreDamaged, NotAStore):
            self._follower.renew(replica)
        except (StoreClosed, StoreUnavailable):
            self._ensure_open()
            if replica.is_in_place():
                raise
            self._follower.replaced(replica)
        return ask(self._follower_replica(deadline))


def _sayable(batch: Batch) -> Batch | TidingsError:
    """The batch as its command says it, or why none can.

    What this process applies must be what all others read: no object that its caller still has, and
    may change, and no value that JSON gives back otherwise.
    """
    try:
        puts = [_sayable_put(put) for put in batch.put]
        return Batch(list(batch.events), whole("expected_version", batch.expected_version), puts)
    except TidingsError as error:
        return error


def _sayable_put(put: Put) -> Put:
    value = loads(encoded_value(put.value))
    return Put(checked_key(put.key), value, whole("expected", put.expected))
