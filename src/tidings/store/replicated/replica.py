"""The replica: this machine's SQLite store that applies a log's commands.

It may lose its newest transactions with the machine's power: then it has lost how far it got with
them, and applies the same entries again. All processes of the machine share it; each may apply, and
SQLite's lock lets one at a time.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from tidings.errors import NotAStore, StoreDamaged, StoreLocked
from tidings.store.replicated import bookkeeping
from tidings.store.replicated.applying import Applying
from tidings.store.replicated.recalling import recalled
from tidings.store.sqlite import SQLiteStore, upkeep
from tidings.store.sqlite.appending import DuplicateKeys
from tidings.store.sqlite.failures import translate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from tidings.store.replicated.bookkeeping import State
    from tidings.store.replicated.command import Command
    from tidings.store.replicated.log import Entry

__all__ = ["FellBehind", "Replica"]


class FellBehind(Exception):  # noqa: N818 - a signal to the follower, never to users
    """The file is not as far as it was: somebody put an older copy in its place."""


class Replica(SQLiteStore):
    """A SQLite store that knows how far it has applied a log.

    Args:
        path: its file, made by `make` or a copy of another machine's.
        url: the log's, for messages.
        deadline: the longest to wait for a lock (seconds).
    """

    _follows_log = True

    def __init__(self, path: str, url: str, deadline: float) -> None:
        super().__init__(path, durability="process", deadline=deadline)
        self._log_url = url
        self._has_traces = False

    @classmethod
    def make(cls, path: str, url: str, identity: str, deadline: float) -> None:
        """Make the file of an empty replica."""
        replica = cls(path, url, deadline)
        with replica._connections.transaction() as connection:
            bookkeeping.begin(connection, identity)
        replica.close()

    @staticmethod
    def last_state(path: str, deadline: float) -> State | None:
        """How far a file says it is, which may be damaged or empty; none where it does not say.

        It is only looked at: opened as a store, an empty file would become one.
        """
        uri = f"{Path(path).absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=deadline)) as connection:
                return bookkeeping.state_of(connection, path)
        except sqlite3.Error as error:
            trouble = translate(error, path, deadline)
        except NotAStore as error:
            trouble = error
        if isinstance(trouble, StoreDamaged | NotAStore):
            return None
        raise trouble

    def state(self) -> State:
        """How far it is.

        Raises:
            NotAStore: the file is no replica.
            StoreTooNew: a newer Tidings made it.
        """
        with self._connections.reading() as connection:
            return bookkeeping.state_of(connection, self.path)

    def recall(self, own: Mapping[str, Command]) -> tuple[int, dict[str, list[Any]]]:
        """How far it is, and the results of those commands it has applied, by id; as `apply`."""
        with self._connections.snapshot() as connection:
            state = bookkeeping.state_of(connection, self.path)
            return state.sequence, recalled(connection, own.values(), state.commands)

    def apply(
        self, after: int, entries: Sequence[Entry], own: Mapping[str, Command]
    ) -> dict[str, list[Any]]:
        """Apply entries that follow each other in the log; those it is past are passed over.

        Args:
            after: the entry that they follow.
            entries: what to apply.
            own: commands that somebody in this process waits for, by id.

        Returns:
            The results of those among them that are applied now, by id: for an append one for each
            batch, as `Store.append_all` gives them; for other commands the one value or error.

        Raises:
            FellBehind: it has not got to `after`, so entries would be skipped.
        """
        try:
            return self._apply(after, entries, own, look_up=False)
        except DuplicateKeys:
            return self._apply(after, entries, own, look_up=True)

    def _apply(
        self, after: int, entries: Sequence[Entry], own: Mapping[str, Command], *, look_up: bool
    ) -> dict[str, list[Any]]:
        with self._connections.transaction() as connection:
            applying = Applying(
                connection,
                self._connections.head,
                own,
                look_up=look_up,
                path=self.path,
                url=self._log_url,
            )
            if applying.reached < after:
                raise FellBehind
            for entry in entries:
                applying.take(entry)
            applying.finish()
        self._waker.tell(applying.position)
        self._has_traces = self._has_traces or applying.redacted
        if self._has_traces:
            with suppress(StoreLocked):  # a reader is at it: after the next entries, then
                self.overwrite_redacted()
        return applying.outcomes

    def backup(self, path: str) -> None:
        """Write a copy that is a store of its own."""
        self._ensure_open()
        upkeep.backup(self._connections, path, bookkeeping.strip)

    def copy(self, path: str) -> State:
        """Write a copy that is a replica; returns how far it is."""
        self._ensure_open()
        upkeep.backup(self._connections, path)
        connection = sqlite3.connect(path)
        try:
            return bookkeeping.state_of(connection, path)
        finally:
            connection.close()

    def overwrite_redacted(self) -> None:
        """Leave nothing of what was redacted in the file's WAL."""
        upkeep.empty_wal(self._connections)
        self._has_traces = False

    def is_in_place(self) -> bool:
        """Whether the path still leads to the file that is open."""
        return self._connections.is_in_place()
