"""What a disk holds after the power failed: what was synced, and whatever else it had got to.

Between two syncs of a file a disk may have written any of its sectors (512 bytes) and not the
others; an entry of a directory is sure only once the directory was synced.
"""

from __future__ import annotations

import os
from random import Random

from tests.crash.recording_disk import Entry

__all__ = ["FATES", "leave"]

_SECTOR = 512
FATES = ("nothing", "everything", "first", "any", "sectors")
"""What becomes of writes that were not synced."""


class _File:
    """A file with its synced bytes and the writes that came after."""

    def __init__(self) -> None:
        self.synced = bytearray()
        self.waiting: list[Entry] = []

    def sync(self) -> None:
        for entry in self.waiting:
            _apply(self.synced, entry)
        self.waiting.clear()

    def left(self, fate: str, random: Random) -> bytes:
        """Its bytes after the power failed now."""
        content = bytearray(self.synced)
        for entry in _survivors(self.waiting, fate, random):
            _apply(content, entry)
        return bytes(content)


def leave(record: list[Entry], until: int, directory: str, fate: str, random: Random) -> None:
    """Write the files that are left into a directory.

    Args:
        record: what was done to the disk.
        until: how many entries of it were done when the power failed.
        directory: an empty one.
        fate: what becomes of writes that were not synced, one of `FATES`.
        random: decides where the fate leaves it open.
    """
    names = _replay(record[:until])
    for path, states in names.items():
        file = states[-1] if fate == "everything" else random.choice(states)
        if file is not None:
            with open(os.path.join(directory, os.path.basename(path)), "wb") as left:
                left.write(file.left(fate, random))


def _replay(record: list[Entry]) -> dict[str, list[_File | None]]:
    """For each name what it may lead to: all it has led to since its directory was synced."""
    names: dict[str, list[_File | None]] = {}
    for entry in record:
        states = names.setdefault(entry.path, [None]) if entry.what not in _NO_FILE else []
        if entry.what == "create":
            states.append(_File())
        elif entry.what == "delete":
            states.append(None)
        elif entry.what == "settle":
            for path, each in names.items():
                if os.path.dirname(path) == entry.path:
                    del each[:-1]
        elif states:
            file = states[-1]
            assert file is not None, f"{entry.what} of {entry.path}, which is not there"
            if entry.what == "sync":
                file.sync()
            else:
                file.waiting.append(entry)
    return names


_NO_FILE = ("settle", "note")


def _survivors(waiting: list[Entry], fate: str, random: Random) -> list[Entry]:
    if fate == "nothing":
        return []
    if fate == "everything":
        return waiting
    if fate == "first":
        return waiting[: random.randrange(len(waiting) + 1)]
    if fate == "any":
        return [entry for entry in waiting if random.random() < 0.5]
    return [part for entry in waiting for part in _sectors(entry) if random.random() < 0.5]


def _sectors(entry: Entry) -> list[Entry]:
    """A write as the sectors it touches; a truncation is whole or not at all."""
    if entry.what != "write":
        return [entry]
    parts = []
    offset, data = entry.offset, entry.data
    while data:
        size = _SECTOR - offset % _SECTOR
        parts.append(entry._replace(offset=offset, data=data[:size]))
        offset, data = offset + size, data[size:]
    return parts


def _apply(content: bytearray, entry: Entry) -> None:
    if entry.what == "truncate":
        del content[entry.offset :]
        content.extend(bytes(entry.offset - len(content)))
        return
    content.extend(bytes(max(0, entry.offset - len(content))))
    content[entry.offset : entry.offset + len(entry.data)] = entry.data
