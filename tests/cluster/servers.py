"""Several `tidings serve` on one engine, as one would run behind a load balancer."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from tests.server.conftest import Server
from tests.server.test_workers import ended, workers_of
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Cluster", "cluster_on", "kill_a_worker"]

T = TypeVar("T")


class Cluster:
    """Some servers on one engine.

    Attributes:
        servers: all of them; one may be down for a while.
    """

    def __init__(self, servers: Sequence[Server]) -> None:
        self.servers = list(servers)

    @property
    def urls(self) -> list[str]:
        """Where they listen."""
        return [server.url for server in self.servers]

    def restart(self, number: int, meanwhile: Callable[[int], object] | None = None) -> None:
        """Kill one as a power cut would, and start it again on its port.

        Args:
            number: which.
            meanwhile: called with the number while it does not run.
        """
        self.servers[number].kill()
        if meanwhile is not None:
            meanwhile(number)
        _started(self.servers[number].restart)


def _started(start: Callable[[], T]) -> T:
    """Start something until it starts, as systemd does it.

    The engine may be electing a leader; or it makes the store, which may take it longer than the
    servers of a trial wait.
    """
    until = monotonic() + PATIENCE
    while True:
        try:
            return start()
        except AssertionError:
            if monotonic() > until:
                raise


def kill_a_worker(server: Server) -> None:
    """Kill one worker of a server that has several; its supervisor starts another."""
    worker = min(workers_of(server))
    os.kill(worker, signal.SIGKILL)
    ended(worker)


@contextmanager
def cluster_on(
    urls: Sequence[str], directory: Path, *options: str, env: dict[str, str] | None = None
) -> Iterator[Cluster]:
    """Some servers, all started at once; killed at the end.

    Args:
        urls: the store that each of them serves.
        directory: where they have their homes.
        options: of `tidings serve`, for all of them.
        env: variables beside those of the test.
    """
    more = {"TIDINGS_RATE_LIMIT": "0", **(env or {})}

    def start(number: int) -> Server:
        home = directory / f"server-{number}"
        return _started(lambda: Server(home, options, {**more, "TIDINGS_URL": urls[number]}))

    with ExitStack() as at_the_end, ThreadPoolExecutor(len(urls)) as pool:
        starting = [pool.submit(start, number) for number in range(len(urls))]
        wait(starting)
        for each in starting:
            if each.exception() is None:
                at_the_end.callback(each.result().kill)
        yield Cluster([each.result() for each in starting])
