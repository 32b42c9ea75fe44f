"""The smallest log there is: a list in memory, for several stores of one process.

It keeps what `tidings.store.replicated.log` asks of a log, and nothing else, so what holds over it
holds by the replicated store alone. Each store on it is a machine of its own, with a replica of its
own; `cut` takes a machine's connection away, `fall_behind` only what it brings.
"""

from __future__ import annotations

import time
from threading import Condition
from typing import Any

from tidings.errors import StoreUnavailable
from tidings.store.replicated.log import Entry, Log, LogTrimmed

_AT_ONCE = 1000


class Shelf:
    """What all machines share: the entries, and the newest snapshot."""

    def __init__(self, identity: str = "memory-1") -> None:
        self.identity = identity
        self.entries: list[Entry] = []
        self.head = 0
        self.trimmed = 0
        self.snapshot: tuple[int, bytes] | None = None
        self.moved = Condition()

    def add(self, data: bytes) -> int:
        """Put an entry at the end."""
        with self.moved:
            self.head += 1
            self.entries.append(Entry(self.head, data))
            self.moved.notify_all()
            return self.head


class MemoryLog(Log):
    """One machine's way to a shelf."""

    def __init__(self, shelf: Shelf, replica_path: str, *, most_bytes: int = 1 << 20) -> None:
        self.url = "memory-log:"
        self.durability = "none"
        self.most_bytes = most_bytes
        self.replica_path = replica_path
        self._shelf = shelf
        self._closed = False
        self._cut = False
        self._shown: int | None = None

    def cut(self, *, cut: bool = True) -> None:
        """Take the connection away, or give it back."""
        with self._shelf.moved:
            self._cut = cut
            self._shelf.moved.notify_all()

    def fall_behind(self, *, behind: bool = True) -> None:
        """Bring nothing new to this machine, though what it publishes is taken; or end that."""
        self.show(self._shelf.head if behind else None)

    def show(self, sequence: int | None) -> None:
        """Bring this machine no more than the entries up to one; or all."""
        with self._shelf.moved:
            self._shown = sequence
            self._shelf.moved.notify_all()

    def identity(self) -> str:
        """The shelf's."""
        self._ensure_reachable()
        return self._shelf.identity

    def publish(self, entries: Any, deadline: float) -> None:  # noqa: ARG002 - nothing can last
        """Put entries on the shelf."""
        self._ensure_reachable()
        for _, data in entries:
            self._shelf.add(data)

    def read(self, after: int) -> list[Entry]:
        """The entries past a sequence."""
        with self._shelf.moved:
            self._ensure_reachable()
            if after < self._shelf.trimmed:
                raise LogTrimmed
            start = after - self._shelf.trimmed
            end = start + _AT_ONCE
            if self._shown is not None:
                end = max(start, min(end, self._shown - self._shelf.trimmed))
            return self._shelf.entries[start:end]

    def wait(self, after: int, timeout: float) -> bool:
        """Wait for the shelf."""
        until = time.monotonic() + timeout
        with self._shelf.moved:
            while self._cut or self._newest() <= after:
                left = until - time.monotonic()
                if left <= 0 or self._closed:
                    return False
                self._shelf.moved.wait(left)
        return True

    def _newest(self) -> int:
        return self._shelf.head if self._shown is None else self._shown

    def head(self, deadline: float) -> int:  # noqa: ARG002 - as above
        """The newest entry's place."""
        self._ensure_reachable()
        return self._shelf.head

    def trim(self, through: int) -> None:
        """Drop entries."""
        self._ensure_reachable()
        with self._shelf.moved:
            self._shelf.entries = [e for e in self._shelf.entries if e.sequence > through]
            self._shelf.trimmed = max(self._shelf.trimmed, through)

    def put_snapshot(self, sequence: int, path: str) -> None:
        """Keep a file's bytes."""
        self._ensure_reachable()
        with open(path, "rb") as file:
            self._shelf.snapshot = sequence, file.read()

    def fetch_snapshot(self, path: str) -> int | None:
        """Write those bytes."""
        self._ensure_reachable()
        if self._shelf.snapshot is None:
            return None
        sequence, data = self._shelf.snapshot
        with open(path, "xb") as file:
            file.write(data)
        return sequence

    def check(self) -> list[str]:
        """A list in memory is well."""
        return []

    def describe(self) -> dict[str, Any]:
        """What it is."""
        return {"engine": "memory"}

    def close(self) -> None:
        """Let those go who wait."""
        with self._shelf.moved:
            self._closed = True
            self._shelf.moved.notify_all()

    def _ensure_reachable(self) -> None:
        if self._cut:
            raise StoreUnavailable(f"{self.url} cannot be reached; this machine was cut off")
