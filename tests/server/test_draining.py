"""Whether a server ends when it is asked to, however many streams are open."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread

import pytest

from tests.server.conftest import PATIENCE, Server
from tidings.cli.exit_codes import DONE, INTERRUPTED
from tidings.server.draining import ending_signals_call

STREAM = b"GET /events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextmanager
def streams(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Open so many streams, and see that each has begun."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    with ExitStack() as stack:
        opened = []
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            opened.append(stack.enter_context(connection))
            connection.sendall(STREAM)
        for connection in opened:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        yield opened
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def rest_of(connection: socket.socket) -> bytes:
    """What still comes on a connection."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


@pytest.mark.parametrize(("workers", "count"), [(1, 1000), (2, 500)])
def test_it_ends_with_streams_open(server: Callable[..., Server], workers: int, count: int) -> None:
    """Every stream ends in order, and the process with it; nothing is cut off or left behind."""
    started = server("--workers", str(workers))
    with streams(started.port, count) as opened:
        started.process.send_signal(signal.SIGTERM)
        for connection in opened:
            # The last chunk of an answer in chunks, so a client knows that nothing is missing.
            assert rest_of(connection).endswith(b"0\r\n\r\n")
        _, errors = started.ended()
    assert (started.process.returncode, "Cancel" in errors) == (DONE, False)


def test_ctrl_c_twice_ends_it_too(server: Callable[..., Server]) -> None:
    """The second Ctrl-C does no harm: the process ends, and says by what."""
    started = server()
    with streams(started.port, 50):
        started.process.send_signal(signal.SIGINT)
        started.process.send_signal(signal.SIGINT)
        started.process.communicate(timeout=PATIENCE)
    assert started.process.returncode == INTERRUPTED


def test_a_plain_uvicorn_ends_too(tmp_path: Path) -> None:
    """Under `uvicorn tidings.server:app` streams end as well, without any of our options."""
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "tidings.server:app", "--port", "0"],
        env={**os.environ, "TIDINGS_HOME": str(tmp_path)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stderr is not None
        found = None
        while found is None:
            line = process.stderr.readline()
            assert line, "it did not start"
            found = re.search(r"running on http://127\.0\.0\.1:(\d+)", line)
        with streams(int(found[1]), 20) as opened:
            process.send_signal(signal.SIGTERM)
            for connection in opened:
                assert rest_of(connection).endswith(b"0\r\n\r\n")
        process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGTERM


def test_whoever_listened_before_is_told_too() -> None:
    """A signal drains and goes on to the handler that was there, which is put back at the end."""
    heard = []

    def before(number: int, _frame: object) -> None:
        heard.append(number)

    async def serve() -> None:
        drained = asyncio.Event()
        with ending_signals_call(drained.set):
            signal.raise_signal(signal.SIGTERM)
            await drained.wait()

    kept = signal.signal(signal.SIGTERM, before)
    try:
        asyncio.run(serve())
        assert signal.getsignal(signal.SIGTERM) is before
    finally:
        signal.signal(signal.SIGTERM, kept)
    assert heard == [signal.SIGTERM]


def test_outside_of_the_main_thread_nothing_is_touched() -> None:
    """An app that runs in a thread leaves the process's signals alone."""
    found = []

    async def serve() -> None:
        with ending_signals_call(lambda: None):
            found.append(signal.getsignal(signal.SIGTERM))

    expected = signal.getsignal(signal.SIGTERM)
    thread = Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    thread.join()
    assert found == [expected]
