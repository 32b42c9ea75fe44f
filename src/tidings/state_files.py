"""State files: the newest event of each type as a small file, and a history to which all append.

    {type}_latest.json   the newest event of a type, replaced in one step
    history.jsonl        every event, one line each, in the order they were written

They are for scripts that watch files, in the form scitex-events gave them; the store stays the
truth. Keeps: a reader never sees half of a file or line, however many processes of a machine write,
and no type, however it is named, reaches outside of the directory. Does not keep: both files may
lack the newest events after a power loss, and on a network file system several machines may garble
the history (open(2): O_APPEND is not atomic on NFS); give each machine a directory of its own.
"""

from __future__ import annotations

import errno
import os
import warnings
from contextlib import contextmanager
from hashlib import sha256
from json import dumps, loads
from time import monotonic, sleep

from tidings.fields import encode_json
from tidings.timestamps import format_instant, now_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.event import Event

__all__ = ["StateFileWarning", "StateFiles"]

_HISTORY = "history.jsonl"
_LATEST = "_latest.json"
_NAME_BYTES = 200  # a file name has 255 bytes; the rest is for the ending and for `.….tmp`
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_LOCK_SECONDS = 1.0
_LOCK_EVERY = 0.001
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)


class StateFileWarning(RuntimeWarning):
    """A state file could not be written; the event itself is kept all the same."""


class StateFiles:
    """The state files in one directory.

    Args:
        directory: where they lie; made when first needed, for its owner only (mode 0700).

    >>> import tempfile
    >>> from tidings.event import Event
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     StateFiles(directory).write(Event("job_done", "figrecipe"))
    ...     sorted(os.listdir(directory))
    ['history.jsonl', 'job_done_latest.json']
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def write(self, event: Event) -> None:
        """Make an event the newest of its type, and append it to the history.

        It is called after the event is kept, so it raises nothing: what cannot be written is said
        as a `StateFileWarning` with the path and the reason. Of two processes that write at once,
        the event that its store took later stays the newest. The history's lock is waited for 1 s
        at most.
        """
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            with _locked(os.path.join(self.directory, _HISTORY)) as history:
                _append_line(history, f"{encode_json(event.to_dict())}\n".encode())
                self._replace_latest(event)
        except OSError as error:
            warnings.warn(
                f"the state files in {self.directory} do not show {event!r}: {error}",
                StateFileWarning,
                stacklevel=2,
            )

    def path_of(self, event_type: str) -> str:
        """The file of a type's newest event.

        Letters, digits, `.`, `_` and `-` stay as they are; any other byte of the UTF-8 is written
        `%2F`, as in URLs, and so is a dot at the beginning. What is too long for a file name ends
        in `~` and a hash. So two types never share a file (but those that differ in upper and lower
        case only do, where the file system does not tell them apart).

        >>> StateFiles("state").path_of("job_done"), StateFiles("state").path_of("../etc/passwd")
        ('state/job_done_latest.json', 'state/%2E.%2Fetc%2Fpasswd_latest.json')
        """
        return os.path.join(self.directory, f"{_file_name(event_type)}{_LATEST}")

    def _replace_latest(self, event: Event) -> None:
        path = self.path_of(event.type)
        if _is_newer(path, event):
            return
        temporary = os.path.join(self.directory, f".{os.getpid()}-{os.urandom(6).hex()}.tmp")
        try:
            with open(temporary, "x", encoding="utf-8") as file:
                file.write(f"{dumps(event.to_dict(), indent=2, ensure_ascii=False)}\n")
            os.replace(temporary, path)
        except BaseException:
            _remove(temporary)
            raise


def _file_name(event_type: str) -> str:
    name = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in event_type.encode())
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) <= _NAME_BYTES:
        return name
    # No other name has a `~`: it would be written `%7E`.
    return f"{name[: _NAME_BYTES - 33]}~{sha256(event_type.encode()).hexdigest()[:32]}"


def _is_newer(path: str, event: Event) -> bool:
    """Whether the file holds an event that its store took later, by a clock that was not ahead."""
    if event.recorded_at is None:
        return False
    try:
        with open(path, encoding="utf-8") as file:
            there = str(loads(file.read())["recorded_at"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False  # None is there, or nothing to compare with; either way it is replaced.
    return event.recorded_at < there <= format_instant(now_instant())


def _append_line(file: int, line: bytes) -> None:
    """Append a whole line or nothing, also after a writer that was killed within its own."""
    size = os.fstat(file).st_size
    if not _ends_with_newline(file, size):
        line = b"\n" + line
    if os.write(file, line) < len(line):
        os.ftruncate(file, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), _HISTORY)


def _ends_with_newline(file: int, size: int) -> bool:
    if size == 0:
        return True
    os.lseek(file, size - 1, os.SEEK_SET)
    return os.read(file, 1) == b"\n"


@contextmanager
def _locked(path: str) -> Iterator[int]:
    """The file, open to append and, where its file system has locks, locked."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
    file = os.open(path, flags, 0o600)
    try:
        _lock(file, path)
        yield file
    finally:
        os.close(file)


def _lock(file: int, path: str) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    end = monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() > end:
                raise OSError(errno.EWOULDBLOCK, "another process keeps it locked", path) from None
            sleep(_LOCK_EVERY)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return
        else:
            return


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
