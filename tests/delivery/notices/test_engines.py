"""One notice, several processes, each engine: what is told is noted once, by whoever holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.delivery.notices.telling import START, Receiver, task
from tests.engines.nats import NatsServer
from tests.engines.postgres import shared_postgres
from tidings.clock import Clock
from tidings.delivery.notices import Notices, duties
from tidings.delivery.notices.notice import SENT
from tidings.errors import LeaseLost
from tidings.store import open_store
from tidings.store.query import Query
from tidings.subscriptions.duties import Duty
from tidings.subscriptions.leases import PATIENCE, Leases
from tidings.testing import elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Hands(Clock):
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def elapsed(self) -> float:
        """As far as it was moved (seconds)."""
        return self.seconds


@pytest.fixture(params=["sqlite", "postgres", "jetstream"])
def engine(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, tmp_path: Path
) -> Iterator[str]:
    """The URL of a store that is not there yet, on each engine in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/events.db"
    elif request.param == "postgres":
        server, schema = shared_postgres(pytestconfig), f"notices_{uuid4().hex}"
        yield server.url(schema=schema)
        server.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    else:
        with NatsServer(tmp_path / "nats") as nats:
            yield f"{nats.url}/notices"


def test_a_process_that_was_paused_notes_nothing(engine: str, receiver: Receiver) -> None:
    """Another one takes over and notes what it told; the old one's attempt to note it fails."""
    clock = Hands()
    with (
        open_store(engine, deadline=elsewhere.PATIENCE) as store,
        open_store(engine, deadline=elsewhere.PATIENCE) as other,
    ):
        Notices(store).add(receiver.url, {"types": ["job_done"], "status": ["failure"]})
        first, (held,) = Leases(store, clock=clock), duties(store)
        first.offer(held.key, held.first)
        first.turn()
        lease = first.held(held.key)
        assert lease is not None
        store.append([task(n, "failure" if n == 7 else "success", tasks=20) for n in range(10)])
        held.turn(lease, START)

        other.catch_up()
        second, (taken,) = Leases(other, clock=clock), duties(other)
        second.offer(taken.key, taken.first)
        while second.held(taken.key) is None:
            clock.seconds += PATIENCE
            second.turn()
        other.append([task(n, tasks=20) for n in range(10, 20)])
        finish(second, taken)
        store.catch_up()
        with pytest.raises(LeaseLost):
            held.turn(lease, START)
        assert len(list(other.read(Query(types=SENT)))) == 1
        first.close()
        second.close()
    assert {*receiver.titles} == {"job_done: 19 ok, 1 failed (figrecipe, slurm array 4711)"}


def finish(leases: Leases, duty: Duty) -> None:
    """Work at a duty until nothing is left to be done at once."""
    lease = leases.held(duty.key)
    assert lease is not None
    while duty.turn(lease, START) == START:
        pass
