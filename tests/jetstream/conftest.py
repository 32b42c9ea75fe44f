"""A real NATS server for the tests of the log behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.engines.nats import NatsServer
from tidings.store.jetstream.address import Address
from tidings.store.jetstream.log import JetStreamLog
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One server for the tests that do it no harm; each has a stream of its own."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NatsServer]:
    """A server for a test that kills it; who knew it waits, however long it takes to start anew."""
    monkeypatch.setattr("tidings.store.jetstream.connection._JUST_NOW", PATIENCE)
    with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def opened() -> Iterator[Callable[..., JetStreamLog]]:
    """Opens logs; they are closed when the test ends."""
    logs: list[JetStreamLog] = []

    def open_one(url: str) -> JetStreamLog:
        logs.append(JetStreamLog(Address.from_url(url), "nowhere"))
        return logs[-1]

    yield open_one
    for log in logs:
        log.close()


@pytest.fixture
def url(nats_server: NatsServer) -> str:
    """The URL of a store that is not there yet."""
    return f"{nats_server.url}/{uuid4().hex}"
