"""Several servers, and several workers, on one PostgreSQL."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from tests.cluster.engines import PostgresEngine, durable_postgres
from tests.cluster.servers import cluster_on, kill_a_worker
from tests.cluster.trial import Trial
from tests.engines.postgres import PostgresServer
from tidings.errors import OutcomeUnknown, StoreUnavailable
from tidings.event import Event
from tidings.store.postgres import PostgresStore
from tidings.testing.elsewhere import PATIENCE

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


WRITER = """
import sys
from tidings.errors import OutcomeUnknown, StoreUnavailable
from tidings.event import Event
from tidings.store import open_store
store = open_store(sys.argv[1], deadline=60)
store.append([Event("a")])
store._connections.deadline = 2
while True:
    try:
        store.append([Event("a")])
    except (OutcomeUnknown, StoreUnavailable):
        pass  # The machine was busy.
"""


def test_who_stands_still_in_the_lock_is_ended(engine: PostgresEngine) -> None:
    """A writer that stops for good in the middle of a write does not stop the others for good."""
    url = engine.fresh_url()
    with PostgresStore.from_url(url, deadline=PATIENCE) as store:
        head = store.append([Event("b")])[0].position or 0
        with subprocess.Popen([sys.executable, "-c", WRITER, url]) as writer:
            try:
                store.wait(head, PATIENCE)
                stop_in_the_lock(engine, writer)
                store._connections.deadline = 1.0
                until = monotonic() + PATIENCE
                while True:
                    try:
                        store.append([Event("b")])
                    except (OutcomeUnknown, StoreUnavailable):
                        assert monotonic() < until, "nobody else can write"
                    else:
                        break
            finally:
                writer.kill()


def stop_in_the_lock(engine: PostgresEngine, writer: subprocess.Popen[bytes]) -> None:
    """Stop a process when the server waits for its next word and it holds the writers' lock."""
    until = monotonic() + PATIENCE
    while monotonic() < until:
        writer.send_signal(signal.SIGSTOP)
        if engine.server.execute(
            "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE locktype = 'advisory' AND granted AND state = 'idle in transaction'"
        ):
            return
        writer.send_signal(signal.SIGCONT)
    raise AssertionError("it never held the lock")


def test_workers_die(engine: PostgresEngine, tmp_path: Path) -> None:
    """Two workers behind one port, one killed: as several servers."""
    with (
        cluster_on(engine.urls[:1], tmp_path, "--workers", "2") as cluster,
        Trial(cluster, engine.fresh_url(), tmp_path) as trial,
    ):
        trial.suffer(lambda: kill_a_worker(cluster.servers[0]))
        trial.judged()
