"""A log in one file, for several processes: what is shared by replicas when nothing can go wrong.

A table of SQLite holds the entries. Each call opens it anew, and no fork happens meanwhile, so a
fork or a kill has nothing to break. What holds for a store over it holds by the replicated store
alone.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from contextlib import contextmanager
from threading import Event as Flag
from threading import RLock
from typing import TYPE_CHECKING, Any

from tidings.store.replicated.log import Entry, Log, LogTrimmed
from tidings.store.replicated.store import ReplicatedStore
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_AT_ONCE = 1000
_LOOK = 0.002

_no_fork = RLock()
os.register_at_fork(
    before=_no_fork.acquire, after_in_parent=_no_fork.release, after_in_child=_no_fork.release
)


def open_file_store(
    directory: Path | str, *, replica: str = "replica", most_bytes: int = 2048
) -> ReplicatedStore:
    """The store over the log in a directory; another replica is another machine's.

    Entries are small, so that commands have many parts.
    """
    log = FileLog(f"{directory}/log.db", f"{directory}/{replica}", most_bytes=most_bytes)
    return ReplicatedStore(log, deadline=PATIENCE)


class FileLog(Log):
    """A log in the file at a path."""

    def __init__(self, path: str, replica_path: str, *, most_bytes: int = 1 << 20) -> None:
        self.url = f"file-log:{path}"
        self.durability = "process"
        self.most_bytes = most_bytes
        self.replica_path = replica_path
        self._path = path
        self._closing = Flag()
        with (
            open(f"{path}.made", "w", encoding="ascii") as one_at_a_time,
            self._opened() as connection,
        ):
            # SQLite does not wait for others when it changes the mode.
            fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS entries "
                "(sequence INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB)"
            )

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with _no_fork:
            connection = sqlite3.connect(self._path, timeout=PATIENCE, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous=OFF")
                connection.execute("PRAGMA secure_delete=ON")
                yield connection
            finally:
                connection.close()

    def identity(self) -> str:
        """The file's own number."""
        return str(os.stat(self._path).st_ino)

    def publish(self, entries: Sequence[tuple[str, bytes]], deadline: float) -> None:  # noqa: ARG002
        """Insert them, each by itself: those of others may come between them."""
        with self._opened() as connection:
            for _, data in entries:
                connection.execute("INSERT INTO entries (data) VALUES (?)", (data,))

    def read(self, after: int) -> list[Entry]:
        """Those past a sequence."""
        with self._opened() as connection:
            first = connection.execute("SELECT min(sequence) FROM entries").fetchone()[0]
            if (self._head(connection) + 1 if first is None else first) > after + 1:
                raise LogTrimmed
            rows = connection.execute(
                "SELECT sequence, data FROM entries WHERE sequence > ? ORDER BY sequence LIMIT ?",
                (after, _AT_ONCE),
            )
            return [Entry(*row) for row in rows]

    def wait(self, after: int, timeout: float) -> bool:
        """Look again and again."""
        until = time.monotonic() + timeout
        while self.head(0) <= after:
            if time.monotonic() > until or self._closing.wait(_LOOK):
                return False
        return True

    def head(self, deadline: float) -> int:  # noqa: ARG002 - it never takes long
        """The newest sequence, trimmed ones included."""
        with self._opened() as connection:
            return self._head(connection)

    def _head(self, connection: sqlite3.Connection) -> int:
        found = connection.execute("SELECT max(seq) FROM sqlite_sequence").fetchone()[0]
        return int(found or 0)

    def trim(self, through: int) -> None:
        """Delete them."""
        with self._opened() as connection:
            connection.execute("DELETE FROM entries WHERE sequence <= ?", (through,))
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def put_snapshot(self, sequence: int, path: str) -> None:
        """Copy a file beside the log."""
        with open(path, "rb") as file, open(f"{self._path}.unfinished", "wb") as copy:
            copy.write(file.read())
        os.replace(f"{self._path}.unfinished", f"{self._path}.{sequence}.snapshot")

    def fetch_snapshot(self, path: str) -> int | None:
        """Copy the newest one back."""
        directory, name = os.path.split(self._path)
        found = [each.split(".") for each in os.listdir(directory) if each.endswith(".snapshot")]
        sequence = max((int(parts[-2]) for parts in found), default=None)
        if sequence is None:
            return None
        snapshot = os.path.join(directory, f"{name}.{sequence}.snapshot")
        with open(snapshot, "rb") as file, open(path, "xb") as copy:
            copy.write(file.read())
        return sequence

    def check(self) -> list[str]:
        """SQLite looks after it."""
        return []

    def describe(self) -> dict[str, Any]:
        """What it is."""
        return {"engine": "a file"}

    def close(self) -> None:
        """Let those go who wait."""
        self._closing.set()
