"""A child process that is killed at a chosen call: `kill -9` at any moment, and again the same one.

Calls are those of the system (`os`, files) and of methods of extension types (SQLite's among them),
each counted before and after. Between two of them a process changes nothing but its own memory.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["calls_of", "kill", "killed_at"]

_COUNTED = ("posix", "_io", None)


def calls_of(code: str, *arguments: object) -> int:
    """Run code in a child to its end; how many calls there were within `killed_at`."""
    done = _run(code, 0, arguments)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def kill(code: str, call: int, *arguments: object) -> None:
    """Run code in a child that dies at a call."""
    done = _run(code, call, arguments)
    assert done.returncode == -signal.SIGKILL, done.stderr


def _run(code: str, call: int, arguments: tuple[object, ...]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, str(call), *map(str, arguments)]
    root = Path(__file__).parents[1]  # so that the child finds this module
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=60
    )


@contextmanager
def killed_at(call: int) -> Iterator[None]:
    """In the child: die at a call of the block (0: at none, and print how many there were)."""
    seen = 0

    def count(_frame: object, event: str, function: Any) -> None:
        nonlocal seen
        if event in ("c_call", "c_return") and function.__module__ in _COUNTED:
            seen += 1
            if seen == call:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)
    print(seen)
