"""The ways to use a store's connections: to write, to read, to see one state.

Each is a context: it takes a connection, gives it back, and lets sqlite3's errors leave as ours.
They are classes, because every emit goes through one and a generator of `contextlib` costs it
several microseconds. Who has which connection is decided in `connections`.
"""

from __future__ import annotations

from time import monotonic

from tidings.store.sqlite.failures import Translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from types import TracebackType

    from tidings.store.sqlite.connections import Connections

__all__ = ["Looking", "Snapshot", "Transaction", "Writing"]


_NEARLY_ALL = 0.9
"""With more of the deadline left, SQLite's own waiting needs no change, which costs a statement."""


class _Use:
    """What all of them have: the connections, one of which is in use, and the way errors leave."""

    __slots__ = ("_connection", "_connections", "_translated")

    _connection: sqlite3.Connection

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._translated = Translated(connections.path, connections.deadline)

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


class Writing(_Use):
    """The one connection that writes, to oneself; not in a transaction."""

    __slots__ = ()

    def __enter__(self) -> sqlite3.Connection:
        self._connection = self._connections.take_writer()
        return self._connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connections.give_back_writer()
        self._translated.__exit__(kind, error, trace)


class Transaction(_Use):
    """A write transaction: committed at the end, rolled back on any error."""

    __slots__ = ()

    def __enter__(self) -> sqlite3.Connection:
        until = monotonic() + self._connections.deadline
        self._connection = self._connections.take_writer()
        try:
            with self._translated:
                self._begin(until - monotonic())
        except BaseException:
            self._connections.give_back_writer()
            raise
        return self._connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with self._translated:
                if error is None:
                    self._commit()
                else:
                    self._take_back()
            self._translated.__exit__(kind, error, trace)
        finally:
            self._connections.give_back_writer()

    def _begin(self, left: float) -> None:
        """Begin within the time left (seconds): threads and processes are waited for only once.

        IMMEDIATE takes the write lock first: a transaction that reads and only then writes is
        refused at once when another one wrote in between, whatever the deadline.
        """
        deadline = self._connections.deadline
        if left > _NEARLY_ALL * deadline:
            self._connection.execute("BEGIN IMMEDIATE")
            return
        self._connection.execute(f"PRAGMA busy_timeout={max(0, int(left * 1000))}")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        finally:
            self._connection.execute(f"PRAGMA busy_timeout={int(deadline * 1000)}")

    def _commit(self) -> None:
        self._translated.committing = True
        try:
            self._connection.execute("COMMIT")
        except BaseException:
            self._take_back()
            raise

    def _take_back(self) -> None:
        self._connections.head.forget()
        self._roll_back()


class Looking(_Use):
    """A connection that only reads; each statement sees the newest state."""

    __slots__ = ()

    def __enter__(self) -> sqlite3.Connection:
        with self._translated:
            self._connection = self._connections.borrow()
        return self._connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connections.give_back(self._connection)
        self._translated.__exit__(kind, error, trace)


class Snapshot(Looking):
    """As `Looking`, with all statements seeing the same state; to be left soon."""

    __slots__ = ()

    def __enter__(self) -> sqlite3.Connection:
        connection = super().__enter__()
        try:
            with self._translated:
                connection.execute("BEGIN")
        except BaseException:
            self._connections.give_back(connection)
            raise
        return connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with self._translated:
                self._roll_back()
        finally:
            super().__exit__(kind, error, trace)
