"""Servers as real processes: `tidings serve`, and the references on the same server software."""

from __future__ import annotations

import http.client
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from benchmarks.workplace import Workplace

__all__ = ["Server", "address_of", "allow_many_files", "reference_server", "tidings_server"]

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_START_SECONDS = 30
_STOP_SECONDS = 60


class Server:
    """A server that has said where it listens.

    Args:
        process: the process that was started.
        url: where it listens.
    """

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.url = url
        self.host, self.port = address_of(url)
        self._process = process

    def connection(self) -> http.client.HTTPConnection:
        """A connection that is kept open between requests."""
        return http.client.HTTPConnection(self.host, self.port, timeout=60)

    def memory(self) -> int:
        """What the process has in memory (bytes); Linux alone says so in this place."""
        with open(f"/proc/{self._process.pid}/status", encoding="utf-8") as file:
            line = next(line for line in file if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def processor_seconds(self) -> float:
        """What processor time it has taken until now (seconds)."""
        with open(f"/proc/{self._process.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ask_to_stop(self) -> None:
        """Send it SIGTERM."""
        self._process.terminate()

    def wait_until_stopped(self) -> None:
        """Return once the process has ended."""
        self._process.wait(_STOP_SECONDS)


@contextmanager
def tidings_server(workplace: Workplace, url: str, *options: str) -> Iterator[Server]:
    """`tidings serve` on a free port, with its defaults: metrics and limits on, no keys.

    Args:
        workplace: where it has its home.
        url: of its store.
        options: further options of the command.
    """
    command = ("-m", "tidings", "serve", "--port", "0", "--url", url, *options)
    with _started(workplace, "serve", command) as server:
        yield server


@contextmanager
def reference_server(workplace: Workplace, name: str) -> Iterator[Server]:
    """One of `references/`, on a free port."""
    command = ("-m", "benchmarks.references", name, workplace.new_directory(name))
    with _started(workplace, name, command) as server:
        yield server


def allow_many_files() -> None:
    """Let this process, and those it starts, open as many connections as the system permits."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def _started(workplace: Workplace, name: str, arguments: tuple[str, ...]) -> Iterator[Server]:
    directory = workplace.new_directory(f"{name}-process")
    environment = {key: value for key, value in os.environ.items() if "TIDINGS" not in key}
    environment |= {"TIDINGS_HOME": directory, "PYTHONPATH": _ROOT}
    said = os.path.join(directory, "stdout")
    with open(said, "wb") as stdout, open(os.path.join(directory, "stderr"), "wb") as stderr:
        process = subprocess.Popen(
            (sys.executable, *arguments), env=environment, stdout=stdout, stderr=stderr
        )
    try:
        yield Server(process, _url_said(process, directory))
    finally:
        # A server that holds streams may not stop when asked to; what was measured is measured.
        process.kill()
        process.wait(_STOP_SECONDS)


def _url_said(process: subprocess.Popen[bytes], directory: str) -> str:
    """The address in the first line it writes, once it has written one."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with open(os.path.join(directory, "stdout"), encoding="utf-8") as file:
            line = file.readline()
        if line.endswith("\n"):
            return next(word for word in line.split() if word.startswith("http://")).rstrip("/.,")
        time.sleep(0.02)
    with open(os.path.join(directory, "stderr"), encoding="utf-8") as file:
        raise RuntimeError(f"{process.args!r} does not serve:\n{file.read()[-2000:]}")


def address_of(url: str) -> tuple[str, int]:
    """The host and port of a URL."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port
