"""Who holds the lease, who takes it from the dead, and what a late one may not do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.replicated.log_elsewhere import publish_all, read_until
from tidings.store.replicated.log import LogTrimmed
from tidings.store.shared import SharedLog
from tidings.store.shared.files import Files
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the log lies."""
    return tmp_path / "shared"


@pytest.fixture
def log(directory: Path) -> Iterator[SharedLog]:
    """A log with one entry in it."""
    log = SharedLog(str(directory), "")
    publish_all(log, b"first")
    read_until(log, b"first")
    yield log
    log.close()


def data_of(log: SharedLog, last: bytes) -> list[bytes]:
    """All entries up to one."""
    return [entry.data for entry in read_until(log, last)]


HOLDER = """
import os, sys, signal
from tidings.store.shared.files import Files
from tidings.store.shared.lease import Lease
from tidings.store.shared.place import Place
lease = Lease(Place(sys.argv[1], Files(sys.argv[1])))
assert lease.take()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_dead_holder_of_this_host_is_noticed_at_once(log: SharedLog, directory: Path) -> None:
    """The lease of a process that was killed here hinders nobody."""
    subprocess.run(
        [sys.executable, "-c", HOLDER, str(directory)], cwd=ROOT, check=False, timeout=60
    )
    assert (directory / "lease").exists()
    publish_all(log, b"second")
    log.wait(1 << 20, PATIENCE)
    assert data_of(log, b"second") == [b"first", b"second"]


@pytest.mark.parametrize("age", [60, -3600], ids=["silent", "in the future"])
def test_a_silent_holder_elsewhere(log: SharedLog, directory: Path, age: int) -> None:
    """Who shows no sign of life loses the lease, also where its clock was wrong."""
    lease = directory / "lease"
    lease.write_text('{"host": "elsewhere", "pid": 1, "start": "1", "kernel": "another"}')
    os.utime(lease, (0, lease.stat().st_mtime - age))
    publish_all(log, b"second")
    assert log.wait(1 << 20, PATIENCE)
    assert not lease.exists()


def test_a_living_holder_keeps_it(
    log: SharedLog, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another shows signs of life, nobody else puts in order."""
    monkeypatch.setattr("tidings.store.shared.lease.LEASE_SECONDS", PATIENCE)
    lease = directory / "lease"
    lease.write_text('{"host": "elsewhere", "pid": 1, "start": "1", "kernel": "another"}')
    publish_all(log, b"second")
    assert not log.wait(1 << 20, 0.1)
    assert lease.exists()


class Noting(Files):
    """The file system, with a note of what was put on the disk and what was removed."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self.notes: list[str] = []

    def sync(self, directory: str) -> None:
        """As `Files.sync`."""
        super().sync(directory)
        self.notes.append(f"sync {os.path.basename(directory)}")

    def remove(self, path: str) -> bool:
        """As `Files.remove`."""
        self.notes.append(f"remove {os.path.basename(os.path.dirname(path))}")
        return super().remove(path)


def test_what_waits_goes_once_its_segment_lasts(log: SharedLog, directory: Path) -> None:
    """Where a holder died before its segment was on the disk, the next one sees to that first."""
    publish_all(log, b"second")
    (waiting,) = (directory / "new").iterdir()
    content = waiting.read_bytes()
    read_until(log, b"second", 1 << 20)
    segment = directory / "segments" / "0000000" / "0000000001"
    segment.chmod(0o600)  # as it is until its name is on the disk
    waiting.write_bytes(content)
    files = Noting(str(directory))
    other = SharedLog(str(directory), "", files)
    other.head(1.0)
    assert not waiting.exists()
    assert files.notes.index("sync 0000000") < files.notes.index("remove new")
    assert data_of(other, b"second") == [b"first", b"second"]
    other.close()


class Paused(Files):
    """The file system as one sees it who is stopped just before a link, while others go on."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self.meanwhile: list[SharedLog] = []

    def link(self, path: str, name: str) -> None:
        """As `Files.link`, much later."""
        for other in self.meanwhile:
            self.meanwhile = []
            (Path(other.directory) / "lease").unlink()
            publish_all(other, b"meanwhile")
            seen = read_until(other, b"meanwhile")
            other.trim(seen[-1].sequence)
        super().link(path, name)


def test_who_was_paused_comes_back_late(log: SharedLog, directory: Path) -> None:
    """One who was stopped before its link, while others took over and trimmed, harms nobody."""
    files = Paused(str(directory))
    late = SharedLog(str(directory), "", files)
    publish_all(late, b"late")
    files.meanwhile = [log]
    late.wait(1 << 20, PATIENCE)
    with pytest.raises(LogTrimmed):
        late.read(0)
    publish_all(late, b"last")
    rest = [entry.data for entry in read_until(log, b"last", log.head(1.0) - (1 << 20))]
    assert rest == [b"last"]
    assert log.check() == []
    late.close()
