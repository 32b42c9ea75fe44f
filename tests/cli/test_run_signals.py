"""`tidings run` and signals: each reaches the command once, and the end is recorded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

# Counts the signals it gets; ends, with their number, at the end of its input. A signal also wakes
# its select: one that came just ahead of a read that blocks would be counted when that read ends.
COUNTING = """
import os, select, signal, sys
counts = {}
woken, waking = os.pipe()
os.set_blocking(waking, False)
signal.set_wakeup_fd(waking)
def count(number, frame):
    name = signal.Signals(number).name
    counts[name] = counts.get(name, 0) + 1
    os.write(1, f"{name}\\n".encode())
for name in sys.argv[1:]:
    signal.signal(getattr(signal, name), count)
os.write(1, b"ready\\n")
while 0 not in select.select([0, woken], [], [])[0] or os.read(0, 100):
    pass
sys.exit(sum(counts.values()))
"""


def counting(shell: Shell, *names: str, **options: Any) -> subprocess.Popen[bytes]:
    """A run of the counting command, once it is ready."""
    command = [sys.executable, "-c", COUNTING, *names]
    process = shell.start("run", "--", *command, **options)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.parametrize(
    "name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGALRM"]
)
def test_a_signal_is_passed_on_once(shell: Shell, name: str) -> None:
    """What is sent to the wrapper alone reaches the command, once."""
    process = counting(shell, name)
    process.send_signal(getattr(signal, name))
    assert process.stdout is not None
    assert process.stdout.readline() == f"{name}\n".encode()
    assert process.communicate(timeout=60)[0] == b""
    assert process.returncode == 1
    assert shell.events()[-1].payload["exit_code"] == 1


def test_a_signal_that_ends_the_command_is_its_end(shell: Shell) -> None:
    """After SIGTERM the end event is written, and the code is 143."""
    process = shell.start("run", "--", "sh", "-c", "echo ready; exec sleep 1000")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    assert process.wait(60) == 143
    end = shell.events()[-1]
    assert (end.type, end.status, end.payload["signal"]) == ("run.completed", "failure", "SIGTERM")
    assert end.payload["tail"] == "ready"


def test_a_command_that_answers_a_signal_ends_as_it_wants(shell: Shell) -> None:
    """A trap may clean up, write, and give its own code."""
    line = "trap 'echo cleaned; exit 9' TERM; echo ready; while :; do sleep 0.01; done"
    process = shell.start("run", "--", "sh", "-c", line)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    assert process.communicate(timeout=60)[0] == b"cleaned\n"
    assert process.returncode == 9
    assert shell.events()[-1].payload["tail"] == "ready\ncleaned"


def test_signals_before_the_command_is_there_are_not_lost(shell: Shell) -> None:
    """A signal that comes while the start is still being recorded reaches the command."""
    code = (
        "import os, signal\n"
        "from tidings.cli import main\n"
        "from tidings.cli.run.events import RunEvents\n"
        "begin = RunEvents.started\n"
        "RunEvents.started = lambda self: (os.kill(os.getpid(), signal.SIGTERM), begin(self))\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "sleep", "1000"], env=shell.environment, check=False
    )
    assert done.returncode == 143
    assert [event.type for event in shell.events()] == ["run.started", "run.completed"]


def test_a_command_that_outlives_sigterm_leaves_a_trace(shell: Shell) -> None:
    """Some time after a SIGTERM that did not end it, `run.signaled` is kept; SIGKILL may follow."""
    # Kept once the command has answered, however long that takes here.
    code = (
        "from time import sleep\n"
        "from tidings.cli import main, run\n"
        "from tidings.cli.run.events import RunEvents\n"
        "keep = RunEvents.lives_on_after\n"
        "def keep_later(events, name):\n"
        "    while 'stubborn' not in events.tail.text(): sleep(0.01)\n"
        "    keep(events, name)\n"
        "RunEvents.lives_on_after = keep_later\n"
        "run._KILL_PATIENCE = 0.05\n"
        "main()"
    )
    line = "trap 'echo stubborn' TERM; echo ready; while :; do sleep 0.01; done"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", "--", "sh", "-c", line],
        env=shell.environment,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    (event,) = shell.json("wait", "run.signaled", "--after", "0", "--timeout", "60")
    assert event["payload"]["signal"] == "SIGTERM"
    assert event["payload"]["tail"] == "ready\nstubborn"
    start, *_ = shell.events()
    assert (event["aggregate_id"], event["causation_id"]) == (start.aggregate_id, start.id)
    with process:
        os.kill(int(children_of(process.pid)[0]), signal.SIGKILL)
    assert process.returncode == 137


def test_a_killed_wrapper_leaves_the_start(shell: Shell) -> None:
    """SIGKILL of the wrapper cannot be recorded; what was kept before stays whole."""
    process = shell.start("run", "--", "sh", "-c", "echo ready; read x")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    # A command begins without its start, where that takes a store more than a moment.
    shell.json("wait", "run.started", "--after", "0", "--timeout", "60")
    process.kill()
    process.wait(60)
    assert [event.type for event in shell.events()] == ["run.started"]
    assert shell("check").returncode == 0


def test_ignored_signals_stay_ignored(shell: Shell) -> None:
    """Under nohup the command ignores SIGHUP, as without us."""
    plain = "grep SigIgn /proc/self/status"
    line = f'trap "" HUP; {plain}; "{sys.executable}" -m tidings run -- {plain}'
    done = subprocess.run(
        ["sh", "-c", line], env=shell.environment, capture_output=True, check=True
    )
    without, within = (int(line.split()[1], 16) for line in done.stdout.splitlines())
    ours = 0x7FFF_FFFF  # 32 and 33 are the C library's own
    assert without & ours == within & ours


def test_children_can_be_waited_for_where_sigchld_was_ignored(shell: Shell) -> None:
    """A launcher that ignores SIGCHLD does not take the exit code from us."""
    code = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
        "os.execv(sys.executable, [sys.executable, '-m', 'tidings', 'run', 'sh', '-c', 'exit 5'])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=shell.environment, check=False)
    assert done.returncode == 5


def children_of(pid: int) -> list[str]:
    """The process ids of a process's children."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()
