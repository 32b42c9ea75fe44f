"""A process that forks children, each of which dies at another of its calls on the directory.

    python -m tests.shared.mortal SCENARIO DIRECTORY

Child number n works in DIRECTORY/n and is killed at the n-th of its steps: before a call, or in the
middle of writing a file. What it was told is kept stands in DIRECTORY/n.acknowledged. It ends with
the first child that lives.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from typing import Any

from tidings.store.shared import SharedLog, log, ordering, segments, upkeep
from tidings.store.shared.files import Files

__all__ = ["SCENARIOS", "small_blocks"]

_CHANGING = (
    *("write", "create", "settle", "link", "rename", "remove", "touch"),
    *("make_all", "make", "drop", "symlink"),
)
"""The calls that change something. To die before one is to die after the one before."""


class Mortal(Files):
    """The file system, on which one step is the last."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self.steps = 0
        self.last = 0

    def __getattribute__(self, name: str) -> Any:
        """Before every call that changes something there is a step."""
        found = super().__getattribute__(name)
        return partial(self._stepping, name, found) if name in _CHANGING else found

    def _stepping(self, name: str, call: Any, *arguments: Any) -> Any:
        if self._is_last():
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "write" and self._is_last():
            path, parts, mode = arguments
            whole = b"".join(parts)
            super().create(path, whole[: len(whole) // 2], mode)
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments)

    def _is_last(self) -> bool:
        self.steps += 1
        return self.steps == self.last


class Emitter:
    """One who emits, and notes what is kept."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.files = Mortal(directory)
        self.log = SharedLog(directory, f"{directory}-replica", self.files)
        self.seen = 0

    def emit(self, name: str) -> None:
        """Publish, note it, and follow until it is there."""
        self.log.publish([(name, name.encode())], 1.0)
        with open(f"{self.directory}.acknowledged", "a", encoding="ascii") as file:
            file.write(f"{name}\n")
        while entries := self.log.read(self.seen):
            self.seen = entries[-1].sequence

    def dies_at(self, step: int) -> None:
        """From here on steps are counted."""
        self.files.steps, self.files.last = 0, step


def first(emitter: Emitter, step: int) -> None:
    """Make the log and emit twice."""
    emitter.dies_at(step)
    emitter.emit("one")
    emitter.emit("two")


def merging(emitter: Emitter, step: int) -> None:
    """Emit what fills a group, and merge the one before."""
    for number in range(7):
        emitter.emit(str(number))
    emitter.dies_at(step)
    emitter.emit("7")


def trimming(emitter: Emitter, step: int) -> None:
    """Put a snapshot and trim all but the last of seven."""
    for number in range(7):
        emitter.emit(str(number))
    path = f"{emitter.directory}.snapshot"
    with open(path, "w", encoding="ascii") as file:
        file.write("as it was")
    emitter.dies_at(step)
    emitter.log.put_snapshot(6 << 20, path)
    emitter.log.trim(6 << 20)


SCENARIOS = {"first": first, "merging": merging, "trimming": trimming}


def small_blocks() -> None:
    """Blocks of four segments, merged by two, so that few entries fill several."""
    for module in (segments, upkeep):
        vars(module)["BLOCK"] = 4
    for module in (segments, upkeep, ordering, log):
        vars(module)["GROUP"] = 2


def main(scenario: str, directory: str) -> None:
    """Fork one child after the other."""
    small_blocks()
    step, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        step += 1
        child = os.fork()
        if child == 0:
            SCENARIOS[scenario](Emitter(f"{directory}/{step}"), step)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
