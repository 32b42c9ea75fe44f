"""Servers of the tests end with the tests, also when those are killed and can end nothing.

A shell holds one end of a pipe whose other end only this process has. When that is gone, however it
went, the shell ends the server. (To be told of a parent's death by Linux itself is no choice: it
means the parent's thread.)
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from pathlib import Path

__all__ = ["Leash"]

_WATCH = """
read -r _  # until the pipe ends
kill -s "$1" "$2" || exit
for _ in $(seq 100); do kill -0 "$2" 2>/dev/null || break; sleep 0.1; done
rm -rf -- "$3"
"""


class Leash:
    """Ends a process, and removes its directory, should this process die before `let_go`.

    Args:
        pid: the process.
        how: the signal that ends it.
        directory: what it keeps.
    """

    def __init__(self, pid: int, how: signal.Signals, directory: Path) -> None:
        name = how.name.removeprefix("SIG")
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, "leash", name, str(pid), str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is not meant for it
        )

    def let_go(self) -> None:
        """Watch no longer; before the process is ended, whose number may then become another's."""
        assert self._shell.stdin is not None
        self._shell.kill()
        self._shell.wait()
        self._shell.stdin.close()
