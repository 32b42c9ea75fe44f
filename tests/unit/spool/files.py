"""What the tests of the spool do with its files, and with processes that use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tidings.store.query import Query

if TYPE_CHECKING:
    from tidings.event import Event
    from tidings.spool import Spool
    from tidings.store.base import Store

__all__ = ["drop", "kept", "listed", "python", "reason_for"]


def drop(spool: Spool, name: str, content: bytes | str) -> Path:
    """Put a file into new/ as a stranger would."""
    path = Path(spool.directory, "new", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def kept(store: Store) -> list[Event]:
    """All events of a store in order."""
    return list(store.read(Query()))


def listed(spool: Spool, room: str) -> list[str]:
    """The names in a room of the spool."""
    path = Path(spool.directory, room)
    return sorted(entry.name for entry in path.iterdir()) if path.exists() else []


def reason_for(spool: Spool, name: str) -> str:
    """Why a file was rejected."""
    return Path(spool.directory, "rejected", f"{name}.reason").read_text()


def python(code: str, *args: object) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
