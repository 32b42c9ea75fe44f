"""A backup of a remote store: the server's copy, written to a file here.

Keeps: the file is there whole, or what was there before is. The copy is made by the server.
"""

from __future__ import annotations

import os
from contextlib import suppress

from tidings.errors import StoreUnavailable
from tidings.store.remote.server import LONG_SECONDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.remote.server import Server

__all__ = ["write_copy"]


def write_copy(server: Server, path: str) -> None:
    """Write the server's copy to a path; a file that is there is replaced when this one is whole.

    Raises:
        StoreUnavailable: the copy did not come, or the file cannot be written.
    """
    target = os.path.abspath(path)
    unfinished = f"{target}.{os.getpid()}.unfinished"
    try:
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.writelines(server.stream("GET", "/log/backup", LONG_SECONDS))
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, target)
        _sync(os.path.dirname(target))
    except OSError as error:
        raise StoreUnavailable(f"backup {target} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            os.unlink(unfinished)


def _sync(directory: str) -> None:
    """Put a directory's entries on the disk."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
