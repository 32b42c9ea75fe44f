"""Connections to one SQLite file: one to write, a few to read, safe across threads and forks.

SQLite must not be carried across a fork, not even closed in the child (its locks live in process
memory: https://www.sqlite.org/howtocorrupt.html, section 2.6). So every connection is closed before
a fork and opened again when next needed, in parent and child alike.
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from threading import Condition, Lock

from tidings.durable_files import make_directory
from tidings.errors import (
    NetworkFileSystem,
    StoreClosed,
    StoreDamaged,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)
from tidings.filesystems import network_file_system
from tidings.store.sqlite.bookkeeping import Head
from tidings.store.sqlite.failures import Translated
from tidings.store.sqlite.schema import prepare
from tidings.store.sqlite.statements import SQL
from tidings.store.sqlite.transactions import (
    Looking,
    Snapshot,
    Transaction,
    Writing,
)

__all__ = ["Connections"]

_CHECKPOINT_PAGES = 4000  # 16 MB of WAL: 4–13 % faster single emits than SQLite's 1,000
_KEPT_READERS = 8
_FORK_PATIENCE = 5.0
_STATEMENTS = 256


class Connections:
    """The connections of one store.

    Args:
        path: the database file; made, with its directory, when first opened.
        deadline: the longest to wait for a lock (seconds).
        synchronous: `FULL` (survives power loss) or `NORMAL` (survives the process).
        follows_log: whether the file is a replica, and those who write apply its log.

    Attributes:
        head: what the connection that writes knows of the head.
    """

    def __init__(
        self, path: str, deadline: float, synchronous: str, *, follows_log: bool = False
    ) -> None:
        self.path = path
        self._follows_log = follows_log
        self.deadline = deadline
        self._synchronous = synchronous
        self._start_anew()
        self._closed = False
        _open_ones.add(self)

    def _start_anew(self) -> None:
        self._write_lock = Lock()
        self._state = Condition()
        self._writer: sqlite3.Connection | None = None
        self._readers: list[sqlite3.Connection] = []
        self._watcher: sqlite3.Connection | None = None
        self._borrowed = 0
        self.head = Head()
        self._file: tuple[int, int] | None = None

    def writing(self) -> Writing:
        """The one connection that writes, to oneself; not in a transaction yet.

        Raises:
            StoreLocked: when entered, another thread kept it past the deadline.
            StoreUnavailable: when entered, it cannot be opened.
        """
        return Writing(self)

    def transaction(self) -> Transaction:
        """A write transaction: committed at the end, rolled back on any error."""
        return Transaction(self)

    def reading(self) -> Looking:
        """A connection that only reads; returned to the pool afterwards."""
        return Looking(self)

    def snapshot(self) -> Snapshot:
        """As `reading`, with all statements seeing the same state; to be left soon."""
        return Snapshot(self)

    def stop_watching(self) -> None:
        """Close the connection that looks for changes."""
        with self._state:
            self._close_watcher()

    def close(self) -> None:
        """Close every connection; those in use, when they are given back."""
        self._closed = True
        _open_ones.discard(self)
        with self._write_lock:
            self._close_writer()
        with self._state:
            self._close_readers()
            self._close_watcher()

    def is_in_place(self) -> bool:
        """Whether the path still leads to the file that is open; also where none is open yet."""
        file = self._file  # a thread that closes the store meanwhile sets it to none
        if file is None:
            return True
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == file

    # Before and after a fork ----------------------------------------------------------------------

    def before_fork(self) -> None:
        """Close everything, and let nobody open anything until the fork is done."""
        self._write_lock.acquire()
        self._state.acquire()
        self._state.wait_for(lambda: self._borrowed == 0, timeout=_FORK_PATIENCE)
        self._close_writer()
        self._close_readers()
        self._close_watcher()

    def after_fork_in_parent(self) -> None:
        """Let the others go on."""
        self._state.release()
        self._write_lock.release()

    def after_fork_in_child(self) -> None:
        """Forget locks that threads of the parent may hold."""
        was_idle = self._borrowed == 0
        self._start_anew()
        if not was_idle:
            # A read of another thread outlasted our patience: its locks were carried across.
            self._closed = True

    # Taking one, and giving it back; for `transactions` -------------------------------------------

    def take_writer(self) -> sqlite3.Connection:
        """The one connection that writes, once nobody else has it."""
        if not self._write_lock.acquire(timeout=self.deadline):
            raise StoreLocked(
                f"{self.path} was kept by another thread for {self.deadline:g} s; try again"
            )
        try:
            return self._opened_writer()
        except BaseException:
            self._write_lock.release()
            raise

    def give_back_writer(self) -> None:
        """Let the next one write."""
        self._write_lock.release()

    def borrow(self) -> sqlite3.Connection:
        """A connection that reads, of those kept or a new one."""
        with self._state:
            self._ensure_open()
            self._ensure_in_place()
            self._borrowed += 1
            if self._readers:
                return self._readers.pop()
        try:
            return self._open()
        except BaseException:
            self._lower_borrowed()
            raise

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Keep a connection that reads for the next one."""
        with self._state:
            if self._closed or len(self._readers) >= _KEPT_READERS:
                connection.close()
            else:
                self._readers.append(connection)
        self._lower_borrowed()

    def take_watcher(self) -> sqlite3.Connection:
        """The one connection that looks for changes; none can be opened or closed meanwhile."""
        self._state.acquire()
        try:
            self._ensure_open()
            if self._watcher is None:
                with Translated(self.path, self.deadline):
                    self._watcher = self._open()
            else:
                self._ensure_in_place()
        except BaseException:
            self._state.release()
            raise
        return self._watcher

    def give_back_watcher(self) -> None:
        """Let connections be opened and closed again."""
        self._state.release()

    # Opening --------------------------------------------------------------------------------------

    def _opened_writer(self) -> sqlite3.Connection:
        self._ensure_open()
        if self._writer is None:
            with Translated(self.path, self.deadline):
                writer = self._kept_reader() or self._open()
            self._ensure_own(writer)
            self._writer = writer
        else:
            self._ensure_in_place()
        return self._writer

    def _ensure_own(self, writer: sqlite3.Connection) -> None:
        """Refuse to write into a replica past its log: it would differ from all others for good."""
        if self._follows_log or not writer.execute(SQL["follows_log"]).fetchone()[0]:
            return
        writer.close()
        raise StoreReadOnly(
            f"{self.path} is this machine's replica of another store, and changes by that store's "
            f"log alone; set TIDINGS_URL to the store's own URL"
        )

    def _kept_reader(self) -> sqlite3.Connection | None:
        """A connection that is open anyway; a shell emit then opens one and not two."""
        with self._state:
            if not self._readers:
                return None
            self._ensure_in_place()
            return self._readers.pop()

    def _ensure_open(self) -> None:
        if self._closed:
            raise StoreClosed(f"{self.path} is closed; open the store again")

    def _ensure_in_place(self) -> None:
        """Refuse a file that the path no longer leads to: nobody would find the events again."""
        if not self.is_in_place():
            raise StoreUnavailable(
                f"{self.path} was moved, deleted or replaced while it was open; put it back, or "
                f"start this process again"
            )

    def _ensure_not_emptied(self) -> None:
        """Refuse a file cut to nothing while open: SQLite would make a new database of it."""
        try:
            emptied = self._file is not None and os.path.getsize(self.path) == 0
        except OSError:
            return  # It is not there at all, and SQLite says so.
        if emptied:
            raise StoreDamaged(
                f"{self.path} is damaged (it was emptied while it was open); run `tidings check`, "
                f"then restore a backup"
            )

    def _lower_borrowed(self) -> None:
        with self._state:
            self._borrowed -= 1
            self._state.notify_all()

    def _open(self) -> sqlite3.Connection:
        if self._file is None:
            self._make_directory()
        self._ensure_in_place()
        self._ensure_not_emptied()
        connection = sqlite3.connect(
            self.path,
            timeout=self.deadline,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENTS,
        )
        try:
            prepare(connection, self.path, time.monotonic() + self.deadline)
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            # On macOS only this makes an fsync reach the disk; elsewhere it changes nothing.
            connection.execute("PRAGMA fullfsync=1")
            connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
            connection.execute("PRAGMA cell_size_check=1")  # notices more of what is damaged
            # What is redacted must be gone, however this SQLite was built.
            connection.execute("PRAGMA secure_delete=ON")
        except BaseException:
            connection.close()
            raise
        if self._file is None:
            found = os.stat(self.path)
            self._file = (found.st_dev, found.st_ino)
        return connection

    def _make_directory(self) -> None:
        directory = os.path.dirname(self.path) or "."
        kind = network_file_system(directory)
        if kind is not None:
            raise NetworkFileSystem(
                f"{self.path} lies on a network file system ({kind}), where SQLite loses events; "
                f"set TIDINGS_URL or TIDINGS_HOME to a local disk"
            )
        try:
            make_directory(directory)
        except OSError as error:
            raise StoreUnavailable(
                f"{directory} cannot be made ({error.strerror}); set TIDINGS_HOME or TIDINGS_URL"
            ) from error

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._file = None

    def _close_readers(self) -> None:
        while self._readers:
            self._readers.pop().close()

    def _close_watcher(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None


_open_ones: weakref.WeakSet[Connections] = weakref.WeakSet()
_forking: list[Connections] = []


def _before_fork() -> None:
    _forking[:] = sorted(_open_ones, key=id)
    for connections in _forking:
        connections.before_fork()


def _after_fork_in_parent() -> None:
    while _forking:
        _forking.pop().after_fork_in_parent()


def _after_fork_in_child() -> None:
    while _forking:
        _forking.pop().after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
