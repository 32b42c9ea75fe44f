"""What `tidings run` adds to the way of a command's output: from its write to its reader's read."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from benchmarks.figures import Figure
from benchmarks.rounds import percentile
from benchmarks.workplace import Workplace

_LINES = 300
_PERCENTILE = 99

# The monotonic clock is one for all processes of a machine.
_SPEAKER = """
import sys, time
for _ in range(int(sys.argv[1])):
    time.sleep(0.003)
    print(time.monotonic(), flush=True)
"""


def measure(workplace: Workplace) -> Iterator[Figure]:
    """Each line holds when it was written; the difference of two medians is what is added."""
    lines = workplace.size(_LINES, 50)
    environment = {**os.environ, "TIDINGS_HOME": workplace.new_directory("home")}
    environment.pop("TIDINGS_URL", None)
    speaker = (sys.executable, "-c", _SPEAKER, str(lines))
    wrapped = (sys.executable, "-m", "tidings", "run", "--", *speaker)
    for what, delays_of in (("a pipe", _through_a_pipe), ("a terminal", _through_a_terminal)):
        direct, ours = (delays_of(command, environment) for command in (speaker, wrapped))
        for percent in (50, _PERCENTILE):
            yield Figure(
                f"what `tidings run` adds to the latency of output to {what}, p{percent}",
                (percentile(ours, percent) - percentile(direct, percent)) * 1e3,
                at_most=5,
                unit="ms",
                detail=f"{percentile(ours, percent) * 1e3:.2f} ms, "
                f"without it {percentile(direct, percent) * 1e3:.2f} ms",
            )


def _through_a_pipe(command: tuple[str, ...], environment: dict[str, str]) -> list[float]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        return _delays(lambda: os.read(descriptor, 4096))


def _through_a_terminal(command: tuple[str, ...], environment: dict[str, str]) -> list[float]:
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            command, stdin=theirs, stdout=theirs, env=environment, start_new_session=True
        ):
            os.close(theirs)
            return _delays(lambda: _read_terminal(ours))
    finally:
        os.close(ours)


def _read_terminal(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""  # the other end is closed (EIO on Linux)


def _delays(read: Callable[[], bytes]) -> list[float]:
    delays, rest = [], b""
    while chunk := read():
        now = time.monotonic()
        *lines, rest = (rest + chunk).replace(b"\r", b"").split(b"\n")
        delays += [now - float(line) for line in lines]
    return delays
