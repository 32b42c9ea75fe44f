"""A process that forks writers, so that each of a thousand starts in milliseconds.

Forking the test's own process would bring pytest's threads into it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["ForkServer", "Writer"]

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""How long a writer may take to report anything before the test fails (seconds)."""


class Writer:
    """A running writer, and what it has reported."""

    def __init__(self, process: int, pipe: int) -> None:
        self.process = process
        self._pipe = pipe
        self._reported = b""
        self.alive = True

    def read(self, lines: int) -> None:
        """Wait until it has reported so many lines in all."""
        while self._reported.count(b"\n") < lines:
            assert self._read_some(), f"writer {self.process} ended by itself: {self._reported!r}"

    def kill(self, grace: float) -> None:
        """Kill it where it stands, and read what it had reported until then.

        Args:
            grace: how much longer it may run (seconds), so that it dies elsewhere each time.
        """
        select.select([], [], [], grace)
        os.kill(self.process, signal.SIGKILL)
        while self._read_some():
            pass
        os.close(self._pipe)
        self.alive = False

    @property
    def reported(self) -> list[str]:
        """The whole lines so far; the last may have been cut off by the kill."""
        return self._reported.decode().split("\n")[:-1]

    def _read_some(self) -> bool:
        ready, _, _ = select.select([self._pipe], [], [], PATIENCE)
        assert ready, f"writer {self.process} said nothing for {PATIENCE:g} s"
        part = os.read(self._pipe, 1 << 16)
        self._reported += part
        return bool(part)


class ForkServer:
    """Starts writers; a context manager."""

    def __enter__(self) -> Self:
        self._ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tests.crash.fork_server", str(theirs.fileno())]
        self._process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()])
        theirs.close()
        self._ours.settimeout(PATIENCE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ours.close()
        assert self._process.wait(PATIENCE) == 0

    def start(self, url: str, seed: int) -> Writer:
        """Start a writer; see `mixed_writer`."""
        reading, writing = os.pipe()
        request = json.dumps([url, seed]).encode()
        socket.send_fds(self._ours, [request], [writing])
        os.close(writing)
        return Writer(int(self._ours.recv(64)), reading)


def _serve(connection: socket.socket) -> None:
    """Fork a writer for each request, until the test hangs up."""
    from tests.crash.mixed_writer import write

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the killed are reaped by themselves
    while True:
        request, pipes, _, _ = socket.recv_fds(connection, 4096, 1)
        if not request:
            return
        process = os.fork()
        if process == 0:
            connection.close()
            url, seed = json.loads(request)
            write(url, seed, pipes[0])
        os.close(pipes[0])
        connection.send(str(process).encode())


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
