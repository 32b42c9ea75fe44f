"""The shared directory fulfils the contract, with other processes too."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tidings.store import open_store
from tidings.testing import SharedStoreContract
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidings.store.base import Store


class TestSharedStore(SharedStoreContract):
    """The contract, held to a log in a directory and its replica on this machine."""

    share_of_examples = 0.3  # a replica decides, which `test_replicated` holds to all of them

    def open_store(self, directory: Path) -> Store:
        """Log and replica beside each other."""
        return open_store(_url(f"{directory}/shared"), deadline=PATIENCE)

    def opener(self, store: Store) -> Callable[[], Store]:
        """What a store calls its URL does not say where its replica lies."""
        url = _url(store.url.removeprefix("shared:///"))
        return partial(open_store, url, deadline=PATIENCE)

    def open_backup(self, path: str) -> Store:
        """A backup is a SQLite store."""
        return open_store(f"sqlite:///{path}")


def _url(directory: str) -> str:
    return f"shared:///{directory}?replica={directory}-replica"
