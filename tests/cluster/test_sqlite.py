"""Several servers, and several workers, on one SQLite file of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.servers import cluster_on, kill_a_worker
from tests.cluster.trial import Trial


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The store of all servers."""
    return f"sqlite:///{tmp_path}/events.db"


def test_servers_on_one_file_die_one_after_the_other(url: str, tmp_path: Path) -> None:
    """Each of three is killed with writers and hopping tails at work; nothing is lost or twice."""
    with cluster_on([url] * 3, tmp_path) as cluster, Trial(cluster, url, tmp_path) as trial:
        trial.suffer(*(lambda n=n: cluster.restart(n) for n in range(3)))
        trial.judged()


def test_workers_on_one_file_die_one_after_the_other(url: str, tmp_path: Path) -> None:
    """Two workers behind one port, each killed in turn: as several servers."""
    with (
        cluster_on([url], tmp_path, "--workers", "2") as cluster,
        Trial(cluster, url, tmp_path) as trial,
    ):
        trial.suffer(*[lambda: kill_a_worker(cluster.servers[0])] * 2)
        trial.judged()
