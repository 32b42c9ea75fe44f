"""A directory that many machines share, as a log: what `Log` promises, with no locks and no server.

Keeps promises 1 and 2 on file systems where locks cannot be trusted. What is published waits as a
file; whoever comes to read puts what waits in order, if nobody else is just doing so. Nothing runs
in the background. It bounds its own waiting; what the kernel waits for (a dead NFS server) it does
not.
"""

from __future__ import annotations

import os
from threading import Event, Lock

from tidings.errors import StoreUnavailable, TidingsError
from tidings.store.replicated.log import Entry, Log, LogTrimmed
from tidings.store.shared.failures import Translated
from tidings.store.shared.files import Files, NotPlain
from tidings.store.shared.layout import Broken
from tidings.store.shared.lease import Lease
from tidings.store.shared.ordering import Ordering
from tidings.store.shared.place import Place
from tidings.store.shared.segments import GROUP, MOST_ENTRIES, Segments, end_of, next_after
from tidings.store.shared.taking_turns import TakingTurns
from tidings.store.shared.waiting_room import WaitingRoom

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tidings.store.shared.snapshots import Snapshots
    from tidings.store.shared.upkeep import Upkeep

__all__ = ["SharedLog"]

_MOST_BYTES = 8 * 1024 * 1024
_READ_ENTRIES = 10_000
_READ_BYTES = 8 * 1024 * 1024

_SOON_SECONDS = 5.0
"""So long after publishing somebody is taken to wait for what becomes of it."""

_APPLIED_SECONDS = 0.003
"""How long another process of this machine, whose turn it is, is given to apply what has come."""

_FIRST_PAUSE = 0.003
_LONGEST_PAUSE_SOON = 0.01
_LONGEST_PAUSE = 0.5
_TURN_SECONDS = 0.05
"""How long one goes on putting the entries of others in order before its own caller goes on."""


class SharedLog(Log):
    """The log in one directory.

    Args:
        directory: where it lies; made when first used.
        replica_path: the directory of this machine's replica.
        files: how the directory is reached; a test may put something in between.
    """

    durability = "power"
    most_bytes = _MOST_BYTES

    def __init__(self, directory: str, replica_path: str, files: Files | None = None) -> None:
        self.directory = directory
        self.url = f"shared:///{directory}"
        self.replica_path = replica_path
        self._files = Files(directory) if files is None else files
        self._translated = Translated(directory)
        self._closed = False
        self._never = Event()
        self._start_anew()

    def _start_anew(self) -> None:
        """Forget what threads of a parent may hold, and who the parent was."""
        self._process = os.getpid()
        self._place = Place(self.directory, self._files)
        self._segments = Segments(self._place)
        self._room = WaitingRoom(self._place)
        self._lease = Lease(self._place)
        self._ordering = Ordering(self._place, self._room, self._segments, self._lease)
        self._turn = Lock()
        self._turns = TakingTurns(self.replica_path)
        self._published = -_SOON_SECONDS
        self._known = 0
        self._stirred = Event()

    def _after_a_fork(self) -> None:
        if self._process != os.getpid():
            self._turns.after_fork_in_child()
            self._start_anew()

    def identity(self) -> str:
        self._after_a_fork()
        with self._translated:
            return self._place.identity()

    # Publishing and reading -----------------------------------------------------------------------

    def publish(
        self,
        entries: Sequence[tuple[str, bytes]],
        deadline: float,  # noqa: ARG002 - how long a write takes is the kernel's matter
    ) -> None:
        self._after_a_fork()
        if not entries:
            return
        if len(entries) > MOST_ENTRIES:
            raise StoreUnavailable(
                f"{len(entries):,} entries are too many for one call; at most {MOST_ENTRIES:,}"
            )
        with self._translated:
            self._room.put(entries)
        self._published = self._files.monotonic()
        self._stir()

    def _stir(self) -> None:
        """Let those who wait look again now."""
        stirred, self._stirred = self._stirred, Event()
        stirred.set()

    def read(self, after: int) -> list[Entry]:
        self._after_a_fork()
        self._turns.done(after)
        with self._translated:
            entries = self._read(after)
            if not entries and self._put_in_order(next_after(after)):
                entries = self._read(after)
            return entries

    def _read(self, after: int) -> list[Entry]:
        """What is in order past a sequence; it is on the disk then."""
        entries: list[Entry] = []
        size = 0
        while len(entries) < _READ_ENTRIES and size < _READ_BYTES:
            try:
                more = self._segments.read(
                    entries[-1].sequence if entries else after,
                    _READ_ENTRIES - len(entries),
                    _READ_BYTES - size,
                )
            except LogTrimmed:
                if entries:
                    break
                raise
            if not more:
                break
            entries += more
            size += sum(len(entry.data) for entry in more)
        if entries:
            self._known = max(self._known, next_after(entries[-1].sequence))
        return entries

    def wait(self, after: int, timeout: float) -> bool:
        self._after_a_fork()
        end = self._files.monotonic() + timeout
        pause = _FIRST_PAUSE
        while not self._closed:
            stirred = self._stirred
            try:
                if self._is_more(after):
                    if not self._turns.has(after):
                        self._files.pause(self._never, _APPLIED_SECONDS)
                    return True
            except TidingsError:
                pause = _LONGEST_PAUSE  # It may be back soon; who reads is told why not.
            now = self._files.monotonic()
            if now >= end:
                return False
            self._files.pause(stirred, min(pause, end - now))
            soon = now - self._published < _SOON_SECONDS
            longest = _LONGEST_PAUSE_SOON if soon else _LONGEST_PAUSE
            pause = _FIRST_PAUSE if stirred.is_set() else min(2 * pause, longest)
        return False

    def _is_more(self, after: int) -> bool:
        with self._translated:
            number = next_after(after)
            if self._segments.exists(number):
                return True
            return self._put_in_order(number) and self._segments.exists(number)

    def head(self, deadline: float) -> int:  # noqa: ARG002 - as in `publish`
        self._after_a_fork()
        with self._translated:
            self._place.identity()
            self._put_in_order(self._known)
            count = self._segments.count(self._known)
            self._known = max(self._known, count)
            return end_of(count - 1)

    # Putting in order -----------------------------------------------------------------------------

    def _put_in_order(self, known: int) -> bool:
        """Put in order what waits, if nobody else is at it; whether anything was.

        Where this process may only read, or the disk is full, what is in order can still be read.
        Only who published a moment ago is told what hinders.
        """
        try:
            if self._lease.is_held():
                return False
            if not self._room.names() or not self._files.may_write(self._place.path("new")):
                return False
            return self._take_turn(known)
        except OSError:
            if self._files.monotonic() - self._published < _SOON_SECONDS:
                raise
            return False

    def _take_turn(self, known: int) -> bool:
        if not self._turn.acquire(blocking=False):
            return False
        try:
            if not self._place.log or not self._lease.take():
                return False
            try:
                return self._put_all_in_order(known)
            finally:
                self._lease.give_back()
        finally:
            self._turn.release()

    def _put_all_in_order(self, known: int) -> bool:
        end = self._files.monotonic() + _TURN_SECONDS
        done = False
        while self._ordering.once(known):
            done = True
            if self._files.monotonic() >= end:
                break
        for group in self._ordering.taken_full():
            self._tidy(group)
        return done

    def _tidy(self, group: int) -> None:
        """Keep files few, after a group of segments became full."""
        try:
            for earlier in range(max(0, group - 2), group):
                self._upkeep.merge(earlier)
            self._upkeep.clean(group * GROUP)
            self._room.clean()
        except (OSError, Broken, NotPlain):
            return  # That is for `check` to tell; what was to be put in order is.

    # Trimming and snapshots -----------------------------------------------------------------------

    def trim(self, through: int) -> None:
        self._after_a_fork()
        with self._translated:
            self._upkeep.trim(through)

    def put_snapshot(self, sequence: int, path: str) -> None:
        self._after_a_fork()
        with self._translated:
            self._place.identity()
            self._snapshots.put(sequence, path)

    def fetch_snapshot(self, path: str) -> int | None:
        self._after_a_fork()
        with self._translated:
            return self._snapshots.fetch(path, self._goes_on_from)

    def _goes_on_from(self, sequence: int) -> bool:
        try:
            self._segments.read(sequence, 1, 1)
        except LogTrimmed:
            return False
        return True

    @property
    def _upkeep(self) -> Upkeep:
        from tidings.store.shared.upkeep import Upkeep

        return Upkeep(self._place, self._segments)

    @property
    def _snapshots(self) -> Snapshots:
        from tidings.store.shared.snapshots import Snapshots

        return Snapshots(self._place)

    # For people, and the end ----------------------------------------------------------------------

    def check(self) -> list[str]:
        from tidings.store.shared.inspecting import faults

        self._after_a_fork()
        with self._translated:
            self._place.identity()
            return faults(self._place, self._segments)

    def describe(self) -> dict[str, Any]:
        from tidings.store.shared.inspecting import facts

        self._after_a_fork()
        with self._translated:
            self._place.identity()
            return facts(self._place, self._segments, self._lease)

    def close(self) -> None:
        self._closed = True
        self._stir()
        self._turns.close()
