"""The `tidings` command and `import tidings`, as whole processes, against an empty one.

The store is there already, as it is for all but the first emit. Where a process works matters,
since each event says from which commit it comes: outside of any git checkout, and within one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.figures import Figure
from benchmarks.rounds import compare
from benchmarks.workplace import Workplace

_ROUNDS = 31
_EMIT = ("emit", "job_done", "--project", "figrecipe", "host=n12", "job_id:=4711")


def measure(workplace: Workplace) -> Iterator[Figure]:
    """Each command against `python -c pass`."""
    outside, checkout = workplace.new_directory("outside"), workplace.new_directory("checkout")
    _make_checkout(checkout)
    environment = {
        "PATH": os.environ["PATH"],
        "TIDINGS_HOME": workplace.new_directory("home"),
    }
    python = sys.executable
    tidings = os.path.join(os.path.dirname(python), "tidings")
    start = partial(_process, environment)
    things = {
        "pass": start(outside, python, "-c", "pass"),
        "import": start(outside, python, "-c", "import tidings"),
        "emit": start(outside, tidings, *_EMIT),
        "emit in a checkout": start(checkout, tidings, *_EMIT),
        "python -m": start(outside, python, "-m", "tidings", *_EMIT),
        "latest": start(outside, tidings, "latest"),
    }
    found = compare(things, workplace.rounds(_ROUNDS))
    for what, name, most in (
        ("`import tidings`", "import", 1.5),
        ("`tidings emit`", "emit", 3),
        ("`tidings emit` in a git checkout", "emit in a checkout", None),
        ("`python -m tidings emit`", "python -m", None),
        ("`tidings latest`", "latest", None),
    ):
        yield Figure(
            f"{what} : `python -c pass`",
            found.slower(name, "pass"),
            at_most=most,
            detail=f"{found.median(name) * 1e3:.1f} ms : {found.median('pass') * 1e3:.1f} ms",
        )


def _process(environment: dict[str, str], directory: str, *command: str) -> Callable[[], None]:
    def run() -> None:
        subprocess.run(
            command,
            check=True,
            cwd=directory,
            env=environment,
            stdout=subprocess.DEVNULL,
        )

    return run


def _make_checkout(directory: str) -> None:
    """A git checkout with one commit, and a file that is not in it."""
    git = ("git", "-C", directory, "-c", "user.name=b", "-c", "user.email=b@example.org")
    for name in ("kept", "new"):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(f"{name}\n")
    for arguments in (("init", "--quiet"), ("add", "kept"), ("commit", "--quiet", "-m", "kept")):
        subprocess.run((*git, *arguments), check=True)
