"""Several servers, and several workers, on one JetStream; a replica at each server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.engines import JetStreamClusterEngine, JetStreamEngine
from tests.cluster.servers import cluster_on, kill_a_worker
from tests.cluster.trial import Trial
from tests.engines.nats import NatsCluster, NatsServer

SERVERS = 3
IMPATIENT = {"TIDINGS_DATABASE_TIMEOUT": "1"}
"""So that writers at a server that is cut off are soon told to ask another."""


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One for all tests of this file."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def engine(nats: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JetStreamEngine]:
    """A new stream on it."""
    with JetStreamEngine(nats, SERVERS, tmp_path_factory.mktemp("stream")) as opened:
        yield opened


def test_servers_and_engine_die(engine: JetStreamEngine, tmp_path: Path) -> None:
    """One server and the NATS server: nothing acknowledged is lost, and nothing is there twice."""
    with (
        cluster_on(engine.urls, tmp_path, env=IMPATIENT) as cluster,
        Trial(cluster, engine.fresh_url(), tmp_path) as trial,
    ):
        trial.suffer(lambda: cluster.restart(0), *engine.deaths.values())
        trial.judged()


def test_lines_to_the_engine_break(engine: JetStreamEngine, tmp_path: Path) -> None:
    """One server's connections are reset, another's fall silent; both catch up when they can."""
    with (
        cluster_on(engine.urls, tmp_path, env=IMPATIENT) as cluster,
        Trial(cluster, engine.fresh_url(), tmp_path) as trial,
    ):
        reset, silent, _ = engine.lines
        trial.suffer(reset.cut, silent.silence, reset.restore, silent.cut, silent.restore)
        trial.judged()


def test_workers_die(engine: JetStreamEngine, tmp_path: Path) -> None:
    """Two workers that share a replica, one killed: as several servers."""
    with (
        cluster_on(engine.urls[:1], tmp_path, "--workers", "2") as cluster,
        Trial(cluster, engine.fresh_url(), tmp_path) as trial,
    ):
        trial.suffer(lambda: kill_a_worker(cluster.servers[0]))
        trial.judged()


def test_the_leader_dies(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Three NATS servers keep everything three times, and go on when the one that leads dies."""
    with (
        NatsCluster(tmp_path_factory.mktemp("nats")) as nats,
        JetStreamClusterEngine(nats, SERVERS, tmp_path_factory.mktemp("stream")) as engine,
        cluster_on(engine.urls, tmp_path, env=IMPATIENT) as cluster,
        Trial(cluster, engine.fresh_url(), tmp_path) as trial,
    ):
        trial.suffer(*engine.deaths.values())
        trial.judged()
