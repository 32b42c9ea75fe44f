"""One short write transaction from begin to end, in two round trips, whatever becomes of the line.

Keeps promises 1 and 4 where connections break: before the commit is sent, the work is done again on
a new connection; from then on it is found out whether it was kept, under the lock, so that the
broken session has come to its end, and never guessed. All of it within the deadline, or within half
of one more for a commit under way. What is written is said by the work (`appending`, `ledger`).
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from time import monotonic

import psycopg

from tidings.errors import StoreClosed, StoreUnavailable, TidingsError
from tidings.store.postgres.bookkeeping import numbers_of
from tidings.store.postgres.failures import comes_back, translate, unknown
from tidings.store.postgres.transactions import lock_statements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias, TypeVar

    from tidings.store.postgres.bookkeeping import Numbers
    from tidings.store.postgres.connections import Connections
    from tidings.store.postgres.dialing import Line

    Statement: TypeAlias = tuple[str, tuple[Any, ...]]
    Rows: TypeAlias = list[tuple[Any, ...]]
    W = TypeVar("W", bound="Work")

__all__ = ["Work", "write"]

_MARK_BITS = 63

_LONGEST, _GRACE = 1.5, 2.0
"""A client has given up after so many deadlines. One that still holds the lock so many seconds
later stands still, and the server ends its transaction."""


class Work(ABC):
    """What one transaction looks up, decides and writes.

    Args:
        connections: the store's.

    Attributes:
        sql: the named statements.
        known: the store's own numbers, as they are under the lock.
        mark: a number of this transaction's own, by which the store knows the last one again.
    """

    def __init__(self, connections: Connections) -> None:
        self.url = connections.url
        self.sql = connections.sql
        self.known: Numbers
        self.mark = secrets.randbits(_MARK_BITS)

    @abstractmethod
    def questions(self) -> list[Statement]:
        """What must be known for deciding, beside the store's own numbers."""

    @abstractmethod
    def decide(self, answers: Sequence[Rows]) -> list[Statement]:
        """What to write, from the answers to the questions; nothing where nothing changes."""

    def evidence(self) -> list[Statement]:
        """What to ask, beside the store's own numbers, to find out whether it was kept."""
        return []

    @abstractmethod
    def was_kept(self, now: Numbers, answers: Sequence[Rows]) -> bool | None:
        """Whether it was kept; none where what others wrote since hides it.

        Args:
            now: the store's own numbers, as they are now.
            answers: those to what `evidence` asked.
        """


def write(connections: Connections, make: Callable[[], W]) -> W:
    """Do some work in a transaction of its own, all of it or nothing.

    Args:
        connections: the store's.
        make: makes the work, anew for each attempt.

    Returns:
        The work that was done.

    Raises:
        TidingsError: what the work's `decide` raised; nothing was written.
        StoreUnavailable: nothing was written; the subclass says why.
        OutcomeUnknown: the commit broke, and what became of it could not be found out in time.
    """
    until = monotonic() + connections.deadline
    connections.take_writing(until)
    try:
        while True:
            work = make()
            line = connections.writer(until)
            statements = _begun(connections, line, work, until)
            if statements is None:
                continue
            if not statements or _committed(connections, line, work, statements, until):
                return work
    finally:
        connections.give_back_writing()


def _begun(
    connections: Connections, line: Line, work: Work, until: float
) -> list[Statement] | None:
    """Take the lock, look up and decide; none where the connection broke, to be tried again."""
    try:
        answers = _locked_answers(connections, line, work.questions(), until)
        work.known = numbers_of(connections.url, [row[:4] for row in answers[0]])
        statements = work.decide(answers[1:])
        if not statements:
            line.execute("COMMIT")
    except TidingsError:
        _end_unwritten(connections, line)
        raise
    except psycopg.Error as error:
        _take_back(connections, line)
        if comes_back(error) and monotonic() < until:
            return None
        raise translate(error, connections.url, connections.deadline) from error
    return statements


def _end_unwritten(connections: Connections, line: Line) -> None:
    """End a transaction that was decided against; a connection that breaks now takes nothing along.

    Nothing was written; at a ROLLBACK psycopg would forget all statements it has prepared.
    """
    try:
        line.execute("COMMIT")
    except psycopg.Error:
        connections.drop_writer()


def _committed(
    connections: Connections, line: Line, work: Work, statements: list[Statement], until: float
) -> bool:
    """Write and commit; whether it was kept, as the server said or as was found out."""
    line.until = max(until, monotonic() + connections.deadline / 2)
    try:
        with line.pipeline():
            for statement in statements:
                line.execute(*statement)
            line.execute("COMMIT")
    except psycopg.Error as error:
        refused = line.taken_back
        _take_back(connections, line)
        if refused:
            raise translate(error, connections.url, connections.deadline) from error
        if _found_kept(connections, work, error, line.until):
            return True
        if monotonic() < until:
            return False
        raise StoreUnavailable(
            f"{connections.url} broke off ({error}); nothing was kept, try again"
        ) from error
    return True


def _found_kept(connections: Connections, work: Work, why: psycopg.Error, until: float) -> bool:
    """Whether a transaction was kept whose commit broke.

    Under the lock: the broken session held it, so it has ended when we get it.
    """
    until = max(until, monotonic() + connections.deadline / 2)
    while True:
        try:
            line = connections.writer(until)
            answers = _locked_answers(connections, line, work.evidence(), until)
            line.execute("COMMIT")
        except (StoreClosed, StoreUnavailable) as error:
            raise unknown(connections.url, error) from why
        except psycopg.Error as error:
            _take_back(connections, line)
            if comes_back(error) and monotonic() < until:
                continue
            raise unknown(connections.url, error) from why
        now = numbers_of(connections.url, [row[:4] for row in answers[0]])
        if answers[0][0][4] == work.mark:
            return True
        kept = work.was_kept(now, answers[1:])
        if kept is None:
            raise unknown(connections.url, why) from why
        return kept


def _locked_answers(
    connections: Connections, line: Line, questions: Sequence[Statement], until: float
) -> list[Rows]:
    """Begin, take the lock and ask, in one round trip; the store's own numbers come first."""
    line.until = until
    with line.pipeline():
        longest = _LONGEST * connections.deadline + _GRACE
        for statement in lock_statements(connections, until, longest):
            line.execute(*statement)
        asked = [(connections.sql["head_and_mark"], ()), *questions]
        cursors = [line.execute(*statement) for statement in asked]
    return [cursor.fetchall() for cursor in cursors]


def _take_back(connections: Connections, line: Line) -> None:
    """Take back what is under way; without a connection, the server does it."""
    try:
        if line.in_transaction:
            line.rollback()
    except psycopg.Error:
        connections.drop_writer()
    else:
        if not line.at_rest:
            connections.drop_writer()
