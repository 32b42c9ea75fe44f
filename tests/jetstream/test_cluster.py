"""Three servers, one of which dies at a time: what was acknowledged is kept, and goes on."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event as Flag
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from tests.engines.nats import NatsCluster
from tests.replicated.log_elsewhere import named, read_all
from tidings.errors import OutcomeUnknown, StoreUnavailable
from tidings.testing.elsewhere import PATIENCE, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.engines.nats import NatsServer
    from tidings.store.jetstream.log import JetStreamLog
    from tidings.store.replicated.log import Entry

_PUBLISHERS = 3
_EACH = 60
_STORMS = 12
_DEADLINE = 1.0
"""What an emit may take: it is shorter than an election, so that outcomes stay unknown."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[NatsCluster]:
    """Three servers."""
    with NatsCluster(tmp_path / "nats") as cluster:
        yield cluster


class _Publisher:
    """Publishes numbered entries, each again under its name until it is acknowledged.

    Attributes:
        acknowledged: the entries that were.
        unknown: how often the outcome was not known.
    """

    def __init__(self, log: JetStreamLog, who: int) -> None:
        self._log = log
        self._who = who
        self.acknowledged: list[bytes] = []
        self.unknown = 0

    def publish_one(self) -> None:
        entry = named(b"%d:%d" % (self._who, len(self.acknowledged)))
        end = monotonic() + PATIENCE
        while monotonic() < end:
            try:
                self._log.publish(entry, _DEADLINE)
            except (OutcomeUnknown, StoreUnavailable) as error:
                self.unknown += isinstance(error, OutcomeUnknown)
            else:
                self.acknowledged.append(entry[0][1])
                return
        raise TimeoutError(f"{entry} was not acknowledged within {PATIENCE} s")

    def publish(self, count: int) -> list[Entry]:
        for _ in range(count):
            self.publish_one()
        return []

    def publish_until(self, enough: Flag) -> list[Entry]:
        while not enough.is_set():
            self.publish_one()
        return []


def _check(publishers: list[_Publisher], seen: list[Entry], late: JetStreamLog) -> None:
    """All that was acknowledged is there once, in order, and the same for who comes late."""
    wanted = [each for publisher in publishers for each in publisher.acknowledged]
    assert sorted(entry.data for entry in seen) == sorted(wanted)
    for who, publisher in enumerate(publishers):
        own = [entry.data for entry in seen if entry.data.startswith(b"%d:" % who)]
        assert own == publisher.acknowledged
    assert read_all(late, wanted) == seen


def test_a_leader_dies(opened: Callable[[str], JetStreamLog], cluster: NatsCluster) -> None:
    """Over kill -9 of the stream's leader no acknowledged entry is lost, and none comes twice."""
    url = f"{cluster.url}/lab?replicas=3"
    publishers = [_Publisher(opened(url), who) for who in range(_PUBLISHERS)]
    watch = opened(url)
    assert watch.describe()["replicas"] == 3

    def kill() -> list[Entry]:
        while watch.head(PATIENCE) < _PUBLISHERS * _EACH // 3:
            watch.wait(watch.head(PATIENCE), 0.1)
        leader = cluster.leader("lab")
        leader.kill()
        assert cluster.leader("lab") is not leader
        leader.start(wait=False)
        return []

    wanted = [b"%d:%d" % (who, n) for who in range(_PUBLISHERS) for n in range(_EACH)]
    publishing = [partial(each.publish, _EACH) for each in publishers]
    *_, seen = in_threads(*publishing, kill, partial(read_all, opened(url), wanted))
    _check(publishers, seen, opened(url))


@pytest.mark.soak
def test_one_after_the_other_dies(
    opened: Callable[[str], JetStreamLog], cluster: NatsCluster
) -> None:
    """Servers that are killed, stopped or stand still, leaders or not, lose nothing."""
    url = f"{cluster.url}/lab?replicas=3"
    publishers = [_Publisher(opened(url), who) for who in range(_PUBLISHERS)]
    opened(url).identity()
    enough = Flag()

    def harm() -> list[Entry]:
        try:
            for number in range(_STORMS):
                leader = cluster.leader("lab")
                others = [node for node in cluster.nodes if node is not leader]
                _harm(leader if number % 3 else random.choice(others), number)
                cluster.wait_until_formed()
                cluster.leader("lab")
        finally:
            enough.set()
        return []

    publishing = [partial(each.publish_until, enough) for each in publishers]
    _run_long([*publishing, harm])
    wanted = [each for publisher in publishers for each in publisher.acknowledged]
    _check(publishers, read_all(opened(url), wanted), opened(url))


def _harm(node: NatsServer, number: int) -> None:
    """End a server in one of three ways, and have it back."""
    if number % 4 == 3:
        node.pause()
        Flag().wait(3.0)  # so that it loses what it leads
        node.resume()
        return
    (node.stop if number % 4 == 2 else node.kill)()
    Flag().wait(random.uniform(0.0, 6.0))
    node.start(wait=False)


def _run_long(parts: Sequence[Callable[[], list[Entry]]]) -> None:
    """As `in_threads`, for as long as it takes."""
    with ThreadPoolExecutor(len(parts)) as pool:
        for future in [pool.submit(part) for part in parts]:
            future.result()
