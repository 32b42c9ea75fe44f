"""kill -9 at every call: what was acknowledged is there, once, and others go on.

A child emits until it dies at one of its calls on the directory, each in turn. Then others, who
know nothing of it, read what there is and emit themselves.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.replicated.log_elsewhere import publish_all, read_until
from tidings.store.replicated.log import LogTrimmed
from tidings.store.shared import SharedLog, log, ordering, segments, upkeep

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the children."""
    for module in (segments, upkeep):
        monkeypatch.setattr(module, "BLOCK", 4)
    for module in (segments, upkeep, ordering, log):
        monkeypatch.setattr(module, "GROUP", 2)


def deaths(scenario: str, directory: Path) -> list[Path]:
    """Play a scenario with a death at each step; the directories, each as it was then."""
    command = [sys.executable, "-m", "tests.shared.mortal", scenario, str(directory)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return sorted(path for path in directory.iterdir() if path.name.isdecimal())


@pytest.mark.parametrize("scenario", ["first", "merging"])
def test_killed_while_emitting(tmp_path: Path, scenario: str) -> None:
    """Wherever an emitter dies, what it was told is kept is there once, and others go on."""
    directories = deaths(scenario, tmp_path)
    assert len(directories) > 10
    for directory in directories:
        told = acknowledged(directory)
        before = survivors(directory, told, "before")
        after = survivors(directory, told, "after")
        assert after[: len(before)] == before


def test_killed_while_trimming(tmp_path: Path) -> None:
    """Wherever a trim dies, a reader is told of it or gets all; and the next trim ends it."""
    for directory in deaths("trimming", tmp_path):
        shared = SharedLog(str(directory), "")
        publish_all(shared, b"last")
        rest = read_until(shared, b"last", 6 << 20)
        assert [entry.data for entry in rest] == [b"6", b"last"]
        try:
            everything = read_until(shared, b"last")
        except LogTrimmed:
            assert shared.fetch_snapshot(f"{directory}.fetched") == 6 << 20
        else:
            assert [entry.data for entry in everything] == [*(b"%d" % n for n in range(7)), b"last"]
        shared.trim(6 << 20)
        with pytest.raises(LogTrimmed):
            shared.read(0)
        assert read_until(shared, b"last", 6 << 20) == rest
        assert shared.check() == []
        shared.close()


def acknowledged(directory: Path) -> list[str]:
    """What the child was told is kept."""
    told = directory.with_name(f"{directory.name}.acknowledged")
    return told.read_text().split() if told.exists() else []


def survivors(directory: Path, wanted: list[str], own: str) -> list[str]:
    """What another process reads, which emits too; each of the wanted ones exactly once."""
    shared = SharedLog(str(directory), "")
    try:
        publish_all(shared, own.encode())
        seen = [entry.data.decode() for entry in read_until(shared, own.encode())]
        assert shared.check() == []
    finally:
        shared.close()
    assert len(set(seen)) == len(seen)
    assert set(wanted) <= set(seen)
    return seen
