"""The ways to use a connection: to look, to look at one moment, to write.

Each is a context: it takes a connection, gives it back, and lets psycopg's errors leave as ours.
Appends and ledger writes go through `writing`, which finds out what became of a commit that broke.
"""

from __future__ import annotations

from time import monotonic

import psycopg

from tidings.store.postgres.failures import Translated, comes_back, translate, unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from tidings.store.postgres.connections import Connections
    from tidings.store.postgres.dialing import Line

__all__ = ["Looking", "Snapshot", "Transaction", "ask", "lock_statements"]

_PATIENCE = 0.8
"""The part of the time left for which the server waits for the lock: it should be the one that says
no, for a connection of which nothing more is heard must be given up."""


class Looking:
    """A connection that only reads; each statement sees the newest state."""

    def __init__(self, connections: Connections, seconds: float | None) -> None:
        self._connections = connections
        self._seconds = seconds
        self._translated = Translated(connections.url, connections.deadline)

    def __enter__(self) -> Line:
        self._line = self._connections.borrow()
        self._bound()
        return self._line

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connections.give_back(self._line)
        self._translated.__exit__(kind, error, trace)

    def _bound(self) -> None:
        self._line.until = None if self._seconds is None else monotonic() + self._seconds


class Snapshot(Looking):
    """As `Looking`, with all statements seeing the same state; to be left soon."""

    def __init__(self, connections: Connections, settings: str, seconds: float | None) -> None:
        super().__init__(connections, seconds)
        self._settings = settings

    def __enter__(self) -> Line:
        until = monotonic() + self._connections.deadline
        while True:
            line = super().__enter__()
            # A session that was kept may be dead without a sign; a living one answers this at once.
            line.until = monotonic() + self._connections.deadline
            try:
                # In one message. Without the role's own timeout: pages are short, and we have ours.
                line.execute(
                    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
                    f"SET LOCAL statement_timeout = 0; {self._settings}",
                    prepare=False,
                )
            except psycopg.Error as error:
                again = comes_back(error) and monotonic() < until
                self._connections.give_back(line)
                if not again:
                    raise translate(
                        error, self._connections.url, self._connections.deadline
                    ) from error
            except BaseException:
                self._connections.give_back(line)
                raise
            else:
                self._bound()
                return line

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with self._translated:
                if error is None:
                    # And no ROLLBACK, at which psycopg forgets all statements it has prepared.
                    self._line.execute("COMMIT")
                elif self._line.in_transaction:
                    self._line.rollback()
        finally:
            super().__exit__(kind, error, trace)


class Transaction:
    """A write transaction that holds the store's lock: committed at the end, or taken back."""

    def __init__(self, connections: Connections, seconds: float | None) -> None:
        self._connections = connections
        self._seconds = seconds
        self._translated = Translated(connections.url, connections.deadline)

    def __enter__(self) -> Line:
        connections = self._connections
        until = monotonic() + connections.deadline
        connections.take_writing(until)
        try:
            with self._translated:
                self._line = connections.writer(until)
                self._line.until = until
                for statement in lock_statements(connections, until, 0):
                    self._line.execute(*statement)
        except BaseException:
            connections.drop_writer()
            connections.give_back_writing()
            raise
        self._line.until = None if self._seconds is None else monotonic() + self._seconds
        return self._line

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._commit()
            else:
                # Without a word to the server, which may be the one that does not answer.
                self._connections.drop_writer()
            self._translated.__exit__(kind, error, trace)
        finally:
            self._connections.give_back_writing()

    def _commit(self) -> None:
        try:
            self._line.execute("COMMIT")
        except psycopg.Error as error:
            if self._line.taken_back:
                raise translate(error, self._connections.url, self._connections.deadline) from error
            raise unknown(self._connections.url, error) from error


def ask(
    connections: Connections, name: str, values: tuple[Any, ...], *, seconds: float, binary: bool
) -> list[tuple[Any, ...]]:
    """The rows of one statement that reads, asked again while its connection breaks.

    Args:
        connections: the store's.
        name: the statement's.
        values: what it is given.
        seconds: how long it may take.
        binary: whether the rows come in PostgreSQL's binary form.
    """
    until = monotonic() + connections.deadline
    with Translated(connections.url, connections.deadline):
        while True:
            line = connections.borrow()
            line.until = monotonic() + seconds
            try:
                return line.execute(connections.sql[name], values, binary=binary).fetchall()
            except psycopg.Error as error:
                # A session may end between a look at it and its use.
                if not comes_back(error) or monotonic() >= until:
                    raise
            finally:
                connections.give_back(line)


def lock_statements(
    connections: Connections, until: float, longest: float
) -> list[tuple[str, tuple[object, ...]]]:
    """What begins a write transaction, and takes the store's lock.

    The lock is a statement of its own, and in READ COMMITTED whatever the role's default is: the
    next statement then sees everything that was committed before the lock was got. The role's
    timeouts do not hold here. To be cancelled in a COMMIT that waits for a standby would even be
    reported as success. Of plans, only those by index are wanted, also right after a table was
    empty; and to compile one would take longer than to run it.

    Args:
        connections: the store's.
        until: by when the lock must be got (on the monotonic clock).
        longest: after so long the server ends the transaction, whatever becomes of its client
            (seconds; from PostgreSQL 17 on); 0 for never.
    """
    patience = max(1, int(_PATIENCE * 1000 * (until - monotonic())))
    sql = connections.sql
    settings = sql[f"settings_{connections.address.durability}"]
    return [
        ("BEGIN ISOLATION LEVEL READ COMMITTED", ()),
        (settings, (str(patience), str(int(longest * 1000)))),
        (sql["lock"], (connections.lock_key,)),
    ]
