"""Replacing a small file in one step, and cheaply.

A new file for every event is dear: the file system looks for a place for each, and waits until the
one it takes the place of is written and can be freed, on a busy disk for milliseconds. So two files
take turns: the one that was replaced stays beside under a hidden name, and is written over and put
in place the next time. Keeps: whoever has it open still reads what it held. It is written over only
under a lease (fcntl(2)), which the kernel grants while nobody else has the file open. Where there
are no leases (network file systems, macOS), or it is not granted, there is a new file as ever.
"""

from __future__ import annotations

import errno
import os

from tidings.durable_files import forget

__all__ = ["replace"]

_CLOSED_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOSED_ON_EXEC
# Not blocking: it would wait for another's lease to end.
_AGAIN = os.O_WRONLY | _CLOSED_ON_EXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)


def replace(path: str, data: bytes, *, alone: bool) -> None:
    """Have a file hold this.

    Args:
        path: the file, which need not be there.
        data: what it is to hold.
        alone: whether no other process replaces files there meanwhile; else there is a new file.

    Raises:
        OSError: it cannot be written; it holds what it held.
    """
    directory, name = os.path.split(path)
    spare = os.path.join(directory, f".{name}.spare")
    if alone and _written_over(spare, data):
        displaced = f"{spare}.next"
        is_kept = _linked(path, displaced)
        os.rename(spare, path)
        if is_kept:
            os.rename(displaced, spare)
        return
    temporary = os.path.join(directory, f".{os.getpid()}-{os.urandom(6).hex()}.tmp")
    try:
        with open(os.open(temporary, _NEW, 0o600), "wb", buffering=0) as file:
            _write(file.fileno(), data)
        if alone and _has_leases():
            _linked(path, spare)
        os.replace(temporary, path)
    except BaseException:
        forget(temporary)
        raise


def _written_over(spare: str, data: bytes) -> bool:
    """Write over the file that was replaced the last time; whether that could be done."""
    if not _has_leases():
        return False
    try:
        file = os.open(spare, _AGAIN)
    except OSError:
        return False
    try:
        if not _is_ours_alone(file):
            return False
        _write(file, data)
        os.ftruncate(file, len(data))
    finally:
        os.close(file)
    return True


def _is_ours_alone(file: int) -> bool:
    """Whether nobody else has a file open, or a name for it, until we close it."""
    import fcntl
    import signal

    try:
        # Who opens it meanwhile has us told by a signal: by one that does nothing, for SIGIO ends.
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError:
        return False
    return os.fstat(file).st_nlink == 1


def _has_leases() -> bool:
    if os.name != "posix":
        return False
    import fcntl

    return hasattr(fcntl, "F_SETLEASE") and hasattr(fcntl, "F_SETSIG")


def _linked(path: str, name: str) -> bool:
    """Give a file another name as well; not if it is gone, or just being replaced by another."""
    forget(name)  # of a process that was killed before it could use it
    try:
        os.link(path, name)
    except OSError:
        return False
    return True


def _write(file: int, data: bytes) -> None:
    if os.write(file, data) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
