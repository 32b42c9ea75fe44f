"""An emit under the name `scitex_events` leaves its event somewhere, or its caller is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

import tidings
from scitex_events import emit, get_type_info, history, latest, list_types
from tidings.errors import InvalidEvent, NotKept
from tidings.integrations.scitex_events import KeptInFilesOnly
from tidings.state_files import StateFileWarning

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WRITER = """\
import sys
from scitex_events import emit
print("begun", flush=True)
for n in range(int(sys.argv[2])):
    emit("job_done", sys.argv[1], payload={"n": n, "text": "x" * (n % 7) * 1000})
"""


def test_another_directory(tmp_path: Path, events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`SCITEX_DIR` moves the state files, also within a process."""
    emit("job_done", "figrecipe")
    monkeypatch.setenv("SCITEX_DIR", str(tmp_path / "elsewhere"))
    emit("job_done", "figrecipe")
    for directory in (events, tmp_path / "elsewhere" / "events"):
        assert len((directory / "history.jsonl").read_text().splitlines()) == 1
    assert len(history()) == 2


def test_state_files_that_cannot_be_written(events: Path) -> None:
    """The event is kept all the same, and the caller is told."""
    events.parent.mkdir()
    events.write_text("mine")
    with pytest.warns(StateFileWarning, match="not a directory|Not a directory|File exists"):
        event = emit("job_done", "figrecipe")
    assert latest() == event.to_dict()
    assert events.read_text() == "mine"


def test_a_store_that_is_away(
    own_home: Path, away: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events wait in the spool and are read from the files, and come into the store later."""
    before = emit("job_done", "figrecipe")
    away()
    emitted = [emit("job_done", "figrecipe", payload={"n": n}).to_dict() for n in range(3)]
    assert latest() == latest("job_done") == emitted[-1]
    assert latest("stats_done") is None
    assert history(2) == [emitted[2], emitted[1]]
    assert "job_done" in list_types()
    assert get_type_info("job_done")["payload_keys"] == ["job_id", "host", "state"]
    monkeypatch.delenv("TIDINGS_URL")
    assert history() == [*reversed(emitted), before.to_dict()]
    assert not os.listdir(own_home / ".tidings" / "spool" / "new")


def test_a_home_on_a_network_file_system(
    own_home: Path, events: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is a shared directory, and the history is appended to by a lock file."""
    # Loaded before: a module that is loaded in here would keep what it finds for all later tests.
    for module in ("replicated.placing", "shared.inspecting", "sqlite.connections"):
        import_module(f"tidings.store.{module}")
    for module in ("filesystems", "state_files.history"):
        monkeypatch.setattr(f"tidings.{module}.network_file_system", lambda _: "nfs4")
    monkeypatch.setenv("TIDINGS_CACHE", str(own_home / "cache"))
    emitted = [emit("job_done", "figrecipe", payload={"n": n}).to_dict() for n in range(2)]
    assert (own_home / ".tidings" / "shared").is_dir()
    assert history() == emitted[::-1]
    assert latest() == emitted[1]
    assert sorted(os.listdir(events)) == ["history.jsonl", "job_done_latest.json"]
    assert len((events / "history.jsonl").read_text().splitlines()) == 2


def test_neither_store_nor_spool(
    own_home: Path, away: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state files still have it, and the caller is told that nothing else has."""
    away()
    monkeypatch.setenv("TIDINGS_SPOOL", str(own_home / "away"))
    with pytest.warns(KeptInFilesOnly, match="could not be kept in the spool") as told:
        event = emit("job_done", "figrecipe")
    assert told[0].filename == __file__
    assert latest() == event.to_dict()
    assert history() == [event.to_dict()]


def test_nowhere_at_all(
    own_home: Path, events: Path, away: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It raises."""
    away()
    monkeypatch.setenv("TIDINGS_SPOOL", str(own_home / "away"))
    events.parent.mkdir()
    events.write_text("mine")
    with pytest.warns(StateFileWarning), pytest.raises(NotKept, match="spool"):
        emit("job_done", "figrecipe")


def test_numbers_that_are_none() -> None:
    """scitex-events writes them although JSON has no word for them; they become null."""
    nan, infinite = float("nan"), float("inf")
    event = emit("stats_done", "figrecipe", payload={"p_value": nan, "list": [1, infinite]})
    assert event.payload == {"p_value": None, "list": [1, None]}
    assert (latest() or {})["payload"] == event.payload


@pytest.mark.parametrize("payload", [{"at": object()}, {"text": "x" * 2_000_000}, ["no object"]])
def test_what_is_no_payload(events: Path, payload: Any) -> None:
    """It is refused with a reason, and nothing is written."""
    with pytest.raises(InvalidEvent, match="payload"):
        emit("job_done", "figrecipe", payload=payload)
    assert history() == []
    assert not events.exists()


def test_events_of_others_are_shown(events: Path) -> None:
    """One store holds what every name emits; what Tidings says of itself is left out."""
    mine = emit("job_done", "figrecipe")
    theirs = tidings.emit("job_done", "other", payload={"n": 1})
    tidings.emit("tidings.watch.missed", "other")
    found = latest()
    assert found is not None
    assert (found["project"], found["timestamp"]) == ("other", theirs.timestamp)
    assert [event["project"] for event in history()] == ["other", "figrecipe"]
    assert (events / "history.jsonl").read_text() == json.dumps(mine.to_dict()) + "\n"


def test_processes_together(lines: Callable[[], list[dict[str, Any]]]) -> None:
    """Of eight processes that emit at once every line is whole and every event is there."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WRITER, f"p{number}", "100"],
            stdout=subprocess.DEVNULL,
        )
        for number in range(8)
    ]
    assert [writer.wait() for writer in writers] == [0] * 8
    collected = subprocess.run([sys.executable, "-m", "tidings", "collect"], check=False)
    assert collected.returncode == 0
    expected = {(f"p{number}", n) for number in range(8) for n in range(100)}
    for found in (lines(), history(1000)):
        assert len(found) == 800
        assert {(event["project"], event["payload"]["n"]) for event in found} == expected
    newest = latest("job_done")
    assert newest is not None
    assert newest["payload"]["n"] == 99


def test_lines_that_wait_are_collected(
    tmp_path: Path, events: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tidings collect` appends what writers without a turn left, in both directories."""
    monkeypatch.setenv("TIDINGS_STATE_DIR", str(tmp_path / "state"))
    for directory in (events, tmp_path / "state"):
        (directory / ".history.waiting").mkdir(parents=True)
        (directory / ".history.waiting" / "1.json").write_text('{"type": "one"}\n')
    subprocess.run([sys.executable, "-m", "tidings", "collect"], check=True, capture_output=True)
    for directory in (events, tmp_path / "state"):
        assert os.listdir(directory) == ["history.jsonl"]
        assert (directory / "history.jsonl").read_text() == '{"type": "one"}\n'


def test_a_process_that_is_killed(events: Path) -> None:
    """Wherever it was, the next line is whole, and no event of it is in the files alone."""
    for project in ("one", "other"):
        command = [sys.executable, "-c", WRITER, project, "1000000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            newest = latest("job_done")
            while newest is None or newest["project"] != project or newest["payload"]["n"] < 5:
                assert writer.poll() is None
                newest = latest("job_done")
            writer.kill()
        event = emit("stats_done", "after")
        text = (events / "history.jsonl").read_text()
        assert text.endswith("\n" + json.dumps(event.to_dict()) + "\n")
    kept = {event["timestamp"] for event in history(1_000_000)}
    for line in text.splitlines():
        try:
            assert json.loads(line)["timestamp"] in kept
        except ValueError:
            continue  # the line it was killed in


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child(lines: Callable[[], list[dict[str, Any]]]) -> None:
    """It emits like its parent."""
    emit("job_done", "parent")
    child = os.fork()
    if child == 0:
        try:
            emit("job_done", "child")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert [line["project"] for line in lines()] == ["parent", "child"]
    assert [event["project"] for event in history()] == ["child", "parent"]
