"""Files that last: unique names, durable writes, and what to do when the disk says no.

For directories that many processes and nodes share without locks, and for whatever SQLite does not
sync itself. Every function raises `OSError` as it comes; the caller says what that means.
"""

from __future__ import annotations

import errno
import os
from time import time_ns

__all__ = [
    "NOT_OURS",
    "forget",
    "make_directory",
    "names_in",
    "remedy",
    "remove",
    "rename",
    "sync_directory",
    "sync_file",
    "unique_name",
    "write_durably",
]

NOT_OURS = (errno.ENOENT, errno.ESTALE, errno.EACCES, errno.EPERM)
"""Errors on one file of many: another process took it (ESTALE: on another node), or it is another
user's."""

_OWNER_ONLY = 0o600
_WRITE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
# Some file systems (CIFS, FUSE) cannot sync a directory; their renames are as durable as they get.
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_REMEDIES = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some of your quota there",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "that file system is mounted read-only",
    errno.EACCES: "give yourself the right to read and write there",
    errno.EPERM: "give yourself the right to read and write there",
    errno.ENOTDIR: "a file stands where a directory should be; move it away",
}


def remedy(error: OSError) -> str:
    """What to do about an error, as part of a sentence."""
    return _REMEDIES.get(error.errno or 0, "look at that path")


def unique_name() -> str:
    """A file name that no other process on any node ever gives: `time-host-pid-random.json`."""
    return f"{time_ns():020d}-{_host()}-{os.getpid()}-{os.urandom(6).hex()}.json"


def _host() -> str:
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return "".join(letter if letter in _PLAIN else "_" for letter in name[:64])


def names_in(directory: str) -> list[str]:
    """The files of a directory in order; none where it is not made yet.

    Hidden files are left out: they are an editor's, or NFS's (`.nfs…`, deleted but still open).
    """
    try:
        with os.scandir(directory) as entries:
            return sorted(entry.name for entry in entries if entry.name[0] != ".")
    except FileNotFoundError:
        return []


def write_durably(path: str, data: bytes, mode: int = _OWNER_ONLY) -> None:
    """Write a new file; it is on the disk when this returns.

    Args:
        path: where; nothing may be there yet.
        data: what.
        mode: who may read and write it, whatever the process's umask says.
    """
    with open(os.open(path, _WRITE_NEW, _OWNER_ONLY), "wb") as file:
        if mode != _OWNER_ONLY:
            os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def rename(source: str, target: str) -> None:
    """Give a file the name that only it will ever have."""
    try:
        os.rename(source, target)
    except OSError:
        # NFS may have done it and lost the answer.
        if not os.path.lexists(target):
            raise


def remove(path: str) -> bool:
    """Remove a file; says whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def forget(path: str) -> None:
    """Remove what a failed attempt may have left; where even that fails, it stays."""
    try:
        remove(path)
    except OSError:
        return


def make_directory(path: str) -> None:
    """Make a directory and those above it, for their owner only; each lasts.

    That a directory is found again after a power loss takes a sync of the one it lies in.
    """
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if parent:
        make_directory(parent)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not os.path.isdir(path):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None
        return  # Another process was faster.
    sync_directory(parent or ".")


def sync_directory(path: str) -> None:
    """Put a directory's entries on the disk, where its file system knows how to."""
    if os.name != "posix":
        return
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(directory)


def sync_file(path: str) -> None:
    """Put a file that somebody else wrote on the disk."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
