"""The history on a network file system: whole lines by a lock file, whoever is killed."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tidings import processes
from tidings.event import Event
from tidings.state_files import StateFiles, StateFileWarning, history, lock_file, waiting
from tidings.state_files.lock_file import LockFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

WRITER = """\
import sys
from tidings.event import Event
from tidings.state_files import StateFiles, history
history.network_file_system = lambda path: "nfs4"
files = StateFiles(sys.argv[1])
for n in range(25):
    assert files.write(Event("job", payload={"text": sys.argv[2] * 2000 * (n % 9), "n": n}))
"""

HOLDER = """\
import sys
from tidings.state_files.lock_file import LockFile
lock = LockFile(sys.argv[1])
if sys.argv[2] == "break":
    lock._ensure_own()
    open(lock._breaking, "xb").write(lock._who())
    print("held", flush=True)
    sys.stdin.read()
with lock.held(0, lambda: None) as is_held:
    print("held" if is_held else "not held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that lies on a network file system, as far as the state files know."""
    monkeypatch.setattr(history, "network_file_system", lambda _: "nfs4")
    return tmp_path / "state"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only the test moves."""
    seconds = [1000.0]
    monkeypatch.setattr(lock_file, "_now", lambda: seconds[0])
    return seconds


def lines(directory: Path) -> list[object]:
    """The payloads in the history, each line a whole one."""
    text = (directory / "history.jsonl").read_text()
    return [json.loads(line)["payload"] for line in text.splitlines()]


def names(directory: Path) -> list[str]:
    """What lies there beside the history and the newest event."""
    return sorted({*os.listdir(directory)} - {"history.jsonl", "job_latest.json"})


@contextmanager
def holder(directory: Path, what: str = "lock") -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock, or the second one that is for breaking it."""
    directory.mkdir(exist_ok=True)
    command = [sys.executable, "-c", HOLDER, str(directory / ".history.lock"), what]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def elsewhere(directory: Path, turn: str = "its") -> bytes:
    """A lock that a process of another machine holds."""
    told = json.loads(processes.identity()) | {"kernel": "another", "token": turn, "pid": 7}
    said = f"{json.dumps(told)}\n1\n".encode()
    directory.mkdir(exist_ok=True)
    (directory / ".history.lock").write_bytes(said)
    return said


def test_lines_stay_whole(directory: Path) -> None:
    """Six processes: each line is whole, none is missing or repeated, nothing else is left."""
    writers = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", WRITER, str(directory), letter])
        for letter in "abcdef"
    ]
    assert [writer.wait() for writer in writers] == [0] * 6
    assert StateFiles(str(directory)).collect() == 0
    assert len(lines(directory)) == 150
    assert len({json.dumps(payload) for payload in lines(directory)}) == 6 * 22 + 3
    assert names(directory) == []


def test_a_holder_that_was_killed(directory: Path) -> None:
    """The next writer has its turn at once."""
    files = StateFiles(str(directory))
    with holder(directory) as process:
        process.kill()
        process.wait()
        assert files.write(Event("job", payload=1))
    assert lines(directory) == [1]
    assert names(directory) == []


def test_a_holder_that_is_stopped(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who lives is not robbed; others wait for it once, and their lines come in their order."""
    files = StateFiles(str(directory))
    waited: list[float] = []
    held = LockFile.held

    def noting(
        lock: LockFile, seconds: float, make: Callable[[], None]
    ) -> AbstractContextManager[bool]:
        waited.append(seconds)
        return held(lock, 0.0, make)

    monkeypatch.setattr(LockFile, "held", noting)
    with holder(directory) as process:
        assert files.write(Event("job", payload=1))
        assert files.write(Event("job", payload=2))
        monkeypatch.setattr(history, "_COLLECT_PATIENCE", 0.0)
        assert files.collect() == 2
        assert [seconds > 0 for seconds in waited] == [True, False, False]
        assert not (directory / "history.jsonl").exists()
        process.communicate("")
    files.write(Event("job", payload=3))
    assert lines(directory) == [1, 2, 3]
    assert names(directory) == []


def test_a_holder_of_another_machine(directory: Path, clock: list[float]) -> None:
    """One that shows no change for half a minute is dead; who only hurries by cannot tell."""
    elsewhere(directory)
    files = StateFiles(str(directory))
    for payload in (1, 2):
        files.write(Event("job", payload=payload))
        clock[0] += 20
    assert not (directory / "history.jsonl").exists()
    files.write(Event("job", payload=3))
    assert lines(directory) == [1, 2, 3]
    assert names(directory) == []


def test_turns_of_another_machine_are_told_apart(directory: Path, clock: list[float]) -> None:
    """A lock that is held by ever other turns is alive, however long that goes on."""
    files = StateFiles(str(directory))
    for turn in range(5):
        elsewhere(directory, f"turn {turn}")
        files.write(Event("job", payload=turn))
        clock[0] += 20
    assert not (directory / "history.jsonl").exists()


def test_an_old_lock_need_not_be_watched_for_long(directory: Path, clock: list[float]) -> None:
    """A lock file older than a minute is that of a dead one, if nothing changes for two seconds."""
    elsewhere(directory)
    os.utime(directory / ".history.lock", (1, 1))
    files = StateFiles(str(directory))
    files.write(Event("job", payload=1))
    assert not (directory / "history.jsonl").exists()
    clock[0] += 3
    files.write(Event("job", payload=2))
    assert lines(directory) == [1, 2]


def test_an_empty_lock(directory: Path, clock: list[float]) -> None:
    """One who was killed before it could say who it is does not keep the lock for good."""
    directory.mkdir()
    (directory / ".history.lock").touch()
    files = StateFiles(str(directory))
    files.write(Event("job", payload=1))
    clock[0] += 31
    files.write(Event("job", payload=2))
    assert lines(directory) == [1, 2]


def test_two_who_saw_the_same_dead_holder(directory: Path) -> None:
    """The later of them does not take away the lock of the earlier."""
    dead = elsewhere(directory)
    one, other = (
        LockFile(str(directory / ".history.lock")),
        LockFile(str(directory / ".history.lock")),
    )
    one._ensure_own()
    other._ensure_own()
    assert one._take_away(dead)
    with one.held(0, lambda: None) as is_held:
        assert is_held
        assert not other._take_away(dead)
        with other.held(0, lambda: None) as is_robbed:
            assert not is_robbed
    assert names(directory) == []


def test_who_breaks_a_lock_may_be_killed_too(directory: Path) -> None:
    """Its second lock is found to be that of a dead one as well."""
    with holder(directory) as process:
        process.kill()
        process.wait()
    with holder(directory, "break") as process:
        process.kill()
        process.wait()
    files = StateFiles(str(directory))
    assert files.write(Event("job", payload=1))
    assert files.write(Event("job", payload=2))
    assert lines(directory) == [1, 2]
    assert names(directory) == []


def test_who_breaks_a_lock_is_left_alone_while_it_lives(directory: Path) -> None:
    """A dead holder's lock stays while another is about to take it away."""
    with holder(directory) as process:
        process.kill()
        process.wait()
    with holder(directory, "break"):
        lock = LockFile(str(directory / ".history.lock"))
        with lock.held(0, lambda: None) as is_held:
            assert not is_held


def test_who_comes_back_late(directory: Path, clock: list[float]) -> None:
    """A holder that was stopped in its turn does not write: the lock may be another's by now."""
    files = StateFiles(str(directory))
    line = b'{"payload": "late"}\n'
    with files._history.turn() as turn:
        clock[0] += 60
        mine = (directory / ".history.lock").read_bytes()
        (directory / ".history.lock").unlink()
        theirs = elsewhere(directory)
        turn.append(line)
    assert mine != theirs == (directory / ".history.lock").read_bytes()
    assert (directory / "history.jsonl").read_bytes() == b""
    (directory / ".history.lock").unlink()
    assert files.collect() == 0
    assert lines(directory) == ["late"]


def test_who_comes_back_late_and_was_not_missed(directory: Path, clock: list[float]) -> None:
    """Its lock goes with it."""
    files = StateFiles(str(directory))
    with files._history.turn() as turn:
        clock[0] += 60
        turn.append(b'{"payload": "late"}\n')
    assert names(directory) == [".history.waiting"]
    assert files.collect() == 0
    assert names(directory) == []


def test_a_writer_killed_after_it_appended_for_others(directory: Path) -> None:
    """A line that waits and was appended already is not appended again."""
    files = StateFiles(str(directory))
    files.write(Event("job", payload="x" * 100_000))
    written = (directory / "history.jsonl").read_bytes()
    for line in (written, b'{"payload": 2}\n'):
        files._history._waiting.put(line)
    files.write(Event("job", payload=3))
    assert lines(directory)[1:] == [2, 3]


def test_a_directory_that_cannot_be_written(tmp_path: Path, directory: Path) -> None:
    """The warning names the path."""
    directory.write_text("mine")
    with pytest.warns(StateFileWarning, match=f"{tmp_path}/state"):
        assert not StateFiles(str(directory)).write(Event("job"))
    assert directory.read_text() == "mine"


def test_many_lines_that_wait(directory: Path) -> None:
    """Each writer appends some of what others left, and a collector all of it, in order."""
    files = StateFiles(str(directory))
    for number in range(450):
        files._history._waiting.put(b'{"payload": %d}\n' % number)
    files.write(Event("job", payload="mine"))
    assert lines(directory) == [*range(200), "mine"]
    assert files.collect() == 0
    assert lines(directory) == [*range(200), "mine", *range(200, 450)]
    assert names(directory) == []


def test_a_lock_that_cannot_be_looked_at(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS says ESTALE of what another machine removes just then: no line is lost for that."""

    def stale(*_: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    elsewhere(directory)
    files = StateFiles(str(directory))
    with monkeypatch.context() as there:
        there.setattr(lock_file, "open", stale, raising=False)
        assert files.write(Event("job", payload=1))
    assert not (directory / "history.jsonl").exists()
    (directory / ".history.lock").unlink()
    assert files.collect() == 0
    assert lines(directory) == [1]


def test_waiting_lines_that_cannot_be_taken_away(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To collect them ends all the same, and appends them once."""
    elsewhere(directory)
    files = StateFiles(str(directory))
    assert files.write(Event("job", payload=1))
    (directory / ".history.lock").unlink()
    monkeypatch.setattr(waiting, "forget", lambda _: None)
    for _ in range(2):
        assert files.collect() == 1
        assert lines(directory) == [1]


def test_nobody_relies_on_a_lock_for_as_long_as_it_takes_to_lose_it() -> None:
    """Where clocks are wrong a holder counts as dead after two seconds; it gives up before."""
    assert min(lock_file._SEEN, lock_file._STALE) >= lock_file._SAFE * 2
