"""Replacing a file by turns: whoever reads sees one whole event, also who is slow."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from tidings.state_files.replacing import _is_ours_alone, replace
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

READER = """\
import json, sys
print("begun", flush=True)
last = -1
while last < 1999:
    with open(sys.argv[1]) as file:
        event = json.load(file)
    assert event["text"] == "x" * (event["n"] % 90) * 100, event
    assert event["n"] >= last
    last = event["n"]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file, which is not there yet."""
    return tmp_path / "job_latest.json"


def put(path: Path, text: str, *, alone: bool = True) -> None:
    """Have it hold this."""
    replace(str(path), text.encode(), alone=alone)


def has_leases(directory: Path) -> bool:
    """Whether the file system the tests run on knows leases; overlays may not."""
    with (directory / "tried").open("w") as file:
        try:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError:
            return False
    return True


def test_it_holds_what_it_was_given_last(path: Path) -> None:
    """Longer or shorter than before; two files take turns."""
    numbers = []
    for text in ("one", "a much longer one", "", "short", "x" * 10_000, "end"):
        put(path, text)
        assert path.read_text() == text
        numbers.append(path.stat().st_ino)
        assert path.stat().st_mode & 0o777 == 0o600
    assert len(os.listdir(path.parent)) == 2
    if has_leases(path.parent):
        assert numbers[1] == numbers[3] == numbers[5]


def test_who_has_it_open_reads_what_it_held(path: Path) -> None:
    """However often it is replaced meanwhile."""
    put(path, "zero")
    put(path, "one")
    with path.open() as slow:
        for number in range(5):
            put(path, f"later {number}")
        assert slow.read() == "one"
    assert path.read_text() == "later 4"


def test_another_name_for_it_keeps_what_it_was_for(path: Path) -> None:
    """Such as a backup has that is made of links."""
    put(path, "zero")
    put(path, "one")
    os.link(path, path.parent / "backup")
    for number in range(5):
        put(path, f"later {number}")
    assert (path.parent / "backup").read_text() == "one"


def test_who_is_not_alone_makes_a_new_file(path: Path) -> None:
    """What others may be writing over just now is left alone."""
    put(path, "one")
    put(path, "two")
    spare = path.parent / ".job_latest.json.spare"
    put(path, "three", alone=False)
    assert (path.read_text(), spare.read_text()) == ("three", "one")


def test_a_file_that_is_leased_to_another(path: Path) -> None:
    """Nobody waits for it."""
    put(path, "one")
    put(path, "two")
    put(path, "three")
    command = """\
import fcntl, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = open(sys.argv[1], "r+")
try:
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
except OSError:
    pass  # that it is open is enough
print("held", flush=True)
sys.stdin.read()
"""
    spare = path.parent / ".job_latest.json.spare"
    with subprocess.Popen(
        [sys.executable, "-c", command, str(spare)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        put(path, "four")
        assert path.read_text() == "four"
        other.communicate(b"")


def test_who_is_told_of_a_reader_lives_on(path: Path) -> None:
    """The signal that comes when another opens the file meanwhile does nothing."""
    path.write_text("one")
    with path.open("r+") as file:
        if not _is_ours_alone(file.fileno()):
            assert not has_leases(path.parent)
            return
        with subprocess.Popen([sys.executable, "-c", f"open({str(path)!r})"]) as other:
            end = monotonic() + PATIENCE
            while fcntl.fcntl(file, fcntl.F_GETLEASE) == fcntl.F_WRLCK:
                assert monotonic() < end
            file.close()
        assert other.returncode == 0


def test_a_file_system_without_leases(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a new file each time."""

    def unknown(*_: object) -> None:
        raise OSError("no leases here")

    monkeypatch.setattr(fcntl, "fcntl", unknown)
    for text in ("one", "two", "three"):
        put(path, text)
        assert path.read_text() == text


@pytest.mark.parametrize("name", [".job_latest.json.spare", ".job_latest.json.spare.next"])
def test_what_a_killed_process_left(path: Path, name: str) -> None:
    """Half of an event, or a name too many, is in nobody's way."""
    put(path, "one")
    put(path, "two")
    (path.parent / name).write_text('{"half')
    for text in ("three", "four"):
        put(path, text)
        assert path.read_text() == text
    assert sorted(os.listdir(path.parent)) == [".job_latest.json.spare", "job_latest.json"]


def test_a_file_that_somebody_removed(path: Path) -> None:
    """It is there again."""
    for text in ("one", "two", "three"):
        put(path, text)
    path.unlink()
    for text in ("four", "five", "six"):
        put(path, text)
        assert path.read_text() == text


def test_writers_of_both_kinds(path: Path) -> None:
    """One that is alone, as it thinks, and one that had no turn, as fast as they can."""
    command = """\
import sys
from tidings.state_files.replacing import replace
print("begun", flush=True)
for number in range(500):
    replace(sys.argv[1], b'{"n": 0, "text": ""}', alone=False)
"""
    with subprocess.Popen(
        [sys.executable, "-c", command, str(path)], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        while other.poll() is None:
            put(path, '{"n": 0, "text": ""}')
            assert path.read_text() == '{"n": 0, "text": ""}'
    assert other.returncode == 0


def test_a_link_in_place_of_the_spare(path: Path) -> None:
    """It is not followed."""
    put(path, "one")
    precious = path.parent / "precious"
    precious.write_text("mine")
    (path.parent / ".job_latest.json.spare").symlink_to(precious)
    put(path, "two")
    put(path, "three")
    assert precious.read_text() == "mine"
    assert path.read_text() == "three"


def test_readers_see_whole_events(path: Path) -> None:
    """Two that read all the time, while it is replaced two thousand times."""
    put(path, '{"n": 0, "text": ""}')
    readers = [
        subprocess.Popen([sys.executable, "-c", READER, str(path)], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for reader in readers:
        assert reader.stdout is not None
        reader.stdout.readline()
    for number in range(2000):
        text = "x" * (number % 90) * 100
        put(path, f'{{"n": {number}, "text": "{text}"}}')
    for reader in readers:
        reader.communicate()
        assert reader.returncode == 0
