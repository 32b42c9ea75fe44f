"""Reading files of a stranger's making: regular ones only, never waiting, within bounds.

It knows nothing of git. What breaks a bound raises one of `UNREADABLE`, and the caller knows less.
"""

from __future__ import annotations

import os
import zlib
from stat import S_ISREG
from struct import error
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import FileIO
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["MAX_PATH_BYTES", "UNREADABLE", "in_time", "open_file", "read_at", "read_file"]

MAX_PATH_BYTES = 4096  # PATH_MAX of Linux
UNREADABLE = (OSError, ValueError, LookupError, OverflowError, error, zlib.error)
"""What torn, hostile or unreadable files raise."""

# Opening a FIFO in the place of a file would otherwise wait for someone to write into it.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_file(path: bytes) -> FileIO:
    """Open a regular file for reading.

    Raises:
        OSError: it is not there, cannot be read, or is something else.
    """
    file = open(path, "rb", buffering=0, opener=lambda path, _: os.open(path, _FLAGS))  # noqa: SIM115 - the caller closes it
    if not S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError
    return file


def read_file(path: bytes, max_bytes: int) -> bytes:
    """A file's content.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger than `max_bytes`.
    """
    with open_file(path) as file:
        return read_at(file, 0, os.fstat(file.fileno()).st_size, max_bytes)


def read_at(file: FileIO, offset: int, size: int, max_bytes: int = MAX_PATH_BYTES) -> bytes:
    """`size` bytes from `offset` on; fewer at the file's end.

    Raises:
        ValueError: `size` is negative or larger than `max_bytes`.
    """
    if not 0 <= size <= max_bytes:
        raise ValueError
    file.seek(offset)
    return file.read(size)


def in_time(items: Iterable[T], deadline: float) -> Iterator[T]:
    """The items, until the clock (`time.monotonic`) passes the deadline.

    Raises:
        TimeoutError: it did, and there are more.
    """
    for item in items:
        if monotonic() > deadline:
            raise TimeoutError
        yield item
