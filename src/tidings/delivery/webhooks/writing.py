"""Writing: how far endpoints have come goes to the ledger, a few times a second.

Keeps its part of promise 3: what could not be written is written with the next, and who lost a
shard writes nothing of it. A shard is written once at a time, and the less often the longer that
takes. Used from the engine's event loop; what is written is `shard`'s matter, and so is how.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from tidings.delivery.webhooks.attempts import AttemptLog
from tidings.delivery.webhooks.shard import write
from tidings.errors import LeaseLost, OutcomeUnknown, StoreClosed, StoreUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Mapping
    from concurrent.futures import Executor
    from typing import Any, TypeVar

    from tidings.delivery.webhooks.feed import Ring
    from tidings.delivery.webhooks.shard import Shard, Snapshot
    from tidings.store.base import Store

    T = TypeVar("T")

__all__ = ["BUSY_SECONDS", "Writing"]

_SECONDS = 0.5
"""How often it is written what was sent."""

BUSY_SECONDS = 0.1
"""How often where much is sent: what is not written when a process dies is sent again."""

_MUCH = 20
"""So many attempts since the last write are much."""

_SHARE = 5
"""It rests so many times as long as writing took."""

_LONGEST_REST = 1.0
"""But no longer (seconds)."""

_POSITION_SECONDS = 5.0
"""How often it is written that the log was read on, where nothing was sent."""

_LAG_SECONDS = 2.0
"""An endpoint that is so far behind the feed has a position of its own; nobody waits for it."""

_log = logging.getLogger("tidings.webhooks")


class Writing:
    """Writes how far the endpoints of shards have come.

    Args:
        store: whose ledger keeps it.
        shards: those served, by number.
        ring: how far the feed has come.
        thread: where the store is called, one call at a time.
        start: begins a task.
        removed: told the keys of records that were removed.
        lost: told of a shard that another process serves now.
    """

    def __init__(
        self,
        store: Store,
        shards: Mapping[int, Shard],
        ring: Ring,
        thread: Executor,
        start: Callable[[Coroutine[Any, Any, None]], object],
        *,
        removed: Callable[[list[str]], None],
        lost: Callable[[Shard], None],
    ) -> None:
        self._store = store
        self._shards = shards
        self._ring = ring
        self._thread = thread
        self._start = start
        self._removed = removed
        self._lost = lost
        self._log = AttemptLog(store)
        self._loop = asyncio.get_running_loop()
        self._at = self._position_at = 0.0
        self._made = 0
        self._marks: deque[tuple[float, int]] = deque()

    async def learn(self, ids: Collection[str]) -> None:
        """See how far the lists of some endpoints' attempts have come, which others wrote so far.

        Raises:
            StoreUnavailable, OutcomeUnknown: the store is away.
        """
        await self._in_thread(self._log.learn, ids)

    def turn(self, made: int) -> None:
        """Write if it is time.

        Args:
            made: how many attempts were made so far.
        """
        now = self._loop.time()
        much = made - self._made >= _MUCH
        if now < self._at + (BUSY_SECONDS if much else _SECONDS):
            return
        self._at, self._made = now, made
        self._marks.append((now, self._ring.end))
        while len(self._marks) > 1 and self._marks[1][0] <= now - _LAG_SECONDS:
            self._marks.popleft()
        all = now >= self._position_at
        if all:
            self._position_at = now + _POSITION_SECONDS
        for shard in self._shards.values():
            if shard.written_or_failed.is_set() and not shard.leaving:
                snapshot = self._snapshot(shard, all=all)
                if snapshot is not None:
                    shard.written_or_failed.clear()  # at once: the task begins a little later
                    self._start(self._write(shard, snapshot))

    async def write_last(self, shard: Shard) -> None:
        """Write what there is about a shard, as it is served no longer."""
        while not shard.written_or_failed.is_set():
            await shard.written_or_failed.wait()
        snapshot = None if shard.lease.lost else self._snapshot(shard, all=True)
        if snapshot is not None:
            await self._write(shard, snapshot)

    def _snapshot(self, shard: Shard, *, all: bool) -> Snapshot | None:
        at, floor = self._marks[0] if self._marks else (0.0, 0)
        is_old = at <= self._loop.time() - _LAG_SECONDS
        return shard.snapshot(self._ring.end, floor if is_old else 0, all=all)

    async def _write(self, shard: Shard, snapshot: Snapshot) -> None:
        shard.written_or_failed.clear()
        began = self._loop.time()
        try:
            await self._in_thread(write, self._store, snapshot, self._log)
        except LeaseLost as error:
            _log.info("%s", error)
            self._lost(shard)
        except (StoreUnavailable, OutcomeUnknown, StoreClosed) as error:
            _log.info("what was sent could not be written yet: %s", error)
            shard.failed(snapshot)
        except Exception:  # noqa: BLE001 - a bug must not end deliveries
            _log.exception("what was sent could not be written; it is tried again")
            shard.failed(snapshot)
        else:
            shard.written(snapshot)
            self._removed(snapshot.gone)
        finally:
            shard.written_or_failed.set()
            ended = self._loop.time()
            rest = min(_LONGEST_REST, (ended - began) * _SHARE)
            self._at = max(self._at, ended + rest)

    async def _in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        return await self._loop.run_in_executor(self._thread, call, *arguments)
