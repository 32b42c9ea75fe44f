"""The PostgreSQL store fulfils the contract, with other processes too."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tests.engines.postgres import PostgresServer, shared_postgres
from tidings.store import open_store
from tidings.testing import SharedStoreContract
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tidings.store.base import Store

_servers: list[PostgresServer] = []
_schemas: dict[str, None] = {}


@pytest.fixture(scope="module", autouse=True)
def _server(pytestconfig: pytest.Config) -> Iterator[None]:
    _servers.append(shared_postgres(pytestconfig))
    yield
    _servers.clear()


@pytest.fixture(autouse=True)
def _dropped() -> Iterator[None]:
    """Every store has a schema of its own, and a thousand of them would fill the disk."""
    yield
    if _schemas:
        _servers[0].execute(f"DROP SCHEMA IF EXISTS {', '.join(_schemas)} CASCADE")
    _schemas.clear()


class TestPostgresStore(SharedStoreContract):
    """The contract, held to the PostgreSQL store."""

    def open_store(self, directory: Path) -> Store:
        """One schema for the directory."""
        schema = f"contract_{sha256(str(directory).encode()).hexdigest()[:16]}"
        _schemas[schema] = None
        # A machine with many tests at work has a limit of connections, as any server has.
        return open_store(_servers[0].url(schema=schema, pool="2"), deadline=PATIENCE)

    def open_backup(self, path: str) -> Store:
        """A backup is a SQLite store."""
        return open_store(f"sqlite:///{path}")
