"""What scitex-events wrote, before us or beside us, is there once, in its place in time."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import tidings
from scitex_events import emit, history, latest
from tests.dropins.scitex.peer import Peer
from tidings.errors import NotAllowed, TransferError
from tidings.integrations import scitex_events as behind
from tidings.state_files.places import places
from tidings.store import open_store
from tidings.testing.elsewhere import PATIENCE
from tidings.transfer import import_events
from tidings.transfer.scitex_events import ScitexFiles, import_scitex_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, the first emit waits for what was there before."""
    monkeypatch.setattr(behind, "_PATIENCE", PATIENCE)


@pytest.fixture
def berlin() -> Iterator[None]:
    """Local time is Berlin's, whatever zone files are here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


def noted(events: list[dict[str, Any]]) -> list[Any]:
    """What their payloads count."""
    return [event["payload"].get("n") for event in events]


@pytest.mark.parametrize("place", ["", "runtime"])
def test_what_was_there_before(events: Path, place: str) -> None:
    """It is read at once, and lies before the first event that is emitted."""
    peer = Peer(events / place)
    for n in range(3):
        peer.emit("job_done", f"2026-03-01T10:00:0{n}.123456", n=n)
    emitted = emit("job_done", "figrecipe", payload={"n": 3})
    assert noted(history()) == [3, 2, 1, 0]
    assert latest() == latest("job_done") == emitted.to_dict()


@pytest.mark.usefixtures("berlin")
def test_times_are_local(peer: Peer) -> None:
    """Its times without offset are this machine's, and are given their offset."""
    peer.emit("job_done", "2026-01-15T12:00:00.000001")
    peer.emit("job_done", "2026-07-15T12:00:00.000001")
    found = [event["timestamp"] for event in history()]
    assert found == ["2026-07-15T12:00:00.000001+02:00", "2026-01-15T12:00:00.000001+01:00"]
    assert tidings.latest() is not None


@pytest.mark.usefixtures("berlin")
def test_an_hour_that_happens_twice(peer: Peer) -> None:
    """When clocks are put back, what was written later and seems earlier is an hour later."""
    clock = ["02:10", "02:50", "02:20", "02:19", "02:45"]
    for n, minute in enumerate(clock):
        second = "55" if minute == "02:19" else "00"  # five seconds late, as with two processes
        peer.emit("job_done", f"2026-10-25T{minute}:{second}.000001", n=n)
    offsets = [event["timestamp"][-6:] for event in reversed(history())]
    assert offsets == ["+02:00", "+02:00", "+01:00", "+01:00", "+01:00"]
    assert import_scitex_events(behind._bus().store)[1:4] == (0, 5, 0)


def test_each_comes_once(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    """However often it is read, by whomever, and whichever way it is imported."""
    caplog.set_level(logging.INFO, "tidings")
    peer.emit("job_done", "2026-03-01T10:00:00.1", n=0)
    peer.emit("job_done", "2026-03-01T10:00:00.1", n=0)
    peer.emit("stats_done", "2026-03-01T10:00:01.1", n=1, p_value=float("nan"))
    assert noted(history()) == [1, 0, 0]
    assert "3 events of scitex-events came from" in caplog.text
    store = behind._bus().store
    ScitexFiles(store).import_new()
    assert import_scitex_events(store).kept == 0
    imported = import_events(store, peer.directory / "history.jsonl")
    assert (imported.kept, imported.known, imported.rejected) == (0, 2, 1)
    assert len(history()) == 3
    assert history()[0]["payload"]["p_value"] is None


def test_what_comes_later(peer: Peer) -> None:
    """Lines of a scitex-events that lives on elsewhere are picked up, cut though it is by it."""
    peer.most = 5
    for n in range(20):
        peer.emit("job_done", f"2026-03-01T10:00:{n:02}.1", n=n)
        if n % 3 == 0:
            emit("stats_done", "figrecipe", payload={"n": 100 + n})
            assert sorted(noted(history(99)))[: n + 1] == list(range(n + 1))
    assert len(history(99)) == 27


def test_between_our_own_lines(events: Path) -> None:
    """Where both write to one file, only theirs are imported, also by the next process."""
    peer = Peer(events)
    for n in range(4):
        emit("job_done", "figrecipe", payload={"n": n})
        peer.emit("stats_done", f"2099-03-01T10:00:0{n}.1", n=10 + n)
        if n == 2:
            behind._inboxes.clear()
    assert noted(history()) == [13, 3, 12, 11, 10, 2, 1, 0]
    text = (events / "history.jsonl").read_text()
    assert len(text.splitlines()) == 8


def test_a_file_that_did_not_change_is_not_read(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is the ledger asked again."""
    peer.emit("job_done", "2026-03-01T10:00:00.1", n=0)
    assert noted(history()) == [0]
    monkeypatch.setattr("tidings.transfer.scitex_events.Reading", None)
    assert noted(history()) == [0]


def test_a_mark_saves_the_next_process_the_work(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on reading where the last one stopped."""
    for n in range(3):
        peer.emit("job_done", f"2026-03-01T10:00:0{n}.1", n=n)
    store = open_store("memory:")
    assert ScitexFiles(store).import_new() == 3
    peer.emit("job_done", "2026-03-01T10:00:03.1", n=3)
    sent: list[int] = []
    append_all = store.append_all

    def noting(batches: Any) -> Any:
        sent.append(len(batches))
        return append_all(batches)

    monkeypatch.setattr(store, "append_all", noting)
    assert ScitexFiles(store).import_new() == 1
    assert sent == [1]


def test_the_newest_of_a_type_that_the_history_lost(peer: Peer) -> None:
    """Its own file still has it."""
    peer.most = 2
    peer.emit("stats_done", "2026-03-01T10:00:00.1", n=0)
    for n in range(1, 4):
        peer.emit("job_done", f"2026-03-01T10:00:0{n}.1", n=n)
    assert sorted(noted(history())) == [0, 2, 3]
    assert noted([latest("stats_done") or {}]) == [0]


def test_the_place_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """scitex-events 0.1.7 writes into the repository it is called in, where that has a place."""
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    (tmp_path / "repository" / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "repository" / "deep")
    place = tmp_path / "repository" / ".scitex" / "events" / "runtime"
    assert places()[-1] == str(place)
    Peer(place).emit("job_done", "2026-03-01T10:00:00.1", n=0)
    assert noted(history()) == [0]


def test_two_names_of_one_place(events: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that leads from its place to ours is not read twice."""
    monkeypatch.chdir(events.parents[1])
    peer.emit("job_done", "2026-03-01T10:00:00.1", n=0)
    for path in peer.directory.iterdir():
        path.rename(events / path.name)
    peer.directory.rmdir()
    peer.directory.symlink_to(".")
    assert places() == [str(events)]
    assert noted(history()) == [0]


def test_lines_that_are_no_events(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    """They are left out and logged, and the others come; a line that is being written waits."""
    peer.emit("job_done", "2026-03-01T10:00:00.1", n=0)
    with (peer.directory / "history.jsonl").open("a") as file:
        file.write('nonsense\n\n[]\n{"type": "x", "timestamp": "then"}\n{"type": "x"}\n')
        file.write('{"type": "x", "timestamp": "9999-12-31T23:59:59", "more": 1}\n{"type": "half')
    assert noted(history()) == [0]
    assert "lines of scitex-events in" in caplog.text
    with (peer.directory / "history.jsonl").open("a") as file:
        file.write('_done", "timestamp": "2026-03-01T10:00:01.1", "payload": {"n": 1}}\n')
    found = history()
    assert noted(found) == [1, 0]
    assert (found[0]["project"], found[0]["status"]) == ("", "unknown")
    assert noted([latest("half_done") or {}]) == [1]


def test_an_old_event_that_comes_late(peer: Peer) -> None:
    """The newest is what happened last, not what was imported last."""
    emitted = emit("job_done", "figrecipe", payload={"n": 1})
    peer.emit("job_done", "2026-03-01T10:00:00.1", n=0)
    assert latest("job_done") == latest() == emitted.to_dict()
    assert len(history()) == 2


def test_an_emit_does_not_wait_for_long(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes its time comes in the background, and is there when somebody reads."""
    peer.emit("job_done", "2026-03-01T10:00:00.1", n=0)
    go_on = threading.Event()
    import_new = ScitexFiles.import_new

    def slow(files: ScitexFiles) -> int:
        assert go_on.wait(PATIENCE)
        return import_new(files)

    monkeypatch.setattr(ScitexFiles, "import_new", slow)
    monkeypatch.setattr(behind, "_PATIENCE", 0.01)
    for n in (1, 2):
        emit("job_done", "figrecipe", payload={"n": n})
    assert [event.payload["n"] for event in behind._bus().history()] == [2, 1]
    go_on.set()
    assert noted(history()) == [0, 2, 1]
    assert noted([latest("job_done") or {}]) == [2]


def test_a_bug_hurts_no_emit(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged."""
    peer.emit("job_done", "2026-03-01T10:00:00.1", n=0)

    def broken(_: ScitexFiles) -> int:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(ScitexFiles, "import_new", broken)
        emit("job_done", "figrecipe", payload={"n": 1})
    assert "please report it" in caplog.text


def test_a_key_that_may_only_emit(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that shows no ledger is not sent the whole history by every process."""
    peer.emit("job_done", "2026-03-01T10:00:00.1", n=0)
    store = open_store("memory:")

    def refused(_: str) -> None:
        raise NotAllowed("this key may only emit")

    monkeypatch.setattr(store, "get", refused)
    files = ScitexFiles(store)
    with pytest.raises(NotAllowed):
        files.import_new()
    assert files.import_new() == 0
    assert store.head() == 0


def test_a_store_that_is_away(
    peer: Peer, away: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No emit fails for it; it comes once the store is back."""
    peer.emit("job_done", "2026-03-01T10:00:00.1", n=0)
    away()
    emitted = emit("job_done", "figrecipe", payload={"n": 1})
    assert history() == [emitted.to_dict()]
    monkeypatch.delenv("TIDINGS_URL")
    assert sorted(noted(history())) == [0, 1]


def test_files_that_cannot_be_read(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and nothing fails."""
    (peer.directory / "history.jsonl").mkdir(parents=True)
    emitted = emit("job_done", "figrecipe")
    assert history() == [emitted.to_dict()]
    assert "cannot be read" in caplog.text


class TestByHand:
    """`tidings import scitex-events [DIR]`."""

    def test_a_directory(self, peer: Peer, tmp_path: Path) -> None:
        """Its own or one above; what became of each line is told."""
        for n in range(3):
            peer.emit("job_done", f"2026-03-01T10:00:0{n}.1", n=n)
        with (peer.directory / "history.jsonl").open("a") as file:
            file.write("nonsense\n")
        shutil.move(peer.directory, tmp_path / "runtime")
        for directory in (tmp_path / "runtime", tmp_path):
            store = open_store("memory:")
            imported = import_scitex_events(store, directory)
            assert (imported.read, imported.kept, imported.known) == (4, 3, 0)
            assert [rejected.line for rejected in imported.reasons] == [4]

    def test_a_directory_of_something_else(self, tmp_path: Path) -> None:
        """It says what is missing."""
        with pytest.raises(TransferError, match=r"neither history\.jsonl nor"):
            import_scitex_events(open_store("memory:"), tmp_path)

    def test_from_the_shell(self, peer: Peer) -> None:
        """Without a directory every place is looked at."""
        peer.emit("job_done", "2026-03-01T10:00:00.1", n=0)
        command = [sys.executable, "-m", "tidings", "import", "scitex-events", "--json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert json.loads(done.stdout)["kept"] == 1
        assert noted(history()) == [0]

    def test_nothing_there(self, own_home: Path) -> None:
        """Nothing is imported, and no directory is made."""
        imported = import_scitex_events(open_store("memory:"))
        assert imported.read == 0
        assert not os.path.exists(own_home / ".scitex")
