"""Recorded exports, and one server for all tests of this folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.server.conftest import PATIENCE, Server
from tidings.server.keys import KeyRing
from tidings.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tidings.store.base import Store

EXPORTS = Path(__file__).with_name("exports")


def environment_of_servers() -> dict[str, str]:
    """No setting from outside; and no store is given up because a thread rested with its lock."""
    none = {name: "" for name in os.environ if name.startswith("TIDINGS_")}
    return {**none, "TIDINGS_DEADLINE": str(PATIENCE)}


@pytest.fixture
def export() -> Callable[[str], dict[str, Any]]:
    """Reads what an exporter sent: `collector`, `javascript` or `claude_code`."""

    def read(name: str) -> dict[str, Any]:
        request: dict[str, Any] = json.loads((EXPORTS / f"{name}.json").read_text())
        return request

    return read


@pytest.fixture(scope="session")
def traced_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server; tests keep apart by the ids of their traces."""
    environment = environment_of_servers()
    started = Server(tmp_path_factory.mktemp("served"), ("--no-deliver",), environment)
    yield started
    started.kill()


@pytest.fixture(scope="session")
def client(traced_server: Server) -> Iterator[httpx.Client]:
    """A client of it."""
    with traced_server.client() as opened:
        yield opened


@pytest.fixture(scope="session")
def store(traced_server: Server) -> Iterator[Store]:
    """What it keeps, read from beside it."""
    with open_store(traced_server.store_url) as opened:
        yield opened


@pytest.fixture
def keyed_server(tmp_path: Path) -> Iterator[tuple[Server, dict[str, str]]]:
    """One that has keys: to read, and to emit for `figrecipe` and for `website`."""
    home = tmp_path / "served"
    home.mkdir()
    with open_store(f"sqlite:///{home}/events.db") as store:
        ring = KeyRing(store)
        tokens = {"reader": ring.create("reader", ["read"])[1]}
        for project in ("figrecipe", "website"):
            tokens[project] = ring.create(project, ["emit"], [project])[1]
    environment = environment_of_servers()
    started = Server(home, ("--no-deliver",), environment)
    yield started, tokens
    started.kill()
