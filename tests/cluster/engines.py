"""The engines that several servers share in a trial, and what can go wrong with each.

Each server of a trial reaches its engine over a line of its own, and on a replicated engine has a
replica of its own, as if it ran on a machine of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic
from typing import Self

import psycopg

from tests.cluster.line import Line
from tests.engines.nats import NatsCluster, NatsServer
from tests.engines.postgres import PostgresServer
from tidings.store import open_store
from tidings.testing.elsewhere import PATIENCE

__all__ = [
    "Engine",
    "JetStreamClusterEngine",
    "JetStreamEngine",
    "PostgresEngine",
    "SQLiteEngine",
    "SharedEngine",
    "durable_postgres",
]


class Engine(ABC):
    """An engine that the servers of a trial share; a context that hangs up its lines.

    Args:
        port: where it listens; none where it listens nowhere.
        servers: how many there will be.

    Attributes:
        lines: the line of each server to it; none where it listens nowhere.
    """

    def __init__(self, port: int | None, servers: int) -> None:
        self._servers = servers
        self.lines = [] if port is None else [Line(port) for _ in range(servers)]

    @abstractmethod
    def url(self, number: int) -> str:
        """The store as a server knows it."""

    @abstractmethod
    def fresh_url(self) -> str:
        """The store as one opens it that was not there before, on no line that is ever cut."""

    @property
    def urls(self) -> list[str]:
        """The store as each server knows it."""
        return [self.url(number) for number in range(self._servers)]

    @property
    def deaths(self) -> dict[str, Callable[[], None]]:
        """What can die of it and comes back, by name."""
        return {}

    @property
    def pauses(self) -> dict[str, Callable[[], AbstractContextManager[object]]]:
        """What of it can stand still for a while, by name; it goes on where the context ends."""
        return {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for line in self.lines:
            line.close()


class SQLiteEngine(Engine):
    """One file of this machine."""

    def __init__(self, directory: Path, servers: int) -> None:
        super().__init__(None, servers)
        self._url = f"sqlite:///{directory}/events.db"

    def url(self, number: int) -> str:  # noqa: ARG002 - all know it by the same name
        """See `Engine`."""
        return self._url

    def fresh_url(self) -> str:
        """See `Engine`."""
        return self._url


class SharedEngine(Engine):
    """A directory that several machines share, and a replica on each of them.

    Args:
        directory: where both lie.
        servers: see `Engine`.
    """

    def __init__(self, directory: Path, servers: int) -> None:
        super().__init__(None, servers)
        self._directory = directory

    def url(self, number: int) -> str:
        """See `Engine`."""
        return self._with_replica(f"replica-{number}")

    def fresh_url(self) -> str:
        """See `Engine`."""
        return self._with_replica("replica-fresh")

    def _with_replica(self, name: str) -> str:
        return f"shared:///{self._directory}/shared?replica={self._directory / name}"

    def lose_replica(self, number: int) -> None:
        """Remove what a server keeps on its own disk, which does not run meanwhile."""
        shutil.rmtree(self._directory / f"replica-{number}")


class PostgresEngine(Engine):
    """One PostgreSQL, and in it a database of its own."""

    def __init__(self, server: PostgresServer, servers: int) -> None:
        super().__init__(server.port, servers)
        self.server = server
        self._database = server.fresh_database()

    def url(self, number: int) -> str:
        """See `Engine`."""
        return self.server.url(self._database, port=self.lines[number].port)

    def fresh_url(self) -> str:
        """See `Engine`."""
        return self.server.url(self._database)

    @property
    def deaths(self) -> dict[str, Callable[[], None]]:
        """See `Engine`."""
        return {
            "kill -9 of the backend that writes": self.kill_writing_backend,
            "kill -9 of the postmaster": self.server.restart,
            "all backends are asked to end": self._end_backends,
        }

    @property
    def pauses(self) -> dict[str, Callable[[], AbstractContextManager[object]]]:
        """See `Engine`."""
        return {"the backend that writes stands still": self._paused_backend}

    def _end_backends(self) -> None:
        self.server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    @contextmanager
    def _paused_backend(self) -> Iterator[None]:
        backend = self._signal_writing_backend(signal.SIGSTOP)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(backend, signal.SIGCONT)

    def kill_writing_backend(self) -> None:
        """Kill the process that holds the writers' lock, which brings all backends down."""
        self._signal_writing_backend(signal.SIGKILL)

    def _signal_writing_backend(self, number: int) -> int:
        """Send a signal to the process that holds the writers' lock; its id."""
        until = monotonic() + PATIENCE
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            while monotonic() < until:
                found = connection.execute(
                    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
                ).fetchone()
                if found is not None:
                    with suppress(ProcessLookupError):
                        os.kill(found[0], number)
                        return int(found[0])
        raise AssertionError("nobody wrote anything")


class JetStreamEngine(Engine):
    """A stream of one NATS server.

    Args:
        nats: the server.
        servers: see `Engine`.
        directory: where the replicas lie; its name is the stream's too.
    """

    def __init__(self, nats: NatsServer, servers: int, directory: Path) -> None:
        super().__init__(nats.port, servers)
        self._nats = nats
        self._directory = directory
        self._fresh = 0

    def url(self, number: int) -> str:
        """See `Engine`."""
        return self._at(f"127.0.0.1:{self.lines[number].port}", f"replica-{number}")

    def fresh_url(self) -> str:
        """See `Engine`."""
        self._fresh += 1
        return self._at(self._nats.url.removeprefix("nats://"), f"replica-fresh-{self._fresh}")

    def _at(self, hosts: str, replica: str) -> str:
        return f"nats://{hosts}/{self._directory.name}?replica={self._directory / replica}"

    @property
    def deaths(self) -> dict[str, Callable[[], None]]:
        """See `Engine`."""
        return {"kill -9 of the NATS server": self.restart_node}

    @property
    def pauses(self) -> dict[str, Callable[[], AbstractContextManager[object]]]:
        """See `Engine`."""
        return {"the NATS server stands still": lambda: _paused(self._nats)}

    def lose_replica(self, number: int) -> None:
        """Remove what a server keeps on its own disk, which does not run meanwhile."""
        shutil.rmtree(self._directory / f"replica-{number}")

    def restart_node(self) -> None:
        """Kill the one server, and start it again."""
        self._nats.kill()
        self._nats.start()


class JetStreamClusterEngine(Engine):
    """A stream of three NATS servers, which all keep it; the servers of the trial know all three.

    Args:
        nats: the three.
        servers: see `Engine`.
        directory: as for `JetStreamEngine`.
    """

    def __init__(self, nats: NatsCluster, servers: int, directory: Path) -> None:
        super().__init__(None, servers)
        self._nats = nats
        self._directory = directory
        # Three nodes that have just met take their time to agree on a new stream.
        with open_store(self._with_replica("replica-first"), deadline=PATIENCE) as store:
            store.head()

    def url(self, number: int) -> str:
        """See `Engine`."""
        return self._with_replica(f"replica-{number}")

    def fresh_url(self) -> str:
        """See `Engine`."""
        return self._with_replica("replica-fresh")

    def _with_replica(self, name: str) -> str:
        return (
            f"{self._nats.url}/{self._directory.name}?replicas=3&replica={self._directory / name}"
        )

    @property
    def deaths(self) -> dict[str, Callable[[], None]]:
        """See `Engine`."""
        return {"kill -9 of the leader": self.kill_leader}

    @property
    def pauses(self) -> dict[str, Callable[[], AbstractContextManager[object]]]:
        """See `Engine`."""
        return {"the leader stands still": lambda: _paused(self._nats.leader(self._directory.name))}

    def lose_replica(self, number: int) -> None:
        """Remove what a server keeps on its own disk, which does not run meanwhile."""
        shutil.rmtree(self._directory / f"replica-{number}")

    def kill_leader(self) -> None:
        """Kill the server that leads the stream; another takes over, then it comes back."""
        leader = self._nats.leader(self._directory.name)
        leader.kill()
        self._nats.leader(self._directory.name)
        leader.start()


@contextmanager
def _paused(nats: NatsServer) -> Iterator[None]:
    nats.pause()
    try:
        yield
    finally:
        nats.resume()


@contextmanager
def durable_postgres() -> Iterator[PostgresServer]:
    """A new PostgreSQL, whose commits survive the death of any of its processes."""
    # Not in pytest's directory, which PostgreSQL's user may not enter.
    server = PostgresServer(Path(mkdtemp(prefix="tidings-cluster-")))
    try:
        server.start()
        yield server
    finally:
        server.close()
