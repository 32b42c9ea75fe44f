"""Every touch of the shared directory: the calls of the system, one method each.

The rest of this package reaches files, clocks and sleep through here only. So a test can take the
system's place and be as late, as forgetful and as unlucky as NFS may be, or die at any call.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from tidings.durable_files import make_directory, names_in, remove, sync_directory
from tidings.filesystems import network_file_system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from threading import Event
    from typing import BinaryIO

__all__ = ["VANISHED", "Files", "NotPlain"]

VANISHED = (errno.ENOENT, errno.ESTALE)
"""Errors on a file that another process removed or replaced (ESTALE: on another node)."""

_CLOSED_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | _CLOSED_ON_EXEC
# A link could lead anywhere, and opening a pipe would wait for its other end.
_READ = os.O_RDONLY | _CLOSED_ON_EXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_DIRECTORY = os.O_RDONLY | _CLOSED_ON_EXEC | getattr(os, "O_DIRECTORY", 0)
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class NotPlain(Exception):  # noqa: N818 - it never leaves this package
    """What stands under a name is no plain file."""


class Files:
    """The file system as it is. Every method raises `OSError` as it comes.

    Args:
        directory: where the log lies.
    """

    def __init__(self, directory: str) -> None:
        self._sees_all = network_file_system(directory) is None

    def write(self, path: str, parts: Iterable[bytes], mode: int) -> float:
        """Write a new file; it is on the disk when this returns.

        Returns:
            When that was, by the file server's clock (seconds since 1970).
        """
        with open(os.open(path, _NEW, 0o600), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
            return os.fstat(file.fileno()).st_mtime

    def create(self, path: str, data: bytes, mode: int) -> None:
        """Make a file that is not there yet; a power loss may take it."""
        with open(os.open(path, _NEW, 0o600), "wb", buffering=0) as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)

    def opened(self, path: str) -> BinaryIO:
        """A plain file, to be read and closed.

        Opening by name asks the server what it holds now: that much NFS promises.

        Raises:
            NotPlain: it is something else.
        """
        try:
            descriptor = os.open(path, _READ)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise NotPlain from error
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise NotPlain
        return open(descriptor, "rb")

    def changed(self, file: BinaryIO) -> float:
        """When an opened file was changed, by the file server's clock (seconds since 1970)."""
        return os.fstat(file.fileno()).st_mtime

    def settle(self, path: str) -> None:
        """Mark a file: its name is on the disk too. A file that nobody may write is so marked."""
        os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) & 0o444)

    def is_settled(self, file: BinaryIO) -> bool:
        """Whether an opened file is so marked."""
        return not os.fstat(file.fileno()).st_mode & 0o222

    def exists(self, path: str) -> bool:
        """Whether there is something under a name; a file above it counts as that."""
        try:
            os.stat(path)
        except NotADirectoryError:
            return True
        except OSError as error:
            if error.errno in VANISHED:
                return False
            raise
        return True

    def may_write(self, directory: str) -> bool:
        """Whether this process may put files into a directory."""
        return os.access(directory, os.W_OK | os.X_OK)

    def is_directory(self, path: str) -> bool:
        """Whether there is a directory, links followed."""
        return os.path.isdir(path)

    def link(self, path: str, name: str) -> None:
        """Give a file a second name, which must be free."""
        os.link(path, name)

    def rename(self, path: str, name: str) -> None:
        """Give a file another name; what had it loses it."""
        os.replace(path, name)

    def remove(self, path: str) -> bool:
        """Remove a name; whether it was there."""
        return remove(path)

    def touch(self, path: str) -> None:
        """Set when a file was changed to now; the file server says when that is."""
        os.utime(path)

    def names(self, directory: str) -> list[str]:
        """The names in a directory that are not hidden, in order; none where it is not made yet."""
        return names_in(directory)

    def hidden(self, directory: str) -> list[str]:
        """The names that are: files that are being written, or whose writer died."""
        with os.scandir(directory) as entries:
            return sorted(entry.name for entry in entries if entry.name[0] == ".")

    def make_all(self, directory: str) -> None:
        """Make a directory and those above it, for their owner only, where they are not there."""
        make_directory(directory)

    def mode(self, directory: str) -> int:
        """Who may do what in a directory."""
        return stat.S_IMODE(os.stat(directory).st_mode)

    def make(self, directory: str, mode: int) -> None:
        """Make a directory."""
        os.mkdir(directory, 0o700)
        os.chmod(directory, mode)

    def drop(self, directory: str) -> None:
        """Remove an empty directory."""
        os.rmdir(directory)

    def symlink(self, target: str, name: str) -> None:
        """Let a name, which must be free, lead elsewhere."""
        os.symlink(target, name)

    def sync(self, directory: str) -> None:
        """Put a directory's entries on the disk, where its file system knows how to."""
        sync_directory(directory)

    def refresh(self, directory: str) -> bool:
        """Let names be looked up anew that were not there before.

        An NFS client remembers for up to a minute that a name was missing. To open a directory asks
        the server whether it changed, and if so all of that is forgotten (close-to-open
        consistency, nfs(5)). On a local disk nothing is to be done.

        Returns:
            Whether anything may be seen now that was not.
        """
        if self._sees_all:
            return False
        try:
            os.close(os.open(directory, _DIRECTORY))
        except OSError:
            return False
        return True

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; it runs on while the machine sleeps."""
        return time.clock_gettime(_CLOCK)

    def pause(self, flag: Event, seconds: float) -> None:
        """Sleep, or until a flag is set."""
        flag.wait(seconds)
