"""Several servers, and several workers, on one PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.engines import PostgresEngine, durable_postgres
from tests.cluster.servers import cluster_on, kill_a_worker
from tests.cluster.trial import Trial
from tests.engines.postgres import PostgresServer

SERVERS = 3
IMPATIENT = {"TIDINGS_DATABASE_TIMEOUT": "1"}
"""So that writers at a server that is cut off are soon told to ask another."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """One for all tests of this file."""
    with durable_postgres() as server:
        yield server


@pytest.fixture
def engine(postgres: PostgresServer) -> Iterator[PostgresEngine]:
    """A new database on it."""
    with PostgresEngine(postgres, SERVERS) as opened:
        yield opened


def test_servers_and_engine_die(engine: PostgresEngine, tmp_path: Path) -> None:
    """One server, the backend that writes, the postmaster: nothing is lost or there twice."""
    with (
        cluster_on(engine.urls, tmp_path, env=IMPATIENT) as cluster,
        Trial(cluster, engine.fresh_url(), tmp_path) as trial,
    ):
        trial.suffer(lambda: cluster.restart(0), *engine.deaths.values())
        trial.judged()


def test_lines_to_the_engine_break(engine: PostgresEngine, tmp_path: Path) -> None:
    """One server's connections are reset, another's fall silent; both go on when they can."""
    with (
        cluster_on(engine.urls, tmp_path, env=IMPATIENT) as cluster,
        Trial(cluster, engine.fresh_url(), tmp_path) as trial,
    ):
        reset, silent, _ = engine.lines
        trial.suffer(reset.cut, silent.silence, reset.restore, silent.cut, silent.restore)
        trial.judged()


def test_workers_die(engine: PostgresEngine, tmp_path: Path) -> None:
    """Two workers behind one port, one killed: as several servers."""
    with (
        cluster_on(engine.urls[:1], tmp_path, "--workers", "2") as cluster,
        Trial(cluster, engine.fresh_url(), tmp_path) as trial,
    ):
        trial.suffer(lambda: kill_a_worker(cluster.servers[0]))
        trial.judged()
