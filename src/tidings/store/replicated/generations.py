"""The files of this machine's replica: one at a time, made anew under a new name.

    replica-000001-5d0c1a77.db     an earlier one, gone soon
    replica-000002-e94b02f1.db     the replica
    replica-000001-….db.aside      what lay there and was no replica; nothing looks at it any more
    lock, copying                  held while one is made, or copied for a snapshot

A new file never takes an old one's name, also where somebody removed the old one: SQLite's WAL lies
beside its file under that name, and one file's WAL would be applied to the other
(https://www.sqlite.org/howtocorrupt.html, section 1.4). Processes that still have the old one open
go on with it until they look again. The directory lies on a local disk, for this machine's
processes only.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager, suppress

from tidings.durable_files import make_directory, sync_directory, sync_file
from tidings.errors import StoreUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Generations"]

_NAME = re.compile(r"replica-(\d{6,})-[0-9a-f]{8}\.db")
_OPEN_OR_MAKE = os.O_RDWR | os.O_CREAT
_BESIDE = ("", "-wal", "-shm")


class Generations:
    """The replica's directory.

    Args:
        directory: where it lies; made when first needed, for its owner only.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def newest(self) -> str | None:
        """The file of the replica, if there is one."""
        found = self._found()
        return self._path(max(found, key=_number)) if found else None

    @contextmanager
    def making(self) -> Iterator[str]:
        """Let nobody else make a replica; gives a path to make one at, for `put_in_place`.

        Raises:
            StoreUnavailable: the directory cannot be used.
        """
        with self._alone("lock", "unfinished.db") as path:
            yield path

    @contextmanager
    def copying(self) -> Iterator[str]:
        """Let nobody else copy the replica; gives a path for the copy, which is gone afterwards.

        Raises:
            StoreUnavailable: the directory cannot be used.
        """
        with self._alone("copying", "copy.db") as path:
            yield path

    def put_in_place(self, unfinished: str) -> str:
        """Make a whole file the replica, and drop those before it; inside of `making`."""
        older = self._found()
        number = max(map(_number, older), default=0) + 1
        path = self._path(f"replica-{number:06}-{os.urandom(4).hex()}.db")
        sync_file(unfinished)
        os.rename(unfinished, path)
        sync_directory(self.directory)
        for name in older:
            _remove(self._path(name))
        return path

    def put_aside(self, path: str) -> None:
        """Let a file that is no replica be one no more; it is kept, as it may be somebody's."""
        with suppress(FileNotFoundError):
            os.rename(path, f"{path}.aside")

    @contextmanager
    def _alone(self, lock: str, name: str) -> Iterator[str]:
        path = self._path(name)
        try:
            make_directory(self.directory)
            descriptor = os.open(self._path(lock), _OPEN_OR_MAKE, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            _lock(descriptor)
            _remove(path)  # of a process that was killed
            yield path
        finally:
            _remove(path)
            os.close(descriptor)

    def _found(self) -> list[str]:
        try:
            return [name for name in os.listdir(self.directory) if _NAME.fullmatch(name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unusable(error) from error

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def _unusable(self, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(
            f"the replica's directory {self.directory} cannot be used ({error.strerror}); name "
            f"another one on a local disk with ?replica=, or set TIDINGS_CACHE"
        )


def _number(name: str) -> int:
    return int(name.split("-")[1])


def _lock(descriptor: int) -> None:
    """Wait for the lock; it goes with the descriptor, and with the process."""
    try:
        import fcntl
    except ImportError:  # Windows: two processes may then both make one, and the later one counts
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def _remove(path: str) -> None:
    for beside in _BESIDE:
        with suppress(FileNotFoundError):
            os.unlink(path + beside)
