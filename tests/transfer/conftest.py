"""Stores of every kind for the tests of migration: empty ones, each in a place of its own."""

from __future__ import annotations

import http.client
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.engines.nats import NatsServer
from tests.engines.postgres import shared_postgres
from tidings.store import open_store
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidings.store.base import Store

SERVED = Path(__file__).parents[1] / "contract" / "served_stores.py"


@pytest.fixture(scope="module")
def served_at() -> Iterator[Callable[[Path], str]]:
    """Gives the URL at which the store in a directory is served; see `served_stores`."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", SERVED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url = process.stdout.readline().strip()

        def at(directory: Path) -> str:
            asking = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
            asking.request("POST", "/open", str(directory))
            name = asking.getresponse().read().decode()
            asking.close()
            return f"{url}/{name}"

        yield at
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A NATS server for the stores of a module, each a stream of its own."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Gives the URL of an empty store of a kind, another one each time."""
    count = 0

    def fresh(kind: str) -> str:
        nonlocal count
        count += 1
        directory = tmp_path / f"{kind}-{count}"
        directory.mkdir()
        if kind == "memory":
            return "memory:"
        if kind == "http":
            return str(request.getfixturevalue("served_at")(directory))
        if kind == "postgresql":
            server = shared_postgres(request.config)
            return server.url(server.fresh_database())
        if kind == "nats":
            server = request.getfixturevalue("nats")
            return f"{server.url}/{tmp_path.name}-{count}?replica={directory}/replica"
        if kind == "shared":
            return f"shared:///{directory}/log?replica={directory}/replica"
        return f"sqlite:///{directory}/events.db"

    return fresh


@pytest.fixture
def opened() -> Iterator[Callable[[str], Store]]:
    """Opens stores by their URL, closed when the test ends."""
    with ExitStack() as stack:
        yield lambda url: stack.enter_context(open_store(url, deadline=PATIENCE))


@pytest.fixture
def fresh(place: Callable[[str], str], opened: Callable[[str], Store]) -> Callable[[str], Store]:
    """Opens an empty store of a kind, another one each time."""
    return lambda kind: opened(place(kind))
