"""POSTs from many clients at once, by wrk: a C program, so that it is no part of what is slow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.workplace import Workplace

__all__ = ["Posts", "ensure_wrk"]

_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "post.lua")
_MISSING = (
    "this part needs wrk, an HTTP load generator (https://github.com/wg/wrk): install it with "
    "`apt install wrk` on Debian and Ubuntu, `brew install wrk` on macOS, then run this again"
)


class Posts(NamedTuple):
    """Bodies to POST in turn.

    Args:
        bodies: the file that has them, one a line.
        clients: how many connections POST at once, each waiting for its answer.
        seconds: for how long (whole seconds).
    """

    bodies: str
    clients: int
    seconds: int

    @classmethod
    def of(cls, workplace: Workplace, lines: Sequence[bytes], clients: int, seconds: int) -> Posts:
        """POSTs of these bodies, kept in a new file."""
        path = os.path.join(workplace.new_directory("bodies"), "bodies.ndjson")
        with open(path, "wb") as file:
            file.write(b"\n".join(lines))
        return cls(path, clients, seconds)

    def rate_at(self, url: str) -> float:
        """How many a second an address answers, all of them with success."""
        command = ("wrk", "-t1", f"-c{self.clients}", f"-d{self.seconds}s", "-s", _SCRIPT, url)
        done = subprocess.run(
            (*command, "--", self.bodies), check=True, capture_output=True, text=True
        )
        line = next(line for line in done.stdout.splitlines() if line.startswith("wrk:"))
        requests, microseconds, failed = map(int, line.split()[1:])
        assert not failed, f"{failed} of {requests} POSTs to {url} failed:\n{done.stdout}"
        return requests / (microseconds / 1e6)


def ensure_wrk() -> None:
    """Install wrk where it is missing and we may; else say how to get it."""
    if shutil.which("wrk") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print("  installing wrk with apt-get", file=sys.stderr, flush=True)
        for arguments in (("update", "-qq"), ("install", "-qq", "--yes", "wrk")):
            subprocess.run(("apt-get", *arguments), check=True, stdout=sys.stderr)
    if shutil.which("wrk") is None:
        raise SystemExit(_MISSING)
