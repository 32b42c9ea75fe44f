"""The SQLite store fulfils the contract, with other processes too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.store import open_store
from tidings.testing import SharedStoreContract
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from tidings.store.base import Store


class TestSQLiteStore(SharedStoreContract):
    """The contract, held to the SQLite store."""

    def open_store(self, directory: Path) -> Store:
        """One file in the directory."""
        return open_store(f"sqlite:///{directory}/events.db", deadline=PATIENCE)

    def open_backup(self, path: str) -> Store:
        """A backup is a store like any other."""
        return open_store(f"sqlite:///{path}")
