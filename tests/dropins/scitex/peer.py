"""What scitex-events 0.1.7 leaves on a disk, written for the tests in its form."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Peer"]


class Peer:
    """Writes to one directory as scitex-events 0.1.7 does: local times, at most `most` lines.

    Args:
        directory: where.
        most: so many lines its history keeps.
    """

    def __init__(self, directory: Path, most: int = 1000) -> None:
        self.directory = directory
        self.most = most
        self._writes = 0

    def emit(self, event_type: str, timestamp: str, **payload: Any) -> dict[str, Any]:
        """Write an event that happened at this local time."""
        event = {
            "type": event_type,
            "project": "figrecipe",
            "status": "success",
            "payload": payload,
            "source": "local",
            "timestamp": timestamp,
        }
        self.directory.mkdir(parents=True, exist_ok=True)
        newest = self.directory / f"{event_type}_latest.json"
        newest.write_text(json.dumps(event, indent=2) + "\n")
        history = self.directory / "history.jsonl"
        with history.open("a") as file:
            file.write(json.dumps(event) + "\n")
        lines = history.read_text().splitlines()
        if len(lines) > self.most:
            history.write_text("".join(f"{line}\n" for line in lines[-self.most :]))
        # A time of its own, as two that are as long may fall into one tick of the kernel's clock.
        self._writes += 1
        os.utime(history, (0, self._writes))
        return event
