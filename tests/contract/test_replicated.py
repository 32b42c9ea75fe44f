"""The replicated store fulfils the contract, over the smallest log that processes can share."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.replicated.file_log import open_file_store
from tidings.store import open_store
from tidings.testing import SharedStoreContract

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidings.store.base import Store


# Small, so that long commands have many parts; not so small that megabytes have thousands of them.
_open_store = partial(open_file_store, most_bytes=16 * 1024)


class TestReplicatedStore(SharedStoreContract):
    """The contract, held to a replica."""

    def open_store(self, directory: Path) -> Store:
        """The replica of this machine."""
        return _open_store(directory)

    def opener(self, store: Store) -> Callable[[], Store]:
        """No URL opens a store over a log that only tests have."""
        directory = store.url.removeprefix("file-log:").removesuffix("/log.db")
        return partial(_open_store, directory)

    def open_backup(self, path: str) -> Store:
        """A backup is a SQLite store."""
        return open_store(f"sqlite:///{path}")
