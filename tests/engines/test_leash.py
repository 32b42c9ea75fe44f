"""A killed test run leaves no server running, and nothing of what it kept."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]  # comes with the wheel of PostgreSQL, untyped
import pytest

from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

RUN = """
import signal, subprocess, sys, time
from pathlib import Path

import psutil

from tests.engines.leash import Leash

with subprocess.Popen(["sleep", "1000"], start_new_session=True) as server:
    leash = Leash(server.pid, signal.SIGTERM, Path(sys.argv[1]))
    if sys.argv[2] == "let go":
        leash.let_go()
        assert [each.pid for each in psutil.Process().children()] == [server.pid]
    print(server.pid, flush=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize("how", ["killed", "let go"])
def test_a_server_ends_with_its_run(tmp_path: Path, how: str) -> None:
    """The server ends when its run is killed, and only if it is still held then."""
    kept = tmp_path / "kept"
    kept.mkdir()
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(kept), how], stdout=subprocess.PIPE, text=True
    )
    with run:
        assert run.stdout is not None
        server = psutil.Process(int(run.stdout.readline()))
        run.kill()
    if how == "let go":
        assert server.is_running()
        assert kept.exists()
        server.kill()
        return
    end = time.monotonic() + PATIENCE
    while kept.exists() or runs(server):
        assert time.monotonic() < end
        time.sleep(0.01)


def runs(server: psutil.Process) -> bool:
    """Whether it has not ended; who is nobody's child any more may be left as a zombie."""
    try:
        return server.is_running() and bool(server.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
