"""What tests of the bus share: a store that tells when it is asked, a lock, an event loop."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tidings.store.sqlite import SQLiteStore
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence
    from pathlib import Path

    from tidings.event import Event
    from tidings.store.base import Batch

__all__ = ["AskedStore", "kept_lock", "run"]

T = TypeVar("T")


class AskedStore(SQLiteStore):
    """A SQLite store that tells when it is asked to append, and how many batches at once."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), durability="process", deadline=PATIENCE)
        self.calls: list[int] = []
        self._asked = threading.Semaphore(0)

    def append_all(self, batches: Sequence[Batch]) -> list[list[Event] | Exception]:
        """Tell, then append."""
        self.calls.append(len(batches))
        self._asked.release()
        return super().append_all(batches)

    async def was_asked(self) -> None:
        """Wait for the next call that was not waited for yet."""
        assert await asyncio.to_thread(self._asked.acquire, timeout=PATIENCE)


@contextmanager
def kept_lock(path: Path) -> Iterator[None]:
    """Keep the lock of a store that is there, as another process would: who writes waits."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, which must come; the loop must have nothing to complain of."""
    complaints: list[dict[str, Any]] = []

    async def bounded() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
        async with asyncio.timeout(PATIENCE) as limit:
            result = await main
        assert not limit.expired()  # also where a test took its end for what it expected
        return result

    result = asyncio.run(bounded())
    gc.collect()  # what nobody awaited or retrieved is told when it is collected
    assert complaints == []
    return result
