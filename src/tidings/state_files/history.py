"""The history: one file to which every process of every machine appends whole lines.

On a local disk who appends locks the file itself; on a network file system, where such locks may
reach no further than the machine and appending is not atomic (open(2)), there is a lock file. Who
does not get its turn in time leaves its line in a waiting place, one file each, as maildir(5) does
it; whoever has the next turn appends it. Keeps: no line is garbled, lost or repeated by a writer
that is killed anywhere, and none waits for a writer that was stopped for more than a moment.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from json import loads
from time import monotonic, sleep
from typing import NamedTuple

from tidings.filesystems import network_file_system
from tidings.state_files.lock_file import LockFile
from tidings.state_files.names import HISTORY
from tidings.state_files.waiting import WaitingLines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ["History", "Turn"]

_PATIENCE = 0.2
"""So long a writer waits for its turn (seconds): what others do in theirs takes milliseconds."""

_COLLECT_PATIENCE = 5.0
"""The same for `collect`, which has time: long enough to find a lock's holder dead."""

_PAUSE = 0.001
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)

_MOST_WAITING = 200
"""So many lines of others a writer appends in its turn."""

_TAIL = 64 * 1024
"""So many of the last bytes, and more, are looked through for a line that is there already."""
_BLOCK = 64 * 1024


class Turn(NamedTuple):
    """What a writer may do.

    Attributes:
        append: appends a line, its end included, or has it wait.
        is_alone: whether no other process writes state files there now, however late this one is.
    """

    append: Callable[[bytes], None]
    is_alone: bool


class History:
    """The history in one directory.

    Args:
        directory: where it lies; made when first needed.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self.path = os.path.join(directory, HISTORY)
        self._lock = LockFile(os.path.join(directory, ".history.lock"))
        self._waiting = WaitingLines(os.path.join(directory, ".history.waiting"))
        self._by_lock_file: bool | None = None
        self._stuck = False

    @contextmanager
    def turn(self, seconds: float = _PATIENCE) -> Iterator[Turn]:
        """Have a turn, or none; either way what is yielded takes a line.

        Args:
            seconds: how long to wait for it. Where the last wait was for nothing, there is none: a
                writer that was stopped in its turn holds up each of the others once.

        Raises:
            OSError: the directory cannot be written.
        """
        with self._opened(0.0 if self._stuck else seconds) as file:
            self._stuck = file is None
            if file is None:
                yield Turn(self._waiting.put, is_alone=False)
                return
            self._append_waiting(file)

            def append(line: bytes) -> None:
                if self._lock.is_safe():
                    _append(file, line)
                else:
                    self._waiting.put(line)

            yield Turn(append, is_alone=not self._by_lock_file)

    def collect(self) -> int:
        """Append all that waits; how much waits still."""
        names = self._waiting.names()
        while names:
            with self._opened(_COLLECT_PATIENCE) as file:
                if file is None or not self._append_waiting(file):
                    break
            before, names = names, self._waiting.names()
            if names[:1] == before[:1]:
                break  # what is appended cannot be taken away
        return len(self._waiting.names())

    def last(self, limit: int) -> list[dict[str, Any]]:
        """The last events, newest first."""
        waiting = self._waiting.lines(self._waiting.names()[-limit:] if limit > 0 else ())
        found = [event for _, line in reversed(waiting) if (event := _event(line))]
        for line in _lines_backwards(self.path):
            if len(found) >= limit:
                break
            event = _event(line)
            if event:
                found.append(event)
        return found[: max(0, limit)]

    @contextmanager
    def _opened(self, seconds: float) -> Iterator[int | None]:
        """The file, open to append, for as long as it is our turn; none where that did not come."""
        if self._by_lock_file is None:
            self._by_lock_file = network_file_system(self._directory) is not None
        if not self._by_lock_file:
            file = _open(self.path)
            try:
                has_turn = _lock(file, seconds)
                if has_turn is not None:
                    yield file if has_turn else None
                    return
            finally:
                os.close(file)
            self._by_lock_file = True
        with self._lock.held(seconds, self._make_directory) as has_turn:
            if not has_turn:
                yield None
                return
            file = _open(self.path)  # anew each time: that makes NFS ask for the size it has now
            try:
                yield file
            finally:
                os.close(file)

    def _make_directory(self) -> None:
        os.makedirs(self._directory, mode=0o700, exist_ok=True)

    def _append_waiting(self, file: int) -> int:
        """Append lines that wait, a bounded number; how many."""
        if not self._waiting.is_any() or not self._lock.is_safe():
            return 0
        lines = self._waiting.lines(self._waiting.names()[:_MOST_WAITING])
        # Who was killed before it took them away from there may have appended them.
        size = _TAIL + sum(len(line) for _, line in lines)
        tail = b"\n" + os.pread(file, size, max(0, os.fstat(file).st_size - size))
        missing = [line for _, line in lines if b"\n" + line not in tail]
        if missing:
            _append(file, b"".join(missing))
        self._waiting.forget(name for name, _ in lines)
        return len(lines)


def _open(path: str) -> int:
    try:
        return os.open(path, _APPEND, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
        return os.open(path, _APPEND, 0o600)


def _lock(file: int, seconds: float) -> bool | None:
    """Lock a file; whether that came in time, none where the file system has no such locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    end = monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() >= end:
                return False
            sleep(_PAUSE)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return None
        else:
            return True


def _append(file: int, lines: bytes) -> None:
    """Append whole lines or nothing, also after a writer that was killed within its own."""
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        lines = b"\n" + lines
    if os.write(file, lines) < len(lines):
        os.ftruncate(file, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), HISTORY)


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _lines_backwards(path: str) -> Iterator[bytes]:
    try:
        file = open(path, "rb")  # noqa: SIM115 - the next `with` closes it
    except OSError:
        return
    with file:
        place = file.seek(0, os.SEEK_END)
        rest = b""
        while place:
            size = min(_BLOCK, place)
            place = file.seek(place - size)
            first, *lines = (file.read(size) + rest).split(b"\n")
            yield from reversed(lines)
            rest = first
        yield rest
