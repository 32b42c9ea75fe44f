"""How a replica is found, made and held against its log before it is used.

Keeps: a replica is thrown away only when it is damaged or below what was trimmed, and another that
can go on is in its place; never when the log has lost something: then it may hold the only copy,
and is refused in words.
"""

from __future__ import annotations

import os
import shlex
import time
from zlib import crc32

from tidings.errors import NotAStore, StoreDamaged, StoreUnavailable
from tidings.store.replicated.generations import Generations
from tidings.store.replicated.log import LogTrimmed
from tidings.store.replicated.replica import Replica

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.replicated.bookkeeping import State
    from tidings.store.replicated.log import Entry, Log

__all__ = ["ENGINE_PATIENCE", "Attaching", "LogContradicts"]

ENGINE_PATIENCE = 5.0
"""How long the log may take to answer what no caller waits for (seconds)."""


def _only_copy(path: str) -> str:
    return (
        f"It may hold the only copy of its events: if the log does not come back, save them with "
        f"`tidings migrate {_url(path)} NEW-URL`, then remove the replica's directory"
    )


def _url(path: str) -> str:
    """The replica as a store of its own, to be pasted into a shell."""
    return shlex.quote(f"sqlite:///{os.path.abspath(path)}")


class LogContradicts(StoreUnavailable):
    """The log does not know what this machine's replica has applied."""


class Attaching:
    """Opens the replica of a log on this machine.

    Args:
        log: the log.
        deadline: the longest to wait for a lock of the replica (seconds).
    """

    def __init__(self, log: Log, deadline: float) -> None:
        self._log = log
        self._deadline = deadline
        self._generations = Generations(log.replica_path)

    def replica(self, *, instead_of: str | None = None) -> tuple[Replica, int, int]:
        """The replica, the entry it has got to, and the log's newest.

        Args:
            instead_of: the file of one that is of no use any more, if there is.

        Raises:
            LogContradicts: the log does not know what the replica has applied.
            StoreUnavailable: the log or the replica cannot be used.
        """
        path = self._generations.newest()
        if path is None or path == instead_of:
            path = self._made(instead_of)
        replica = Replica(path, self._log.url, self._deadline)
        try:
            sequence, head = self.compared(replica)
        except StoreDamaged:
            replica.close()
            self._made(path)
            raise
        except NotAStore:
            replica.close()
            self._generations.put_aside(path)
            raise
        except BaseException:
            replica.close()
            raise
        return replica, sequence, head

    def compared(self, replica: Replica) -> tuple[int, int]:
        """The entry a replica has got to, and the log's newest, if they fit together.

        Raises:
            LogContradicts: they do not: the replica may then hold the only copy.
            StoreDamaged, NotAStore: the replica is of no use.
        """
        state = replica.state()
        head = self._compare(state, replica.path)
        replica.head()  # tells at once of damage that the state's own page does not show
        return state.sequence, head

    def _compare(self, state: State, path: str) -> int:
        if state.identity != self._log.identity():
            raise LogContradicts(
                f"{self._log.url} is not the log that this machine's replica {path} was made "
                f"from: it was made anew, or another one took its name. {_only_copy(path)}"
            )
        head = self._log.head(ENGINE_PATIENCE)
        if head < state.sequence:
            raise LogContradicts(
                f"{self._log.url} ends at entry {head}, and this machine's replica {path} has "
                f"applied {state.sequence}: the log has lost entries. {_only_copy(path)}"
            )
        if state.sequence:
            self._compare_last(state, path)
        return head

    def _compare_last(self, state: State, path: str) -> None:
        """Refuse a replica whose last entry the log has otherwise; unless that was trimmed."""
        sequence = state.sequence
        try:
            last = self._entry_after(sequence - 1)
        except LogTrimmed:
            return
        if last.sequence != sequence or crc32(last.data) != state.digest:
            raise LogContradicts(
                f"{self._log.url} has another entry {sequence} than this machine's replica {path} "
                f"has applied: the log has lost entries. {_only_copy(path)}"
            )

    def _entry_after(self, sequence: int) -> Entry:
        """The entry that comes next; there is one.

        Raises:
            LogTrimmed: it was trimmed away.
        """
        until = time.monotonic() + ENGINE_PATIENCE
        while not (entries := self._log.read(sequence)):
            left = until - time.monotonic()
            if left <= 0:
                raise StoreUnavailable(
                    f"{self._log.url} does not give the entry past {sequence}, which it has"
                )
            self._log.wait(sequence, left)
        return entries[0]

    def _made(self, instead_of: str | None) -> str:
        """Make a replica from the log's snapshot, or an empty one.

        Args:
            instead_of: the file that is of no use; none where there is none. Where another process
                has put a newer one in its place, that is it.
        """
        with self._generations.making() as unfinished:
            newest = self._generations.newest()
            if newest is not None and newest != instead_of:
                return newest
            if newest is not None:
                self._ensure_no_only_copy(newest)
            if self._log.fetch_snapshot(unfinished) is None:
                Replica.make(unfinished, self._log.url, self._log.identity(), self._deadline)
            self._ensure_goes_on(unfinished)
            return self._generations.put_in_place(unfinished)

    def _ensure_no_only_copy(self, path: str) -> None:
        """Keep a damaged replica too, where the log does not know what it has applied."""
        state = Replica.last_state(path, self._deadline)
        if state is not None:
            self._compare(state, path)

    def _ensure_goes_on(self, unfinished: str) -> None:
        """Refuse to begin with what the log does not go on from."""
        with Replica(unfinished, self._log.url, self._deadline) as replica:
            state = replica.state()
        if state.identity != self._log.identity():
            raise StoreUnavailable(
                f"the snapshot kept with {self._log.url} was made from another log; remove it, or "
                f"restore the log it belongs to from its backup"
            )
        if self._log.head(ENGINE_PATIENCE) <= state.sequence:
            return
        try:
            self._entry_after(state.sequence)
        except LogTrimmed:
            raise StoreUnavailable(
                f"{self._log.url} was trimmed, and no snapshot is kept with it that goes on from "
                f"there, so this machine cannot have what was trimmed; restore the log and its "
                f"snapshots from a backup, or save what another machine has with `tidings migrate "
                f"sqlite:///ITS-REPLICA NEW-URL`"
            ) from None
