"""A copy of the store for a client to keep, without what is the server's own.

Keeps promise 6: keys, sessions and webhook secrets leave the server on no route, in a backup
either. It sends nothing; `routes/log` does.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from tidings.server.keys import PRIVATE_PREFIXES
from tidings.store import open_store
from tidings.store.ledger import OWN_PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from tidings.store.base import Store

__all__ = ["public_copy"]


def public_copy(store: Store, directory: str) -> tuple[BinaryIO, int]:
    """Make a copy of a store, its private ledger records left out.

    Args:
        store: what is copied.
        directory: an empty one, where the copy is made.

    Returns:
        The copy, open to be read, and its size (bytes).

    Raises:
        StoreUnavailable: it cannot be made, or the store's copies are no SQLite files.
    """
    path = os.path.join(directory, "copy.db")
    store.backup(path)
    with open_store(f"sqlite:///{path}") as copy:
        private = [key for prefix in (*PRIVATE_PREFIXES, OWN_PREFIX) for key in copy.keys(prefix)]
        for key in private:
            copy.delete(key)
    # A file of SQLite by contract; no backend's own call makes deleted text unreadable, and one
    # file alone shall hold the copy.
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode=DELETE")
        if private:
            file.execute("VACUUM")
    return open(path, "rb"), os.path.getsize(path)
