"""State files show whole events to scripts that watch them, and reach nothing else."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.errors import InvalidEvent
from tidings.event import Event
from tidings.state_files import SIX_FIELDS, StateFiles, StateFileWarning, six_fields
from tidings.state_files import history as history_module
from tidings.store.memory import MemoryStore

TYPES = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=255
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory that is not made yet."""
    return tmp_path / "deep" / "state"


def lines(directory: Path) -> list[dict[str, object]]:
    """The events of the history, each line a whole one."""
    return [json.loads(line) for line in (directory / "history.jsonl").read_text().splitlines()]


def shown(directory: Path) -> list[str]:
    """What lies there, but for what was replaced and waits to be written over."""
    return sorted(name for name in os.listdir(directory) if not name.endswith(".spare"))


class TestWrite:
    """The newest event of each type is in its file, every event in the history."""

    def test_latest_and_history(self, directory: Path) -> None:
        """Both hold what `to_dict` says."""
        files = StateFiles(str(directory))
        first, second, other = Event("job", payload=1), Event("job", payload="ü\n"), Event("other")
        for event in (first, second, other):
            files.write(event)
        assert json.loads((directory / "job_latest.json").read_text()) == second.to_dict()
        assert json.loads((directory / "other_latest.json").read_text()) == other.to_dict()
        assert lines(directory) == [event.to_dict() for event in (first, second, other)]

    def test_only_its_owner_can_look_in(self, directory: Path) -> None:
        """Payloads may be confidential."""
        StateFiles(str(directory)).write(Event("job"))
        assert directory.stat().st_mode & 0o777 == 0o700
        assert (directory / "history.jsonl").stat().st_mode & 0o777 == 0o600

    def test_nothing_else_is_left(self, directory: Path) -> None:
        """No temporary file stays behind."""
        StateFiles(str(directory)).write(Event("job"))
        assert shown(directory) == ["history.jsonl", "job_latest.json"]

    def test_what_the_store_took_later_stays(self, directory: Path) -> None:
        """A process that comes late with an older event does not turn the clock back."""
        store, files = MemoryStore(), StateFiles(str(directory))
        (older,), (newer,) = store.append([Event("job")]), store.append([Event("job")])
        files.write(newer)
        files.write(older)
        assert json.loads((directory / "job_latest.json").read_text())["position"] == 2
        assert [event["position"] for event in lines(directory)] == [2, 1]

    def test_a_clock_that_was_ahead_does_not_hold_on(self, directory: Path) -> None:
        """An event taken "in 2100" gives way to the next one."""
        files = StateFiles(str(directory))
        future = Event("job").to_dict() | {"recorded_at": "2100-01-01T00:00:00.000000Z"}
        files.write(Event.from_dict(future))
        (event,) = MemoryStore().append([Event("job")])
        files.write(event)
        assert json.loads((directory / "job_latest.json").read_text()) == event.to_dict()

    @pytest.mark.parametrize("there", ["", "{", "[]", '{"recorded_at": 7}', "\x00"])
    def test_a_broken_file_is_replaced(self, directory: Path, there: str) -> None:
        """What is no event does not keep one out."""
        directory.mkdir(parents=True)
        (directory / "job_latest.json").write_text(there)
        (event,) = MemoryStore().append([Event("job")])
        StateFiles(str(directory)).write(event)
        assert json.loads((directory / "job_latest.json").read_text()) == event.to_dict()


class TestForms:
    """The form of scitex-events holds six fields, written as it writes them."""

    def test_six_fields(self, directory: Path) -> None:
        """Byte by byte what scitex-events 0.1.7 writes, but that times are in UTC."""
        event = Event(
            "job", "p", "failure", {"a": [1, "ü"]}, "hpc", "2026-01-01T00:00:00.000001Z", id="x"
        )
        StateFiles(str(directory), SIX_FIELDS).write(event)
        assert (directory / "job_latest.json").read_text() == (
            '{\n  "type": "job",\n  "project": "p",\n  "status": "failure",\n  "payload": {\n'
            '    "a": [\n      1,\n      "\\u00fc"\n    ]\n  },\n  "source": "hpc",\n'
            '  "timestamp": "2026-01-01T00:00:00.000001Z"\n}\n'
        )
        assert (directory / "history.jsonl").read_text() == (
            '{"type": "job", "project": "p", "status": "failure", '
            '"payload": {"a": [1, "\\u00fc"]}, "source": "hpc", '
            '"timestamp": "2026-01-01T00:00:00.000001Z"}\n'
        )

    @settings(max_examples=30)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    def test_a_page_is_what_json_dumps_writes(self, value: object) -> None:
        """With an indent of two, whatever the payload."""
        try:
            event = Event("job", "p", payload={"value": value, "\u2028": [value]})
        except InvalidEvent:
            return  # a lone surrogate
        assert SIX_FIELDS.page(event) == json.dumps(six_fields(event), indent=2)
        bare = Event("job", payload=event.payload["value"])
        assert SIX_FIELDS.page(bare) == json.dumps(six_fields(bare), indent=2)

    def test_what_happened_later_stays(self, directory: Path) -> None:
        """Without the store's time the event's own decides, if it was written by us."""
        files = StateFiles(str(directory), SIX_FIELDS)
        older, newer = (Event("job", timestamp=f"2026-01-01T00:00:0{n}.000000Z") for n in (1, 2))
        files.write(newer)
        files.write(older)
        assert files.latest("job") == StateFiles(str(directory)).history(2)[1]
        local = dict(json.loads((directory / "job_latest.json").read_text()))
        local["timestamp"] = "2027-01-01T00:00:00.000000"
        (directory / "job_latest.json").write_text(json.dumps(local))
        files.write(older)
        found = files.latest()
        assert found is not None
        assert found["timestamp"] == older.timestamp


class TestReading:
    """What was written is found again, also where half of it is damaged."""

    def test_the_newest_of_all(self, directory: Path) -> None:
        """The file that was changed last, among those that can be read."""
        files = StateFiles(str(directory))
        assert files.latest() is None
        assert files.history(5) == []
        one, other = Event("one"), Event("../other")
        files.write(one)
        files.write(other)
        os.utime(files.path_of("one"), ns=(0, 5 * 10**9))
        os.utime(files.path_of("../other"), ns=(0, 7 * 10**9))
        assert files.latest() == files.latest("../other") == other.to_dict()
        Path(files.path_of("../other")).write_text("{")
        os.utime(files.path_of("../other"), ns=(0, 9 * 10**9))
        assert files.latest() == one.to_dict()

    def test_the_last_lines(self, directory: Path) -> None:
        """Newest first, across blocks of the file, without what is no event."""
        files = StateFiles(str(directory))
        events = [Event("job", payload="x" * 30_000 * n) for n in range(5)]
        for event in events:
            files.write(event)
            with (directory / "history.jsonl").open("a") as file:
                file.write("nonsense\n[]\n\n")
        expected = [event.to_dict() for event in reversed(events)]
        assert files.history(99) == expected
        assert files.history(3) == expected[:3]
        assert files.history(0) == []


class TestNames:
    """A type names a file of its own in the directory, whatever it is called."""

    @pytest.mark.parametrize(
        "hostile", ["../../x", "/etc/passwd", "..", ".", "a/b", "a\\b", "é", "~", "%2F", "x" * 255]
    )
    def test_a_hostile_type_stays_inside(self, directory: Path, hostile: str) -> None:
        """One file for the type and the history, and nothing above."""
        files = StateFiles(str(directory))
        files.write(Event(hostile))
        assert Path(files.path_of(hostile)).parent == directory
        assert len(shown(directory)) == 2
        assert os.listdir(directory.parent) == ["state"]

    @given(TYPES)
    def test_any_type_has_a_plain_name(self, event_type: str) -> None:
        """A name is ASCII without slashes, not hidden, and fits a file name."""
        name = StateFiles("state").path_of(event_type).removeprefix("state/")
        assert name.isascii()
        assert name.isprintable()
        assert "/" not in name
        assert not name.startswith(".")
        assert len(name) <= 255

    @given(TYPES, TYPES)
    def test_two_types_never_share_a_file(self, one: str, other: str) -> None:
        """Different types have different names."""
        files = StateFiles("state")
        assert (files.path_of(one) == files.path_of(other)) == (one == other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [("a/b", "a%2Fb"), (".a", "%2Ea"), ("é" * 250, "é" * 251), ("x" * 254, "x" * 255)],
    )
    def test_types_that_look_alike(self, one: str, other: str) -> None:
        """Neither the encoding nor the cut makes two types one."""
        files = StateFiles("state")
        assert files.path_of(one) != files.path_of(other)
        long = files.path_of(other).removeprefix("state/").removesuffix("_latest.json")
        assert files.path_of(long) != files.path_of(other)


class TestTogether:
    """Many processes of one machine share the files."""

    def test_lines_stay_whole(self, directory: Path) -> None:
        """Six processes with lines of up to 200 kB: each line is whole, none is missing."""
        code = (
            "import sys; from tidings.event import Event; from tidings.state_files import *\n"
            "for n in range(30): StateFiles(sys.argv[1]).write(\n"
            "    Event('job', payload={'text': sys.argv[2] * 8000 * (n % 25), 'n': n}))"
        )
        writers = [
            subprocess.Popen([sys.executable, "-W", "error", "-c", code, str(directory), letter])
            for letter in "abcdef"
        ]
        while any(writer.poll() is None for writer in writers):
            if (directory / "job_latest.json").exists():
                assert json.loads((directory / "job_latest.json").read_text())["type"] == "job"
        assert [writer.returncode for writer in writers] == [0] * 6
        assert StateFiles(str(directory)).collect() == 0
        assert len({event["id"] for event in lines(directory)}) == 180

    def test_a_torn_line_spoils_no_other(self, directory: Path) -> None:
        """After a writer that was killed within its line, the next line stands for itself."""
        files = StateFiles(str(directory))
        files.write(Event("job"))
        with (directory / "history.jsonl").open("a") as file:
            file.write('{"type": "torn')
        files.write(Event("after"))
        lines = (directory / "history.jsonl").read_text().split("\n")
        assert [line[:14] for line in lines] == [
            '{"type":"job",',
            '{"type": "torn',
            '{"type":"after',
            "",
        ]


class TestFailure:
    """What cannot be written is said; the event is kept elsewhere, so nothing is raised."""

    def test_a_file_where_the_directory_should_be(self, tmp_path: Path) -> None:
        """The warning names the path."""
        (tmp_path / "state").write_text("mine")
        with pytest.warns(StateFileWarning, match=f"{tmp_path}/state"):
            StateFiles(str(tmp_path / "state")).write(Event("job"))
        assert (tmp_path / "state").read_text() == "mine"

    def test_a_disk_that_takes_no_more(self, directory: Path) -> None:
        """Half a line is taken back, and the newest event stays the one before."""
        code = (
            "import resource, sys, warnings; from tidings.event import Event\n"
            "from tidings.state_files import *\n"
            "files = StateFiles(sys.argv[1]); files.write(Event('job', payload=1))\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
            "files.write(Event('job', payload='x' * 9000))"
        )
        command = [sys.executable, "-c", code, str(directory)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "StateFileWarning" in done.stderr
        assert [event["payload"] for event in lines(directory)] == [1]
        assert json.loads((directory / "job_latest.json").read_text())["payload"] == 1
        assert len(shown(directory)) == 2

    def test_a_lock_that_is_never_released(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A process that was stopped in its turn holds up another once, and no line is lost."""
        files = StateFiles(str(directory))
        first, second, third, fourth = (Event("job", payload=n) for n in range(4))
        files.write(first)
        waited: list[float] = []
        lock = history_module._lock

        def noting(file: int, seconds: float) -> bool | None:
            waited.append(seconds)
            return lock(file, 0)

        monkeypatch.setattr(history_module, "_lock", noting)
        with (directory / "history.jsonl").open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert files.write(second)
            assert files.write(third)
        assert [0 < seconds < 1 for seconds in waited] == [True, False]
        assert lines(directory) == [first.to_dict()]
        assert files.history(2) == [third.to_dict(), second.to_dict()]
        assert files.latest("job") == third.to_dict()
        assert files.write(fourth)
        assert lines(directory) == [event.to_dict() for event in (first, second, third, fourth)]
        assert shown(directory) == ["history.jsonl", "job_latest.json"]

    def test_a_file_system_without_locks(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the system knows no locks, a lock file does it."""

        def unknown(*_: object) -> None:
            raise OSError(errno.ENOLCK, "no locks available")

        monkeypatch.setattr(fcntl, "flock", unknown)
        assert StateFiles(str(directory)).write(Event("job"))
        assert len(lines(directory)) == 1
        assert shown(directory) == ["history.jsonl", "job_latest.json"]
