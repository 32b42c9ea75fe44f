"""Whether several workers are one server: what they count, and what happens when one dies."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import httpx
import pytest

from tests.server.conftest import PATIENCE, Server
from tests.server.test_metrics import values
from tidings.cli.exit_codes import DONE


def workers_of(server: Server) -> set[int]:
    """The processes that serve: the children that run our code, without Python's own helper."""
    path = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return {int(word) for word in path.read_text().split() if b"spawn_main" in command_of(word)}


def command_of(pid: str) -> bytes:
    """A process's command line; empty for one that has just ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def ended(pid: int) -> None:
    """Wait until a process that is no child of ours has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], PATIENCE)[0], f"{pid} still runs"
    finally:
        os.close(descriptor)


def asked_anew(server: Server, path: str) -> httpx.Response:
    """An answer on a connection of its own, as any worker may give it."""
    while True:
        try:
            return httpx.get(server.url + path, timeout=PATIENCE)
        except httpx.TransportError:
            # The worker that took the connection was killed; a client asks again.
            continue


@pytest.fixture
def two_workers(server: Callable[..., Server], tmp_path: Path) -> Server:
    """A server with two workers, and a place of its own for what it counts."""
    return server("--workers", "2", env={"TMPDIR": str(tmp_path)})


def test_what_workers_count_adds_up(two_workers: Server, tmp_path: Path) -> None:
    """Whichever worker is asked tells of all; a killed one is replaced and loses no count."""
    before = workers_of(two_workers)
    assert len(before) == 2
    for _ in range(20):
        kept = httpx.post(f"{two_workers.url}/events/", json={"type": "kept"}, timeout=PATIENCE)
        assert kept.status_code == 201
    with two_workers.client() as client, client.stream("GET", "/events/stream") as stream:
        assert stream.status_code == 200
        counted = values(asked_anew(two_workers, "/metrics").text)
        assert counted["tidings_events_appended_total"] == 20
        assert counted["tidings_streams_open"] == 1
        # The one with the stream among them; that it is gone must not count for ever.
        for pid in before:
            os.kill(pid, signal.SIGKILL)
            ended(pid)
    # Answered by a new one, perhaps just before the supervisor has noticed the other's death.
    until = monotonic() + PATIENCE
    while (counted := values(asked_anew(two_workers, "/metrics").text))["tidings_streams_open"]:
        assert monotonic() < until
    assert counted["tidings_events_appended_total"] == 20
    code, _ = two_workers.stop()
    assert code == DONE
    assert list(tmp_path.iterdir()) == []


def test_workers_end_with_their_supervisor(two_workers: Server) -> None:
    """When the supervisor is killed, its workers end by themselves and give up the port."""
    workers = workers_of(two_workers)
    two_workers.kill()
    for pid in workers:
        ended(pid)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{two_workers.url}/health/live", timeout=PATIENCE)


def test_workers_that_cannot_start_end_the_server(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    """Workers that fail before they serve are not started again and again."""
    failing = "import sys\nif '--multiprocessing-fork' in sys.orig_argv: sys.exit(1)\n"
    (tmp_path / "sitecustomize.py").write_text(failing)
    with pytest.raises(AssertionError, match="no worker started; the lines above say why"):
        server("--workers", "2", env={"PYTHONPATH": str(tmp_path)})
