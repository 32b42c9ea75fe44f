"""A holder of the lease that is stopped, loses it, and comes back: it harms nobody.

A real process is stopped at a step of its work (SIGSTOP). Its lease is made to look old, so others
take over at once; then it goes on (SIGCONT) while somebody else holds the lease.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.replicated.log_elsewhere import publish_all, read_until
from tidings.store.shared import SharedLog
from tidings.testing.elsewhere import PATIENCE

ROOT = Path(__file__).parents[2]

MEANWHILE = [b"%d" % number for number in range(5)]
"""Each fills a segment; the one who comes back looks into no more than the newest three."""

STEPS = {
    "before it writes its segment": ("write", "segments"),
    "before it claims its place": ("link", "segments"),
    "before the claim is marked as lasting": ("settle", "segments"),
    "before it empties the waiting room": ("remove", "new"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_stopped_holder_comes_back(tmp_path: Path, step: str) -> None:
    """Wherever it was stopped: each entry is there once, in one order, and the lease is not its."""
    directory = tmp_path / "shared"
    log = SharedLog(str(directory), "")
    publish_all(log, b"first")
    read_until(log, b"first")
    command = [sys.executable, "-m", "tests.shared.stopped", *STEPS[step], str(directory)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert os.WIFSTOPPED(os.waitpid(child.pid, os.WUNTRACED)[1])
        lease = directory / "lease"
        os.utime(lease, (0, lease.stat().st_mtime - 60))
        for each in MEANWHILE:
            publish_all(log, each)
            before = data_of(log, each)
        assert not lease.exists()
        assert log._lease.take()
        child.send_signal(signal.SIGCONT)
        seen, _ = child.communicate(timeout=PATIENCE)
        assert child.returncode == 0
    finally:
        child.kill()
        child.communicate()
    assert (log._lease.holder() or {}).get("pid") == os.getpid()
    log._lease.give_back()
    publish_all(log, b"last")
    everything = data_of(log, b"last")
    assert sorted(everything) == sorted([b"first", *MEANWHILE, b"late", b"last"])
    assert everything[: len(before)] == before
    read = [word.encode() for word in seen.split()]
    assert read == everything[: len(read)]
    assert not list((directory / "new").iterdir())
    assert log.check() == []
    log.close()


def data_of(log: SharedLog, last: bytes) -> list[bytes]:
    """All entries up to one."""
    return [entry.data for entry in read_until(log, last)]
