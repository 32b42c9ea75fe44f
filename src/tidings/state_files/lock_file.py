"""A lock that any file system keeps: who makes the file, by O_EXCL, has it.

Keeps: no two hold it at once, and one whose holder was killed is taken away. Of a process of this
machine it is known whether it lives, so a living one is never robbed, however long it was stopped.
One of another machine counts as dead once nothing was seen of it for `_STALE` seconds; a holder
relies on its lock for far less than that, and afterwards neither writes nor takes it away by
itself. Who takes a dead one's lock away holds a second lock for that, so that of two who see the
same dead holder the later does not take away the lock of a third.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from threading import Lock

from tidings.durable_files import NOT_OURS, forget
from tidings.processes import has_ended, identity, is_of_here, read_identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LockFile"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
_PAUSE = 0.002

_SAFE = 1.0
"""So long a holder relies on its lock (seconds), well below what it takes to count as dead by any
clock; what it does in its turn takes milliseconds."""

_STALE = 30.0
"""So long one must be seen to be held by the same turn of a process that cannot be asked."""

_OLD = 60.0
_SEEN = 2.0
"""It also counts as dead if its file is so old, and was seen unchanged for so long (seconds): who
looks only once cannot wait half a minute, and clocks of several machines may be wrong."""


def _now() -> float:
    """Seconds of a clock that goes on while this machine sleeps, where it has one."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class LockFile:
    """One lock, for the threads of this process and all others.

    Args:
        path: the file; it is there while somebody holds the lock.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._breaking = f"{path}.break"
        self._threads = Lock()
        self._process = 0
        self._turns = 0
        self._since: float | None = None
        self._seen: dict[str, tuple[bytes, float]] = {}

    @contextmanager
    def held(self, seconds: float, make_directory: Callable[[], None]) -> Iterator[bool]:
        """Hold it, if it comes within so many seconds; whether it did.

        Args:
            seconds: how long to wait.
            make_directory: makes the directory it lies in, where that is missing.

        Raises:
            OSError: the file cannot be made.
        """
        self._ensure_own()
        if not self._threads.acquire(timeout=seconds):
            yield False
            return
        try:
            said = self._who()
            if not self._take(said, seconds, make_directory):
                yield False
                return
            self._since = _now()
            try:
                yield True
            finally:
                self._give_back(said)
                self._since = None
        finally:
            self._threads.release()

    def is_safe(self) -> bool:
        """Whether what is done now is done while it is surely held; also where it is not needed."""
        return self._since is None or _now() - self._since < _SAFE

    def _take(self, said: bytes, seconds: float, make_directory: Callable[[], None]) -> bool:
        end = time.monotonic() + seconds
        while True:
            try:
                if _made(self._path, said):
                    return True
            except FileNotFoundError:
                make_directory()
                continue
            if self._remove_if_dead() and _made(self._path, said):
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(_PAUSE)

    def _give_back(self, said: bytes) -> None:
        if self.is_safe():
            forget(self._path)
        else:
            self._take_away(said)

    def _remove_if_dead(self) -> bool:
        """Take the lock from a dead holder; whether it may be free now."""
        said = _look(self._path)
        if said is None:
            return True
        return self._is_dead(self._path, said) and self._take_away(said)

    def _take_away(self, said: bytes) -> bool:
        """Remove the lock if it is that of this turn still; whether one of us removed it."""
        if not _made(self._breaking, self._who()):
            self._free_breaking()
            return False
        try:
            if _look(self._path) != said:
                return False
            forget(self._path)
            return True
        finally:
            forget(self._breaking)

    def _free_breaking(self) -> None:
        """Remove the second lock if who held it died within the few calls that it is for."""
        said = _look(self._breaking)
        if said is None or not self._is_dead(self._breaking, said):
            return
        aside = f"{self._breaking}.{os.urandom(6).hex()}"
        try:
            os.rename(self._breaking, aside)
            if _look(aside) != said:
                os.link(aside, self._breaking)
        except OSError:
            return  # somebody else is at it
        finally:
            forget(aside)

    def _is_dead(self, path: str, said: bytes) -> bool:
        """Whether the holder of a lock is."""
        told = read_identity(said.partition(b"\n")[0])
        if is_of_here(told):
            return has_ended(told)
        now = _now()
        seen, since = self._seen.setdefault(path, (said, now))
        if seen != said:
            self._seen[path] = (said, now)
            return False
        watched = now - since
        return watched > _STALE or (watched > _SEEN and abs(_age(path)) > _OLD)

    def _who(self) -> bytes:
        """Who we are, in this turn."""
        self._turns += 1
        return f"{self._said}\n{self._turns}\n".encode()

    def _ensure_own(self) -> None:
        """Begin anew in a forked child: it is another process, and its threads are others."""
        if self._process != os.getpid():
            self._threads, self._said = Lock(), identity()
            self._since = None
            self._process = os.getpid()


def _made(path: str, said: bytes) -> bool:
    try:
        file = os.open(path, _NEW, 0o600)
    except FileExistsError:
        return False
    try:
        os.write(file, said)
    except OSError:
        forget(path)
        raise
    finally:
        os.close(file)
    return True


def _look(path: str) -> bytes | None:
    """What a holder says of itself; none where the lock is free, or cannot be looked at."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        if error.errno in NOT_OURS:
            return None
        raise


def _age(path: str) -> float:
    """How old a file is (seconds), as far as clocks agree."""
    try:
        return time.time() - os.stat(path).st_mtime
    except OSError:
        return 0.0
