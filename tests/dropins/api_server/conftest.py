"""`eventuali-api-server` as its users start it: the real command, in a directory of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from tests.server.conftest import free_port
from tidings.testing.elsewhere import PATIENCE

__all__ = ["COMMAND", "Served"]

COMMAND = os.path.join(os.path.dirname(sys.executable), "eventuali-api-server")


class Served:
    """A process that serves.

    Attributes:
        directory: where it was started.
        url: where it listens.
    """

    def __init__(self, directory: Path, command: tuple[str, ...], env: dict[str, str]) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # A file and no pipe: nobody reads while it runs, and a full pipe would stop it.
        self._said = directory / "stderr.txt"
        with self._said.open("w") as said:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                cwd=directory,
                env={**os.environ, **env},
                stderr=said,
                stdout=subprocess.DEVNULL,
            )
        self.await_said(r"Application startup complete")

    @property
    def said(self) -> str:
        """What it has written to its standard error."""
        return self._said.read_text()

    def await_said(
        self, pattern: str, count: int = 1, meanwhile: Callable[[], object] = int
    ) -> None:
        """Wait until something stands so often in what it says; do something before each look."""
        until = monotonic() + PATIENCE
        while len(re.findall(pattern, self.said)) < count:
            assert self._process.poll() is None, self.said
            assert monotonic() < until, self.said
            meanwhile()
            sleep(0.02)  # between two looks at a file; nothing goes by its length

    def client(self) -> httpx.Client:
        """A client of it."""
        return httpx.Client(base_url=self.url, timeout=PATIENCE)

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait(PATIENCE)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts servers in the test's directory; they are killed when the test ends."""
    started: list[Served] = []

    def start(*command: str, **env: str) -> Served:
        started.append(Served(tmp_path, command or (COMMAND,), env))
        return started[-1]

    yield start
    for each in started:
        each.kill()
