"""One server for all tests of this folder, and its store opened beside it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.server.conftest import Server
from tidings.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tidings.store.base import Store


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the whole folder; tests keep apart by the names they give."""
    environment = {name: "" for name in os.environ if name.startswith("TIDINGS_")}
    started = Server(tmp_path_factory.mktemp("served"), (), environment)
    yield started
    started.kill()


@pytest.fixture(scope="session")
def store(shared_server: Server) -> Iterator[Store]:
    """What the shared server keeps, read from beside it."""
    with open_store(shared_server.store_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def kept_client(shared_server: Server) -> Iterator[httpx.Client]:
    """One connection for the many requests of a property."""
    with shared_server.client() as opened:
        yield opened
