"""What the figures were measured on, as far as it bears on them."""

from __future__ import annotations

import os
import platform
import sqlite3
import tempfile
import time
from importlib.metadata import version
from statistics import median

__all__ = ["facts"]

_SYNCS = 200
_BLOCK = 4096
_PACKAGES = (
    "tidings",
    "scitex-events",
    "eventsourcing",
    "uvicorn",
    "httptools",
    "uvloop",
    "fastapi",
    "pydantic",
)


def facts(directory: str) -> list[str]:
    """The machine in a few lines.

    Args:
        directory: on the disk that is measured.
    """
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return [
        time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        f"{os.cpu_count()} cores ({_processor()}), load {load} at the start",
        f"fdatasync p50 {_sync_seconds(directory) * 1e6:.0f} µs on {_file_system(directory)}",
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
    ]


def _sync_seconds(directory: str) -> float:
    """The median time of one fdatasync of a block written over another, as a WAL in use does it."""
    taken = []
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(bytes(_BLOCK * _SYNCS))
        file.flush()
        os.fsync(file.fileno())
        for number in range(_SYNCS):
            os.pwrite(file.fileno(), os.urandom(_BLOCK), number * _BLOCK)
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - start)
    return median(taken)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux: say what Python knows
    return platform.processor() or platform.machine()


def _file_system(directory: str) -> str:
    """The type of the file system a directory lies on."""
    best, kind = "", "an unknown file system"
    try:
        with open("/proc/mounts", encoding="utf-8") as file:
            for line in file:
                _, mount, found, *_ = line.split(" ")
                inside = os.path.realpath(directory).startswith(mount.rstrip("/") + "/")
                if inside and len(mount) >= len(best):
                    best, kind = mount, found
    except OSError:
        pass  # not Linux
    return kind
