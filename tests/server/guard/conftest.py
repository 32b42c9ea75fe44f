"""A store, its workers, and a key."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.server.guard.admission import Server
from tidings.server.keys import Key, KeyRing
from tidings.store.base import Store
from tidings.store.memory import MemoryStore


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty store."""
    with MemoryStore() as opened:
        yield opened


@pytest.fixture
def start(store: Store) -> Callable[..., Server]:
    """Starts another worker on the store."""
    return lambda **fields: Server(store, **fields)


@pytest.fixture
def key(store: Store) -> tuple[Key, str]:
    """A key and its token."""
    return KeyRing(store).create("ci", ["emit"], ["a"])


# For us? -----------------------------------------------------------------------------------------
