"""How the shell examples of a page are run: as pasted, and as seen on a terminal.

A `sh` block is given to `sh` whole and must succeed; what it exports, and where it goes, holds for
the rest of the page. In a `console` block every line that starts with `$ ` is run on a terminal,
and what follows it must be what is seen there, `...` standing for anything. What a block leaves
running (a server) runs until the page ends, as it would in a reader's terminal.
"""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from select import select
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sybil import Example

__all__ = ["left_running", "run_console_block", "run_shell_block"]

_SECONDS = 60
_LEAVE = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
_STEP = re.compile(r"^\$ (?P<command>.*(?:\n> .*)*)\n?(?P<shown>(?:(?!\$ ).*\n?)*)", re.MULTILINE)


_groups: list[int] = []
"""The process groups of the page's commands."""


@contextmanager
def left_running() -> Iterator[None]:
    """A page; at its end whatever its blocks left running is killed."""
    try:
        yield
    finally:
        while _groups:
            with suppress(ProcessLookupError):  # as it is where all has ended by itself
                os.killpg(_groups.pop(), signal.SIGKILL)


def run_shell_block(example: Example) -> None:
    """Give a `sh` block to a shell that stops at the first command that fails."""
    with NamedTemporaryFile("r", suffix=".json") as left:
        script = f'{example.parsed}\n"$0" -c "{_LEAVE}" "$1"'
        _output(["sh", "-eu", "-c", script, sys.executable, left.name], *os.pipe())
        os.environ.update(json.load(left))
        os.chdir(os.environ["PWD"])


def run_console_block(example: Example) -> None:
    """Run each command of a `console` block on a terminal and compare what is seen."""
    steps = list(_STEP.finditer(example.parsed))
    assert steps, "a console block needs a line that starts with `$ `"
    for step in steps:
        command = step["command"].replace("\n> ", "\n")
        seen = _output(["sh", "-c", command], *pty.openpty()).replace("\r\n", "\n")
        expected = f"{step['shown'].rstrip()}\n"
        same = OutputChecker().check_output(expected, seen, ELLIPSIS | NORMALIZE_WHITESPACE)
        assert same, f"$ {command}\nshows\n{seen}\nand not\n{expected}"


def _output(command: list[str], reader: int, writer: int) -> str:
    """What a command and its children write to a pipe or terminal; it must succeed in time."""
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, start_new_session=True
    )
    os.close(writer)
    try:
        output = b"".join(_chunks(reader)).decode()
        assert child.wait(_SECONDS) == 0, output
    finally:
        os.close(reader)
        with suppress(ProcessLookupError):  # as it is where all has ended by itself
            os.killpg(child.pid, 0)
            _groups.append(child.pid)
    return output


def _chunks(reader: int) -> Iterator[bytes]:
    until = time.monotonic() + _SECONDS
    while select([reader], [], [], max(0.0, until - time.monotonic()))[0]:
        try:
            chunk = os.read(reader, 65536)
        except OSError:  # Linux says EIO when the last writer to a terminal has gone
            return
        if not chunk:
            return
        yield chunk
    raise TimeoutError(f"the command still runs after {_SECONDS} s")
