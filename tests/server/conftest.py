"""Real servers for the tests: `tidings serve` in processes of its own, on free ports."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path
from random import SystemRandom
from typing import IO, TYPE_CHECKING, Any

import httpx
import pytest

from tests.server.ready import ReadyProcess, start_ready

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 60.0
"""How long anything may take before a test fails instead of hanging (seconds)."""

# A supervisor starts its workers, and `--reload` starts it anew, as they were started themselves.
_NEED_INTERPRETER = {
    "--reload",
    "--workers",
    "PYTHONPATH",
    "TIDINGS_RELOAD",
    "TIDINGS_WORKERS",
}

_URL = re.compile(r"(https?://[^\s/]+)")


# Clients are given ports from 32768 on by Linux, and from 49152 on by macOS; below are those that
# pages of the documentation name, whose tests may run at the same time. Between a look whether
# one is free and its use others may look too, so each worker of xdist has a share of its own.
_PORTS = range(20_000, 32_768)
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_OWN_PORTS = _PORTS[_WORKER % _WORKERS :: _WORKERS]
_turns = count(SystemRandom().randrange(len(_OWN_PORTS)))


def free_port() -> int:
    """A port that no client's connection and no other test is given: a server finds it free."""
    while True:
        port = _OWN_PORTS[next(_turns) % len(_OWN_PORTS)]
        with socket.socket() as trying:
            trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                trying.bind(("127.0.0.1", port))
                return port


class Server:
    """One `tidings serve` with a home of its own.

    Args:
        home: its `TIDINGS_HOME`.
        options: of `tidings serve`.
        env: variables beside those of the test.
        interpreter: whether it gets an interpreter of its own. Else it gets one only where it needs
            it, because that takes most of its start.

    Attributes:
        home: its `TIDINGS_HOME`.
        url: where it listens.
        process: its process.
    """

    def __init__(
        self,
        home: Path,
        options: tuple[str, ...],
        env: dict[str, str],
        *,
        interpreter: bool = False,
    ) -> None:
        self.home = home
        self._options = options
        self._interpreter = interpreter or not _NEED_INTERPRETER.isdisjoint((*options, *env))
        # Those who empty all settings of ours mean the ones from outside, not this one.
        own = {"TIDINGS_HOME": env.get("TIDINGS_HOME") or str(home)}
        self.environment = {**os.environ, **env, **own}
        self.port = free_port()
        home.mkdir(parents=True, exist_ok=True)
        # A file and no pipe: nobody reads while it runs, and a full pipe would stop it.
        self._said = home / "stderr.txt"
        self.start()

    @property
    def store_url(self) -> str:
        """The store it serves, to be opened beside it."""
        return f"sqlite:///{self.home}/events.db"

    def _start(self, said: IO[str]) -> subprocess.Popen[str] | ReadyProcess:
        arguments = ["serve", f"--port={self.port}", *self._options]
        if not self._interpreter:
            return start_ready(arguments, self.environment, said.fileno())
        return subprocess.Popen(
            [sys.executable, "-m", "tidings", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )

    def start(self) -> None:
        """Start it, and wait until it listens; on the port it had before, if it had one."""
        with self._said.open("w") as said:
            self.process = self._start(said)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = _URL.search(line)
        if found is None:
            self.kill()
            raise AssertionError(f"the server did not start: {line}{self._said.read_text()}")
        self.url = found[1]
        self.port = int(self.url.rsplit(":", 1)[1])

    def ended(self) -> tuple[int, str]:
        """Wait for its end; its exit code and what it said on standard error."""
        code = self._wait()
        return code, self._said.read_text()

    def stop(self) -> tuple[int, str]:
        """Ask it to end, and wait; as `ended`."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.kill()
        self._wait()

    def _wait(self) -> int:
        code = self.process.wait(PATIENCE)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def restart(self) -> None:
        """Kill it and start it again on the same port."""
        self.kill()
        # Held meanwhile, without listening, so that nobody else is given the port.
        with socket.socket(socket.AF_INET6 if "[" in self.url else socket.AF_INET) as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind((httpx.URL(self.url).host, self.port))
            self.start()

    def client(self, **options: Any) -> httpx.Client:
        """A client of it."""
        return httpx.Client(base_url=self.url, timeout=PATIENCE, **options)


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts servers; they are killed when the test ends."""
    started: list[Server] = []

    def start(
        *options: str, env: dict[str, str] | None = None, interpreter: bool = False
    ) -> Server:
        home = tmp_path_factory.mktemp("served")
        started.append(Server(home, options, env or {}, interpreter=interpreter))
        return started[-1]

    yield start
    for each in started:
        each.kill()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a file; tests keep apart by the names they give."""
    environment = {name: "" for name in os.environ if name.startswith("TIDINGS_")}
    started = Server(tmp_path_factory.mktemp("served"), (), environment)
    yield started
    started.kill()


@pytest.fixture
def client(shared_server: Server) -> Iterator[httpx.Client]:
    """A client of the shared server."""
    with shared_server.client() as opened:
        yield opened
