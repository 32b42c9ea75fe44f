"""The store behind NATS JetStream fulfils the contract, with other processes on one replica."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tests.engines.nats import NatsServer
from tidings.store import open_store
from tidings.testing import SharedStoreContract
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidings.store.base import Store

_servers: list[NatsServer] = []
_urls: dict[str, str] = {}


@pytest.fixture(scope="module", autouse=True)
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The server that keeps all stores of these tests, each a stream of its own."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        _servers.append(server)
        yield
        _servers.clear()
        _urls.clear()


class TestJetStreamStore(SharedStoreContract):
    """The contract, held to the store behind JetStream."""

    share_of_examples = 0.3  # a replica decides, which `test_replicated` holds to all of them

    def open_store(self, directory: Path) -> Store:
        """A stream named after the directory, in which the replica lies."""
        name = sha256(str(directory).encode()).hexdigest()[:32]
        url = f"{_servers[0].url}/{name}?replica={directory}/replica"
        store = open_store(url, deadline=PATIENCE)
        _urls[store.url] = url
        return store

    def opener(self, store: Store) -> Callable[[], Store]:
        """What a store calls its URL does not say where its replica lies."""
        return partial(open_store, _urls[store.url], deadline=PATIENCE)

    def open_backup(self, path: str) -> Store:
        """A backup is a SQLite store."""
        return open_store(f"sqlite:///{path}")
