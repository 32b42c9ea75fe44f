"""Connections to one PostgreSQL store: one to write, a few to read, one to listen.

Keeps promise 4 (nobody waits for locks, connections and networks for longer than the deadline) and
that a store outlives a fork: sessions belong to the process that opened them, so a child lets go of
its parent's without a word to the server, and opens its own. It opens and hands out; what is done
on a connection is said in `transactions` and `writing`.

There is no `psycopg_pool` here: its worker threads do not outlive a fork, and it would start them
for every shell emit.
"""

from __future__ import annotations

import os
import select
import time
import weakref
from contextlib import suppress
from threading import Condition, Lock, RLock
from time import monotonic

import psycopg

from tidings.errors import StoreClosed
from tidings.store.postgres.dialing import Line, dial
from tidings.store.postgres.failures import comes_back, not_kept_in_time, translate
from tidings.store.postgres.schema import lock_key, prepare
from tidings.store.postgres.statements import quoted, statements
from tidings.store.postgres.transactions import Looking, Snapshot, Transaction, ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.store.postgres.address import Address

__all__ = ["Connections"]

_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.25)
"""Between attempts to connect to a server that may soon serve (seconds); the last repeats."""

_HOPELESS_SECONDS = 2.0
"""For how long, after a whole deadline without a connection, callers try but once and not for long:
a job that emits again and again must not wait each time for a server that is gone."""

_LOOK_SECONDS = 15.0
_READ_SECONDS = 60.0
"""How long a look at one row, or a page, may take before the network is taken for dead."""

_LEAST_DEADLINE = 0.1
"""A deadline of 0 means not to wait for others; to ask the server takes a moment all the same."""


class Connections:
    """The connections of one store. Safe for many threads, and after a fork.

    Args:
        address: the store's.
        deadline: the longest to wait for locks, connections and networks (seconds).

    Attributes:
        url: the store's URL without secrets, for messages.
        schema: its schema's name, quoted.
        sql: the named statements, on that schema.
    """

    def __init__(self, address: Address, deadline: float) -> None:
        self.address = address
        self.deadline = max(deadline, _LEAST_DEADLINE)
        self.url = address.url
        self.schema = quoted(address.schema)
        self.sql = statements(address.schema)
        self.lock_key = lock_key(address.schema)
        self._closed = False
        self._start_anew()
        with _registering:
            _open_ones.add(self)

    def _start_anew(self) -> None:
        self._write_lock = Lock()
        self._state = Condition()
        self._all: set[Line] = set()
        self._writer: Line | None = None
        self._readers: list[Line] = []
        self._borrowed = 0
        self._hopeless_until = 0.0
        self._forks = 0

    def ask(self, name: str, *values: Any, binary: bool = False) -> list[tuple[Any, ...]]:
        """The rows of one statement that reads; asked again where the connection broke.

        Args:
            name: the statement's.
            values: what it is given.
            binary: whether the rows come in PostgreSQL's binary form.
        """
        return ask(self, name, values, seconds=_LOOK_SECONDS, binary=binary)

    def reading(self, seconds: float | None = _READ_SECONDS) -> Looking:
        """A connection that reads; each statement sees the newest state.

        Args:
            seconds: how long it may take; none for as long as it takes.
        """
        return Looking(self, seconds)

    def snapshot(self, settings: str = "", seconds: float | None = _READ_SECONDS) -> Snapshot:
        """As `reading`, in a read-only transaction whose statements all see the same state.

        Args:
            settings: statements such as `SET LOCAL jit = off; …` to begin with.
            seconds: as for `reading`.
        """
        return Snapshot(self, settings, seconds)

    def transaction(self, seconds: float | None = None) -> Transaction:
        """A write transaction that holds the store's lock; committed at the end.

        Args:
            seconds: how long it may take; none for as long as it takes. The lock is waited for no
                longer than the deadline.
        """
        return Transaction(self, seconds)

    def close(self) -> None:
        """Close every connection; those in use, when they are given back."""
        self._closed = True
        with _registering:
            _open_ones.discard(self)
        # Who writes for longer, such as a prune, lets go of it itself.
        if self._write_lock.acquire(timeout=self.deadline):
            self.drop_writer()
            self._write_lock.release()
        with self._state:
            while self._readers:
                self.drop(self._readers.pop())
            self._state.notify_all()

    # Taking one, and giving it back ---------------------------------------------------------------

    def take_writing(self, until: float) -> None:
        """Be the one of this process that writes.

        Raises:
            StoreLocked: other threads wrote until then.
        """
        if not self._write_lock.acquire(timeout=max(0.0, until - monotonic())):
            raise not_kept_in_time(self.url, self.deadline, "other threads of this process wrote")

    def give_back_writing(self) -> None:
        """Let the next one write."""
        if self._closed:
            self.drop_writer()
        self.drop_writer_if_busy()
        self._write_lock.release()

    def writer(self, until: float) -> Line:
        """The connection that writes, for who has taken writing; opened if need be."""
        self._ensure_open()
        if self._writer is not None and not _is_usable(self._writer):
            self.drop_writer()
        if self._writer is None:
            self._writer = self._kept_reader() or self.open(until)
        return self._writer

    def drop_writer(self) -> None:
        """Let go of the connection that writes; what is under way on it is taken back."""
        if self._writer is not None:
            self.drop(self._writer)
            self._writer = None

    def drop_writer_if_busy(self) -> None:
        """Let go of the connection that writes, if something is under way on it."""
        if self._writer is not None and not self._writer.at_rest:
            self.drop_writer()

    def borrow(self) -> Line:
        """A connection that reads, of those kept or a new one."""
        until = monotonic() + self.deadline
        with self._state:
            while self._borrowed >= self.address.pool:
                self._ensure_open()
                if not self._state.wait(max(0.0, until - monotonic())):
                    what = f"all {self._borrowed} connections were in use"
                    raise not_kept_in_time(self.url, self.deadline, what)
            self._ensure_open()
            self._borrowed += 1
        try:
            return self._kept_reader() or self.open(until)
        except BaseException:
            self._lower_borrowed()
            raise

    def give_back(self, line: Line) -> None:
        """Keep a connection that reads for the next one, if nothing is wrong with it."""
        with self._state:
            if self._closed or not line.at_rest or line not in self._all:
                self.drop(line)
            else:
                self._readers.append(line)
        self._lower_borrowed()

    def open(self, until: float) -> Line:
        """A new connection, its store at the newest schema; tried again while there is hope.

        Raises:
            StoreUnavailable: there is none by then; the subclass says why.
        """
        pauses = iter(_PAUSES)
        pause = 0.0
        hopeful = monotonic() >= self._hopeless_until
        if not hopeful:
            until = min(until, monotonic() + self.deadline / 4)
        while True:
            self._ensure_open()
            try:
                return self._opened(until)
            except psycopg.Error as error:
                pause = next(pauses, pause)
                # An attempt takes its time too; one that has none says less than this one.
                gives_up = not hopeful or monotonic() + 2 * pause >= until
                if not comes_back(error) or gives_up:
                    if gives_up and hopeful:
                        self._hopeless_until = monotonic() + _HOPELESS_SECONDS
                    raise translate(error, self.url, self.deadline) from error
            time.sleep(pause)

    def drop(self, line: Line) -> None:
        """Let go of a connection that `open` gave."""
        with self._state:
            if line in self._all:
                self._all.discard(line)
                line.close()

    # Before and after a fork ----------------------------------------------------------------------

    def before_fork(self) -> None:
        """Let nobody open or close a connection in the moment of the fork."""
        self._state.acquire()
        self._forks += 1

    def after_fork_in_parent(self) -> None:
        """Let the others go on."""
        self._state.release()

    def after_fork_in_child(self) -> None:
        """Let go of the parent's connections, and forget locks that its threads may hold."""
        for line in self._all:
            line.abandoned = True
            # Only our hold on the socket, so that the server notices when the parent dies; to close
            # the connection would end the parent's session. One that just broke has no socket.
            with suppress(psycopg.OperationalError):
                os.close(line.pgconn.socket)
        _abandoned.extend(self._all)
        self._start_anew()

    # Opening and closing --------------------------------------------------------------------------

    def _opened(self, until: float) -> Line:
        while True:
            forks = self._forks
            line = dial(self.address.parameters, until)
            try:
                line.until = until
                prepare(line, self.address)
            except BaseException:
                line.close()
                raise
            with self._state:
                # A child that was forked meanwhile holds the socket too, and does not know of it:
                # were we killed, the server would keep our session, and the lock, while it lives.
                if forks == self._forks and not self._closed:
                    self._all.add(line)
                    return line
            line.close()
            self._ensure_open()

    def _kept_reader(self) -> Line | None:
        """A connection that is open anyway; a shell emit then opens one and not two."""
        with self._state:
            while self._readers:
                line = self._readers.pop()
                if _is_usable(line):
                    return line
                self.drop(line)
        return None

    def _lower_borrowed(self) -> None:
        with self._state:
            self._borrowed -= 1
            self._state.notify_all()

    def _ensure_open(self) -> None:
        if self._closed:
            raise StoreClosed(f"{self.url} is closed; open the store again")


def _is_usable(line: Line) -> bool:
    """Whether the server has said nothing since: what it says unasked is good-bye."""
    if not line.at_rest:
        return False
    looking = select.poll()
    looking.register(line.pgconn.socket, select.POLLIN)
    return not looking.poll(0)


_registering = RLock()
"""Held while stores come and go, and over a fork: one that came meanwhile would be missed."""

_open_ones: weakref.WeakSet[Connections] = weakref.WeakSet()
_forking: list[Connections] = []
_abandoned: list[Line] = []
"""What a child holds on to for good: to let go of it would free what the parent's threads had half
done in the moment of the fork."""


def _before_fork() -> None:
    _registering.acquire()
    _forking[:] = sorted(_open_ones, key=id)
    for connections in _forking:
        connections.before_fork()


def _after_fork_in_parent() -> None:
    while _forking:
        _forking.pop().after_fork_in_parent()
    _registering.release()


def _after_fork_in_child() -> None:
    while _forking:
        _forking.pop().after_fork_in_child()
    _registering.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
