"""Processes, as they tell each other who they are in files: enough to know whether one has ended.

It tells of this machine only, by /proc: whether a process of another machine, or of another
container's set of processes, still runs cannot be known from here, and then nothing is claimed.
"""

from __future__ import annotations

import os
from json import loads

from tidings.fields import encode_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["has_ended", "identity", "is_of_here", "read_identity"]


def identity() -> str:
    """What this process says of itself, with a token of its own each time (a JSON object)."""
    return encode_json(
        {
            "token": os.urandom(16).hex(),
            "host": os.uname().nodename if hasattr(os, "uname") else "",
            "pid": os.getpid(),
            "start": _start_of(os.getpid()),
            "kernel": _kernel(),
        }
    )


def read_identity(said: bytes) -> dict[str, Any] | None:
    """What a process said of itself; none where that cannot be read.

    >>> read_identity(identity().encode())["pid"] == os.getpid(), read_identity(b"")
    (True, None)
    """
    try:
        told = loads(said)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def has_ended(told: dict[str, Any] | None) -> bool:
    """Whether this surely was a process of this machine that runs no more.

    >>> has_ended(read_identity(identity().encode())), has_ended(None)
    (False, False)
    """
    if told is None or not isinstance(told.get("pid"), int):
        return False
    kernel = _kernel()
    if kernel is None or told.get("kernel") != kernel:
        return False
    start = _start_of(told["pid"])
    return not _is_hidden(told["pid"]) if start is None else start != told.get("start")


def is_of_here(told: dict[str, Any] | None) -> bool:
    """Whether this is a process of this machine, of which `has_ended` knows."""
    kernel = _kernel()
    return told is not None and kernel is not None and told.get("kernel") == kernel


def _kernel() -> str | None:
    """This boot of this host, and which processes are seen from here; none where nothing tells."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def _start_of(pid: int) -> str | None:
    """When a process started (ticks since boot); none where it runs no more, or is hidden.

    A later process under its number started later; one that only waits to be asked how it ended
    has started never.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            facts = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return "" if facts[0] in (b"Z", b"X") else facts[19].decode("ascii")


def _is_hidden(pid: int) -> bool:
    """Whether something runs under this number that /proc does not show.

    Where it is mounted with `hidepid`, as on many clusters, it shows nobody others' processes.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
