"""Servers that start in a tenth of a second: forked by a process that has imported all they need.

To import it is most of a server's start, and the tests start hundreds. A child is what `python -m
tidings serve` is by then: it has its own arguments, variables and streams, and no thread of others.
What starts processes of its own as it was started itself (several workers, `--reload`) is no child
of ours, and neither is a server whose start is what a test is about.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import IO, Any

__all__ = ["CONSTANTS", "ReadyProcess", "start_ready"]

CONSTANTS = "TESTED_WITH"
"""A variable that names constants of ours and gives them other values, as JSON."""

_ROOT = Path(__file__).parents[2]
_PATIENCE = 60.0
_LOADED = (
    "tidings.__main__",
    "tidings.cli.serve",
    "tidings.mcp_server.making",
    "tidings.mcp_server.serving",
    "tidings.server.application",
    "tidings.server.serving",
    "tidings.store.sqlite",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
)
_STREAMS = 3
_STATUS_BYTES = 4


class ReadyProcess:
    """A server that runs; what tests use of `subprocess.Popen`.

    Args:
        pid: its process.
        stdout: what it prints.
        status: where its exit code will come.

    Attributes:
        pid: as given.
        stdout: as given.
        returncode: its exit code, once it was asked for and the server has ended.
    """

    def __init__(self, pid: int, stdout: IO[str], status: IO[bytes]) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; its exit code."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("tidings serve", timeout or 0.0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Wait for its end; what it has printed since."""
        printed = self.stdout.read()
        self.stdout.close()
        self.wait(timeout)
        return printed, None

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it ended just now
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and _is_readable(self._status, timeout):
            told = self._status.read(_STATUS_BYTES)
            assert len(told) == _STATUS_BYTES, "the process that forks servers is gone"
            self.returncode = int.from_bytes(told, "big", signed=True)
            self._status.close()
        return self.returncode


def _is_readable(file: IO[bytes], timeout: float | None) -> bool:
    """Whether something comes within so many seconds; `select` knows no file past the 1,024th."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(None if timeout is None else timeout * 1000))


def start_ready(arguments: list[str], environment: dict[str, str], stderr: int) -> ReadyProcess:
    """Start a server.

    Args:
        arguments: of `tidings`.
        environment: all of its variables.
        stderr: a file for what it says on standard error.
    """
    return _forker().start(arguments, environment, stderr)


class _Forker:
    """The process that forks, as the tests see it."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.server.ready", str(theirs.fileno())],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._one_at_a_time = Lock()
        self._ours.settimeout(_PATIENCE)

    def start(self, arguments: list[str], environment: dict[str, str], stderr: int) -> ReadyProcess:
        reading, printing = os.pipe()
        status, telling = os.pipe()
        request = json.dumps([arguments, environment, os.getcwd()]).encode() + b"\n"
        try:
            with self._one_at_a_time:
                sent = socket.send_fds(self._ours, [request], [printing, stderr, telling])
                self._ours.sendall(request[sent:])
                pid = int(self._ours.recv(64))
        finally:
            os.close(printing)
            os.close(telling)
        return ReadyProcess(pid, os.fdopen(reading), os.fdopen(status, "rb"))

    def close(self) -> None:
        self._ours.close()
        self._process.wait(_PATIENCE)


@cache
def _forker() -> _Forker:
    """The one of this process; it ends with it."""
    forker = _Forker()
    atexit.register(forker.close)
    return forker


# In the process that forks -----------------------------------------------------------------------


def _serve(connection: socket.socket) -> None:
    """Fork a server for each request, and tell of each one's end, until the tests hang up."""
    for name in _LOADED:
        import_module(name)
    gc.collect()
    gc.freeze()  # what is shared by all of them
    awake, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    heard: tuple[Any, ...] = (connection, awake)
    while True:
        ready = select.select(heard, (), ())[0]
        if awake in ready:
            os.read(awake, 4096)
            _tell_of_ends(running)
        if connection not in ready:
            continue
        request, files, _, _ = socket.recv_fds(connection, 1 << 16, _STREAMS)
        if not request:
            break
        while not request.endswith(b"\n"):
            request += connection.recv(1 << 16)
        pid = os.fork()
        if pid == 0:
            _become(
                json.loads(request), files, [connection.detach(), awake, waking, *running.values()]
            )
        printing, stderr, running[pid] = files
        os.close(printing)
        os.close(stderr)
        connection.sendall(str(pid).encode())
    for pid in running:
        os.kill(pid, signal.SIGKILL)


def _tell_of_ends(running: dict[int, int]) -> None:
    for pid, telling in list(running.items()):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            del running[pid]
            with os.fdopen(telling, "wb") as told, suppress(BrokenPipeError):
                code = os.waitstatus_to_exitcode(status)
                told.write(code.to_bytes(_STATUS_BYTES, "big", signed=True))
                told.flush()


def _become(request: Any, files: list[int], others: list[int]) -> None:
    """Be a server from here on; the process ends with it."""
    arguments, environment, directory = request
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(files[0], 1)
    os.dup2(files[1], 2)
    for file in (*files, *others):
        os.close(file)
    sys.stdout = os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace")
    os.environ.clear()
    os.environ.update(environment)
    for name, value in json.loads(os.environ.pop(CONSTANTS, "{}")).items():
        module, _, constant = name.rpartition(".")
        vars(import_module(module))[constant] = value
    os.chdir(directory)
    sys.argv = ["tidings", *arguments]
    os._exit(import_module("tidings.cli").main())


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
