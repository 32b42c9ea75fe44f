"""Making directories and files last: what SQLite itself does not sync.

SQLite syncs its files and the directory they lie in. That this directory is found again after a
power loss is up to whoever makes it (fsync(2): a new entry needs a sync of its directory).
"""

from __future__ import annotations

import os

__all__ = ["make_directories", "sync"]


def make_directories(path: str) -> None:
    """Make a directory and those above it, for their owner only; each lasts."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    make_directories(parent)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
    sync(parent)


def sync(path: str) -> None:
    """Put a file, or the entries of a directory, on the disk."""
    if os.name != "posix" and os.path.isdir(path):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
