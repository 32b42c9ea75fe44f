"""A real server for the tests of its client, and a line to it that breaks when told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.remote.broken_line import BrokenLine
from tests.server.conftest import PATIENCE, Server
from tidings.store.remote import RemoteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def server(own_home: Path) -> Iterator[Server]:
    """A server with an empty store."""
    started = Server(own_home / "served", (), {})
    yield started
    started.kill()


@pytest.fixture
def line(server: Server) -> Iterator[BrokenLine]:
    """A line to the server."""
    opened = BrokenLine(server.port)
    yield opened
    opened.close()


@pytest.fixture
def opened() -> Iterator[Callable[..., RemoteStore]]:
    """Opens remote stores; they are closed when the test ends."""
    stores: list[RemoteStore] = []

    def open_one(url: str, deadline: float = PATIENCE, **options: str) -> RemoteStore:
        stores.append(RemoteStore(url, deadline=deadline, **options))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()
