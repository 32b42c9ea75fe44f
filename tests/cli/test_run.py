"""`tidings run`: the command's streams, code and surroundings, and what its events say."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import PATIENT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Shell
    from tidings.event import Event


def last(shell: Shell) -> Event:
    """The newest event of the store."""
    return shell.events()[-1]


class TestEvents:
    """What is kept of a run."""

    def test_start_and_end_are_about_one_run(self, shell: Shell) -> None:
        """Both events share aggregate and correlation, and the start caused the end."""
        done = shell("run", "--project", "fig", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
        assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
        start, end = shell.events()
        assert (start.type, start.status, end.type, end.status) == (
            "run.started", "", "run.completed", "failure",
        )  # fmt: skip
        assert {start.project, end.project} == {"fig"}
        assert start.aggregate_type == end.aggregate_type == "run"
        assert start.aggregate_id == end.aggregate_id == start.correlation_id == end.correlation_id
        assert (start.version, end.version) == (1, 2)
        assert end.causation_id == start.id
        assert start.payload == {"command": ["sh", "-c", "echo out; echo err >&2; exit 3"]}

    def test_end_says_how_it_went(self, shell: Shell) -> None:
        """Outcome, exit code, duration, memory, and the last lines of both streams."""
        size = 40_000_000
        code = f"x = b'x' * {size}; print('done')"
        assert shell("run", "--type", "test_complete", sys.executable, "-c", code).returncode == 0
        end = last(shell)
        assert (end.type, end.status) == ("test_complete", "success")
        assert end.payload["exit_code"] == 0
        assert "signal" not in end.payload
        assert 0 < end.payload["duration"] < 60
        assert size < end.payload["max_rss"] < 10 * size
        assert end.payload["tail"] == "done"
        assert end.payload["started_at"] <= end.timestamp
        assert end.context["host"]

    def test_a_signal_is_named(self, shell: Shell) -> None:
        """A command that a signal ended gives 128+n, and the signal's name instead of a code."""
        assert shell("run", "--", "sh", "-c", "kill -KILL $$").returncode == 137
        assert last(shell).payload["signal"] == "SIGKILL"
        assert "exit_code" not in last(shell).payload
        assert last(shell).status == "failure"

    def test_tail_is_bounded(self, shell: Shell) -> None:
        """As many lines and bytes as asked for; none of either leaves the tail out."""
        assert shell("run", "--", "seq", "1000").returncode == 0
        assert last(shell).payload["tail"].split() == [str(n) for n in range(981, 1001)]
        shell("run", "--tail-lines", "3", "--", "seq", "1000")
        assert last(shell).payload["tail"] == "998\n999\n1000"
        shell("run", "--tail-bytes", "7", "--", "seq", "1000")
        assert last(shell).payload["tail"] == "9\n1000"
        for none in ("--tail-lines", "--tail-bytes"):
            shell("run", none, "0", "--", "echo", "secret")
            assert "tail" not in last(shell).payload

    def test_children_know_what_they_belong_to(self, shell: Shell) -> None:
        """An event that the command emits belongs to the run, and the start caused it."""
        shell("run", "--", sys.executable, "-m", "tidings", "emit", "inner")
        # By their types: where a store takes its time, the start is not waited for long.
        events = {event.type: event for event in shell.events()}
        start, inner, end = (events[name] for name in ("run.started", "inner", "run.completed"))
        assert len(shell.events()) == 3
        assert inner.correlation_id == start.correlation_id == end.correlation_id
        assert inner.causation_id == start.id

    def test_a_run_in_a_run_belongs_to_the_outer(self, shell: Shell) -> None:
        """The undertaking that is there already is kept, and the outer start caused the inner."""
        tidings = (sys.executable, "-m", "tidings", "run", "--")
        shell("run", "--", *tidings, "true", TIDINGS_CORRELATION_ID="wf")
        starts = [event for event in shell.events() if event.type == "run.started"]
        outer, inner = sorted(starts, key=lambda start: start.causation_id is not None)
        assert {event.correlation_id for event in shell.events()} == {"wf"}
        assert inner.causation_id == outer.id

    def test_any_command_line_can_be_kept(self, shell: Shell) -> None:
        """Arguments that are no UTF-8, or too long, are shortened in the event only."""
        code = "import os, sys; print(len(os.fsencode(sys.argv[1])), len(sys.argv[2]))"
        command = [sys.executable, "-c", code, os.fsdecode(b"caf\xe9"), "x" * 100_000, "more"]
        done = subprocess.run(
            [sys.executable, "-m", "tidings", "run", "--", *command],
            env=shell.environment, capture_output=True, check=True,
        )  # fmt: skip
        assert done.stdout == b"4 100000\n"
        kept = last(shell).payload["command"]
        assert kept[3] == "caf\ufffd"
        assert kept[-1] == "… and 1 more"
        assert sum(map(len, kept)) < 20_000

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ((), b"COMMAND is missing"),
            (("--type", "a\nb", "--", "touch", "{}"), b"control characters"),
            (("--project", "x" * 256, "--", "touch", "{}"), b"at most 255"),
            (("--tail-lines", "-1", "--", "touch", "{}"), b"whole number"),
            (("--tail-bytes", "100001", "--", "touch", "{}"), b"at most 100000"),
        ],
    )
    def test_wrong_usage_runs_nothing(
        self, shell: Shell, tmp_path: Path, arguments: tuple[str, ...], said: bytes
    ) -> None:
        """Wrong usage exits with 2 before anything is run or kept."""
        mark = tmp_path / "mark"
        done = shell("run", *(word.replace("{}", str(mark)) for word in arguments))
        assert done.returncode == 2
        assert said in done.stderr
        assert not mark.exists()
        assert shell.events() == []


class TestNotStarted:
    """A command that cannot be started is an event too."""

    def test_not_found(self, shell: Shell) -> None:
        """127, as in a shell, and the end event says so."""
        done = shell("run", "--", "no-such-command-here", "x")
        assert done.returncode == 127
        assert done.stderr == b"tidings: run: no-such-command-here was not found\n"
        start, end = shell.events()
        assert (end.status, end.payload["exit_code"]) == ("failure", 127)
        assert end.payload["error"] == "was not found"
        assert end.causation_id == start.id

    @pytest.mark.parametrize("kind", ["directory", "no right"])
    def test_not_executable(self, shell: Shell, tmp_path: Path, kind: str) -> None:
        """126, as in a shell."""
        path = tmp_path / "command"
        path.mkdir() if kind == "directory" else path.touch()
        assert shell("run", "--", str(path)).returncode == 126
        assert "cannot be executed" in last(shell).payload["error"]

    def test_a_script_without_an_interpreter_is_for_sh(self, shell: Shell, tmp_path: Path) -> None:
        """What env and timeout hand to sh, run does too, by path and by name."""
        script = tmp_path / "job"
        script.write_text('echo "$#:$1"; exit 5\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        for command, path in ((str(script), ""), ("job", f"{tmp_path}:")):
            done = shell("run", "--", command, "a b", PATH=path + os.environ["PATH"])
            assert (done.returncode, done.stdout) == (5, b"1:a b\n")


class TestStreams:
    """Bytes pass as they are."""

    def test_every_byte_passes(self, shell: Shell) -> None:
        """Ten million bytes of input come out again, and nothing of ours among them."""
        data = os.urandom(10_000_000)
        done = shell("run", "--", "cat", stdin=data)
        assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()
        assert done.stderr == b""
        assert len(last(shell).payload["tail"].encode()) <= 8192

    def test_streams_to_one_place_keep_their_order(self, shell: Shell) -> None:
        """With 2>&1 what was written first is read first."""
        code = "import os\nfor n in range(500): os.write(1 + n % 2, b'%d\\n' % n)"
        process = shell.start("run", "--", sys.executable, "-c", code, stderr=subprocess.STDOUT)
        output, _ = process.communicate(timeout=60)
        assert output.split() == [b"%d" % n for n in range(500)]

    def test_output_comes_while_the_command_runs(self, shell: Shell) -> None:
        """A conversation with the command works line by line."""
        process = shell.start("run", "--", "cat")
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(50):
            process.stdin.write(b"%d\n" % number)
            process.stdin.flush()
            assert process.stdout.readline() == b"%d\n" % number
        process.stdin.close()
        assert process.wait(60) == 0

    def test_a_reader_that_had_enough_breaks_the_commands_pipe(self, shell: Shell) -> None:
        """`run yes | head` ends as `yes | head` does, by SIGPIPE."""
        process = shell.start("run", "--", "yes")
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 128 + signal.SIGPIPE
        assert last(shell).payload["signal"] == "SIGPIPE"

    def test_a_full_disk_under_the_output_does_not_end_the_command(self, shell: Shell) -> None:
        """What cannot be written is told, and the command goes on to its own end."""
        with open("/dev/full", "wb") as full:
            process = shell.start("run", "--", "sh", "-c", "seq 10000; exit 6", stdout=full)
            _, stderr = process.communicate(timeout=60)
        assert process.returncode == 6
        assert b"some of the output could not be written" in stderr
        assert last(shell).payload["tail"].endswith("10000")

    def test_closed_streams_stay_closed(self, shell: Shell) -> None:
        """A command under closed streams finds them closed, and its run is recorded."""
        code = (
            "import os, errno\n"
            "def closed(fd):\n"
            "    try: os.fstat(fd)\n"
            "    except OSError as error: return error.errno == errno.EBADF\n"
            "    return False\n"
            "raise SystemExit(40 + sum(map(closed, range(3))))"
        )
        for closing, count in ((">&-", 1), ("<&- >&- 2>&-", 3), ("", 0)):
            line = f'exec "{sys.executable}" -m tidings run -- "{sys.executable}" -c "$0" {closing}'
            done = subprocess.run(["sh", "-c", line, code], env=shell.environment, check=False)
            assert done.returncode == 40 + count
            assert last(shell).payload["exit_code"] == 40 + count

    def test_what_runs_on_in_the_background_is_not_waited_for(self, shell: Shell) -> None:
        """The run ends with its command, though a child of it still holds the output open."""
        done = shell("run", "--", "sh", "-c", "sleep 1000 & echo $!; exit 4")
        assert done.returncode == 4
        os.kill(int(done.stdout), signal.SIGKILL)
        assert last(shell).payload["exit_code"] == 4

    def test_other_open_files_are_handed_on(self, shell: Shell) -> None:
        """A descriptor that was inherited, such as a make jobserver's, reaches the command."""
        reader, writer = os.pipe()
        code = f"import os; os.write({writer}, b'hello')"
        process = shell.start("run", "--", sys.executable, "-c", code, pass_fds=(writer,))
        os.close(writer)
        process.communicate(timeout=60)
        assert os.read(reader, 100) == b"hello"
        os.close(reader)

    def test_the_command_starts_with_signals_as_we_did(self, shell: Shell) -> None:
        """Nothing is blocked, ignored or caught that was not before, SIGPIPE included."""
        command = ("grep", "^Sig[BIC]", "/proc/self/status")
        plain = subprocess.run(command, capture_output=True, check=True)
        assert signals(shell("run", "--", *command).stdout) == signals(plain.stdout)


def signals(status: bytes) -> list[int]:
    """The sets of signals in lines of proc_pid_status(5), without the C library's own 32 and 33."""
    return [int(line.split()[1], 16) & 0x7FFF_FFFF for line in status.splitlines()]


def test_makes_no_process_of_its_own(shell: Shell) -> None:
    """While the command runs it is our only child, and nobody is left afterwards."""
    code = "import os; print(open(f'/proc/{os.getppid()}/task/{os.getppid()}/children').read())"
    process = shell.start("run", "--", sys.executable, "-c", code)
    output, _ = process.communicate(timeout=60)
    assert len(output.split()) == 1


@pytest.mark.parametrize("kind", ["locked", "directory", "garbage", "no right", "nothing at all"])
class TestTrouble:
    """Promise 4: the command is not hurt, whatever happens to the store."""

    def prepare(self, shell: Shell, kind: str, request: pytest.FixtureRequest) -> None:
        """Make the store (and the spool) unusable."""
        store = shell.home / "events.db"
        shell.home.mkdir(parents=True, exist_ok=True)
        if kind == "locked":
            import sqlite3

            shell("emit", "before")
            connection = sqlite3.connect(store, isolation_level=None)
            connection.execute("BEGIN EXCLUSIVE")
            request.addfinalizer(connection.close)
        elif kind == "garbage":
            store.write_bytes(b"no database " * 1000)
        else:
            store.mkdir()
        if kind == "no right":
            (shell.spool).mkdir()
            (shell.spool / "new").symlink_to("/proc/1/no/such/place")
        elif kind == "nothing at all":
            shell.spool.write_text("in the way")

    def test_streams_and_code_are_the_commands_own(
        self, shell: Shell, kind: str, request: pytest.FixtureRequest
    ) -> None:
        """Output and exit code are untouched, and stderr ends with where the events are."""
        self.prepare(shell, kind, request)
        line = "cat; echo err >&2; exit 7"
        done = shell(
            "run", "--", "sh", "-c", line, stdin=b"in", command=PATIENT, TIDINGS_DEADLINE="0.1"
        )
        assert (done.returncode, done.stdout) == (7, b"in")
        assert done.stderr.startswith(b"err\ntidings: run: ")
        if kind in ("no right", "nothing at all"):
            assert b"kept nowhere" in done.stderr
        else:
            assert b"events wait in" in done.stderr
            assert len(list((shell.spool / "new").iterdir())) == 2

    def test_strict_tells_what_is_lost(
        self, shell: Shell, kind: str, request: pytest.FixtureRequest
    ) -> None:
        """With --strict a command that went well ends with 75 where its events are lost."""
        self.prepare(shell, kind, request)
        lost = kind in ("no right", "nothing at all")
        for word, code in (("true", 75 if lost else 0), ("false", 1)):
            done = shell("run", "--strict", word, command=PATIENT, TIDINGS_DEADLINE="0")
            assert done.returncode == code


def test_a_store_that_hangs_is_given_up(shell: Shell) -> None:
    """A store that never answers holds up neither start nor end for long, and is told of."""
    code = (
        "import os; from tidings.bus import Bus; from tidings.cli import main\n"
        "Bus.emit = lambda self, *_, **__: os.read(os.pipe()[0], 1)  # as a dead file system does\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "sh", "-c", "echo out; exit 9"],
        env={**shell.environment, "TIDINGS_DEADLINE": "0"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (9, b"out\n")
    assert b"the store does not answer" in done.stderr


@pytest.mark.parametrize("most", [8, 9, 10, 11, 12, 14, 16])
def test_a_lack_of_descriptors_does_not_hurt(shell: Shell, most: int) -> None:
    """Where few files may be open the command runs all the same; its tail or events may be lost."""
    line = (
        f'ulimit -n {most}; exec "{sys.executable}" -S -m tidings run -- sh -c "echo out; exit 3"'
    )
    done = subprocess.run(
        ["sh", "-c", line],
        env={**shell.environment, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, b"out\n")


def test_a_setting_that_makes_no_sense_does_not_hurt(shell: Shell) -> None:
    """The command runs, and what is wrong is said."""
    done = shell("run", "echo", "hello", TIDINGS_URL="mysql://nowhere", TIDINGS_DEADLINE="soon")
    assert (done.returncode, done.stdout) == (0, b"hello\n")
    assert b"kept nowhere" in done.stderr


def test_the_outcome_is_recorded_while_nobody_reads_the_output(
    shell: Shell, tmp_path: Path
) -> None:
    """A pager that is left alone holds up the wrapper's end, not the end event."""
    reader, writer = os.pipe()
    mark = tmp_path / "mark"
    os.mkfifo(mark)
    code = (
        f"import sys; sys.stdout.write('x' * 60000); sys.stdout.flush(); open({str(mark)!r}, 'w')"
    )
    options: dict[str, Any] = {"stdout": writer}
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    process = shell.start("run", "--", sys.executable, "-c", code, **options)
    os.close(writer)
    mark.open().close()
    shell.json("wait", "run.completed", "--after", "0", "--timeout", "60")
    assert process.poll() is None
    while os.read(reader, 65536):
        pass
    assert process.wait(60) == 0
    os.close(reader)
