"""Several servers on one shared directory, each with a replica of its own: several machines."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.engines import SharedEngine
from tests.cluster.servers import cluster_on
from tests.cluster.trial import Trial


def test_servers_die_one_after_the_other(tmp_path: Path) -> None:
    """Whoever puts the commands in order dies among them; nothing is lost or there twice."""
    with (
        SharedEngine(tmp_path, 3) as engine,
        cluster_on(engine.urls, tmp_path, env={"TIDINGS_DATABASE_TIMEOUT": "5"}) as cluster,
        Trial(cluster, engine.fresh_url(), tmp_path) as trial,
    ):
        trial.suffer(*(lambda n=n: cluster.restart(n) for n in range(3)))
        trial.judged()
