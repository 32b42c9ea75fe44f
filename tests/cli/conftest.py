"""The real command in a process of its own, and a real terminal for it to sit at."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import termios
from typing import TYPE_CHECKING, Any

import pytest

from tidings.bus import Bus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tidings.event import Event

COMMAND = [sys.executable, "-m", "tidings"]
PATIENCE = 60
"""How long anything may take before a test fails instead of hanging (seconds)."""

# The command with a short deadline for locks, and patience for what only takes its time.
PATIENT = [
    sys.executable,
    "-c",
    "from tidings.cli import main, patience; patience.SPARE = 60.0; main()",
]

# Makes the terminal among the standard streams the controlling one, then becomes the command.
SEATED = (
    "import fcntl, os, sys, termios; os.setsid(); "
    "fcntl.ioctl(next(filter(os.isatty, range(3))), termios.TIOCSCTTY, 0); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)


class Shell:
    """Runs `tidings` with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url = f"sqlite:///{home}/events.db"
        self.spool = home / "spool"
        # With the deadline of a second, what a slow machine emits may wait in the spool instead.
        self.environment = {
            **os.environ,
            "TIDINGS_HOME": str(home),
            "TIDINGS_DEADLINE": str(PATIENCE),
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def __call__(
        self,
        *arguments: str,
        stdin: bytes = b"",
        command: Sequence[str] = COMMAND,
        **environment: str,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end, with pipes for its streams."""
        return subprocess.run(
            [*command, *arguments],
            input=stdin,
            capture_output=True,
            env={**self.environment, **environment},
            timeout=PATIENCE,
            check=False,
        )

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command, with pipes for its streams where the options name none."""
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        environment = {**self.environment, **options.pop("env", {})}
        process = subprocess.Popen([*COMMAND, *arguments], env=environment, **{**pipes, **options})
        self._started.append(process)
        return process

    def close(self) -> None:
        """End what was started and still runs."""
        for process in self._started:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    def json(self, *arguments: str) -> list[dict[str, Any]]:
        """The lines a command prints, decoded; it must succeed."""
        done = self(*arguments)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def events(self) -> list[Event]:
        """What the store holds, oldest first."""
        with Bus(self.url) as bus:
            return list(bus.read())


class Terminal:
    """A real terminal with a process that is seated at it."""

    def __init__(self, command: list[str], environment: dict[str, str], **streams: int) -> None:
        self.descriptor, self.other_end = os.openpty()
        termios.tcsetwinsize(self.other_end, (24, 80))
        self.found = self.modes()
        """The modes it was in before anybody sat at it."""
        given = {**dict.fromkeys(("stdin", "stdout", "stderr"), self.other_end), **streams}
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-c", SEATED, *command],
            env=environment,
            stdin=given["stdin"],
            stdout=given["stdout"],
            stderr=given["stderr"],
        )
        self._seen = b""

    def until(self, text: bytes) -> bytes:
        """What is shown up to this text, which must come."""
        while text not in self._seen:
            ready, _, _ = select.select([self.descriptor], [], [], PATIENCE)
            assert ready, f"{text!r} did not come, only {self._seen!r}"
            self._seen += os.read(self.descriptor, 65536)
        shown, found, self._seen = self._seen.partition(text)
        return shown + found

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.descriptor, keys)

    def modes(self) -> list[Any]:
        """The modes the terminal is in."""
        return termios.tcgetattr(self.other_end)

    def ended(self) -> int:
        """Wait for the process to end; its exit code."""
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """Hang up."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.other_end)
        os.close(self.descriptor)


@pytest.fixture
def shell(own_home: Path) -> Iterator[Shell]:
    """A shell whose store is empty."""
    opened = Shell(own_home / "tidings")
    yield opened
    opened.close()


@pytest.fixture
def seat(shell: Shell) -> Iterator[Any]:
    """Seats a command at a new terminal; hung up when the test ends."""
    terminals: list[Terminal] = []

    def seated(*command: str, **streams: int) -> Terminal:
        terminals.append(Terminal(list(command), {**shell.environment, "TERM": "xterm"}, **streams))
        return terminals[-1]

    yield seated
    for terminal in terminals:
        terminal.close()
