"""`tidings export` and `import`: events out of one store and into another."""

from __future__ import annotations

import gzip
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.transfer.eventuali_files import agent, new_file
from tidings.bus import Bus
from tidings.event import Event

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Shell


@pytest.fixture
def filled(shell: Shell) -> Shell:
    """A store with 25 events of two types."""
    with Bus(shell.url) as bus:
        bus.emit_many([Event(f"type{n % 2}", payload={"n": n, "text": "ü"}) for n in range(25)])
    return shell


@pytest.mark.parametrize("form", ["ndjson", "cloudevents"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_was_exported_can_be_imported(
    filled: Shell, tmp_path: Path, form: str, suffix: str
) -> None:
    """Another store then holds the same events, each once however often it is imported."""
    path = tmp_path / f"events.ndjson{suffix}"
    (said,) = filled.json("export", str(path), "--form", form)
    assert said == {"exported": 25, "position": 25, "path": str(path)}
    assert (path.read_bytes()[:2] == b"\x1f\x8b") is bool(suffix)
    other = f"sqlite:///{tmp_path}/other.db"
    for kept in (25, 0):
        (said,) = filled.json("import", str(path), "--url", other)
        assert (said["kept"], said["known"], said["rejected"]) == (kept, 25 - kept, 0)
    with Bus(other) as bus:
        assert list(bus.read()) == filled.events()


def test_streams_through_a_pipe(filled: Shell, tmp_path: Path) -> None:
    """`export - | import -` works; filters and --after choose."""
    exported = filled("export", "-", "--type", "type1", "--after", "10")
    assert [json.loads(line)["payload"]["n"] for line in exported.stdout.splitlines()] == [
        11, 13, 15, 17, 19, 21, 23,
    ]  # fmt: skip
    assert exported.stderr == b"tidings: 7 events exported; --after 25 goes on from there\n"
    other = f"sqlite:///{tmp_path}/other.db"
    done = filled("import", "-", "--url", other, stdin=exported.stdout)
    assert json.loads(done.stdout)["kept"] == 7


def test_lines_that_are_no_events_are_told(shell: Shell) -> None:
    """Each is named with its number; the rest is kept; exit code 1, or 74 at once with --strict."""
    lines = b'{"type": "a", "id": "1"}\nnonsense\n{"type": "b", "id": "2"}\n'
    done = shell("import", "-", stdin=lines)
    assert done.returncode == 1
    assert done.stderr.startswith(b"tidings: import: line 2: ")
    assert [event.type for event in shell.events()] == ["a", "b"]
    assert shell("import", "-", "--strict", stdin=lines).returncode == 74


def test_files_that_cannot_be_used_are_told(filled: Shell, tmp_path: Path) -> None:
    """A missing, a damaged and an unwritable file exit with 74 and name themselves."""
    damaged = tmp_path / "damaged.gz"
    damaged.write_bytes(gzip.compress(b'{"type": "a"}\n' * 1000)[:-20])
    for arguments in (
        ("import", str(tmp_path / "missing")),
        ("import", str(damaged)),
        ("export", str(tmp_path / "no" / "directory" / "x")),
    ):
        done = filled(*arguments)
        assert done.returncode == 74
        assert arguments[1].encode() in done.stderr


def test_an_eventuali_store_is_imported(shell: Shell, tmp_path: Path) -> None:
    """Its rows are counted; one that is no event is named, and the exit code is then 1."""
    path = new_file(tmp_path / "events.db", agent("agent.started"), {"timestamp": "yesterday"}, {})
    done = shell("import", "eventuali", str(path))
    assert done.returncode == 1
    assert done.stderr.startswith(b"tidings: import: row 2: timestamp")
    assert json.loads(done.stdout) == {"read": 3, "kept": 2, "known": 0, "rejected": 1}
    assert [event.type for event in shell.events()] == ["agent.started", "OrderPlaced"]
    assert shell("import", "eventuali", str(tmp_path / "missing")).returncode == 74


def test_what_is_imported_must_be_said_clearly(shell: Shell, tmp_path: Path) -> None:
    """Wrong usage is told, and nothing was done."""
    for arguments, reason in (
        (("eventuali",), b"FILE is missing"),
        (("eventualli", str(tmp_path)), b"did you mean eventuali?"),
        (("eventuali", str(tmp_path), "--strict"), b"--strict is not for eventuali"),
        (("scitex-events", str(tmp_path), "--form", "ndjson"), b"--form is not for scitex-events"),
    ):
        done = shell("import", *arguments)
        assert done.returncode == 2
        assert reason in done.stderr
    assert not (shell.home / "events.db").exists()


def test_an_export_whose_reader_left_is_no_failure(filled: Shell) -> None:
    """`export - | head` ends quietly."""
    process = filled.start("export", "-")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()


@pytest.mark.usefixtures("filled")
def test_words_at_a_terminal(seat: Any, tmp_path: Path) -> None:
    """At a terminal the result is a sentence."""
    terminal = seat(sys.executable, "-m", "tidings", "export", str(tmp_path / "events.ndjson"))
    terminal.until(b"25 events exported; --after 25 goes on from there")
    assert terminal.ended() == 0
