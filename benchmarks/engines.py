"""PostgreSQL and NATS as the tests start them, with their data on the disk that is measured."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.workplace import Workplace
from tests.engines.nats import NatsServer
from tests.engines.postgres import PostgresServer

__all__ = ["nats", "postgres"]


@contextmanager
def postgres(
    workplace: Workplace, settings: dict[str, str] | None = None
) -> Iterator[PostgresServer]:
    """A new PostgreSQL with its own defaults of durability: a commit is on the disk."""
    # Where we are root it runs as another user, who must be able to come here.
    os.chmod(workplace.directory, 0o711)  # noqa: S103 - nobody may look, only pass
    directory = Path(workplace.new_directory("postgres"))
    server = PostgresServer(directory, settings=settings)
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextmanager
def nats(workplace: Workplace, *, sync_always: bool = False) -> Iterator[NatsServer]:
    """A new NATS server, as it syncs by default, or each message before it acknowledges it."""
    directory = Path(workplace.new_directory("nats"))
    with NatsServer(directory, sync_always=sync_always) as server:
        yield server
