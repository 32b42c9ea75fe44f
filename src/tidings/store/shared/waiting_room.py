"""The waiting room: what was published and is not in order yet, one file for each call.

A file is written in tmp/, put on the disk, and renamed into new/. Anybody may put it in order from
there, and then removes it. Keeps: what no node of this log wrote is put aside with its reason and
never hinders the rest; what cannot be read just now stays.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple
from zlib import crc32

from tidings.errors import OutcomeUnknown, StoreTooNew
from tidings.store.shared.files import VANISHED, NotPlain
from tidings.store.shared.layout import (
    ENTRIES,
    Broken,
    Item,
    body_of,
    header_line,
    items_of,
    listed,
    read_header,
)
from tidings.store.shared.segments import MOST_ENTRIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from tidings.store.shared.place import Place

__all__ = ["Packet", "WaitingRoom"]

_ABANDONED_AFTER = 36 * 3600
"""The age at which the writer of a file in tmp/ counts as dead (seconds); maildir(5) says so."""

_LEFT_ALONE = (*VANISHED, errno.EACCES, errno.EPERM)
_NAME_BYTES = 200


class Packet(NamedTuple):
    """What one call published: the name of its file, its entries and their bytes."""

    name: str
    items: list[Item]
    data: list[bytes]


class WaitingRoom:
    """The waiting room of one log, as one process sees it.

    Args:
        place: the log's directory.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._files = place.files

    def put(self, entries: Sequence[tuple[str, bytes]]) -> None:
        """Let entries wait, all or none; they are on the disk when this returns.

        Raises:
            OSError: nothing waits.
            OutcomeUnknown: whether they wait cannot be told.
        """
        name = self._place.unique()
        temporary, path = self._place.path("tmp", name), self._place.path("new", name)
        items = [Item(each, len(data), crc32(data)) for each, data in entries]
        header = header_line(ENTRIES, {"log": self._place.log, "entries": listed(items)})
        try:
            self._place.written(temporary, [header, *(data for _, data in entries)])
            self._move(temporary, path)
        except BaseException:
            self._place.forget(temporary)
            raise
        try:
            self._files.sync(self._place.path("new"))
        except OSError as error:
            raise self._unknown(error) from error

    def _move(self, temporary: str, path: str) -> None:
        try:
            self._files.rename(temporary, path)
        except OSError as error:
            # NFS may have done it and lost the answer.
            self._files.refresh(self._place.path("new"))
            if self._files.exists(path):
                return
            self._files.refresh(self._place.path("tmp"))
            if not self._files.exists(temporary):
                raise self._unknown(error) from error
            raise

    def _unknown(self, error: OSError) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"the shared log {self._place.directory}: {error} while entries were being made "
            f"durable; send them again (same ids)"
        )

    def names(self) -> list[str]:
        """The files that wait, by when their writers say they came."""
        return self._files.names(self._place.path("new"))

    def read(self, name: str) -> Packet | None:
        """What a file holds; none where another was faster, or it had to be put aside."""
        path = self._place.path("new", name)
        try:
            with self._files.opened(path) as file:
                items = self._items(file, path)
                return Packet(name, items, list(body_of(file, items, path)))
        except StoreTooNew:
            return None  # For a newer Tidings to put in order.
        except (Broken, NotPlain) as reason:
            self._reject(name, str(reason) or "it is not a plain file")
        except OSError as error:
            if error.errno not in _LEFT_ALONE:
                raise
        return None

    def _items(self, file: BinaryIO, path: str) -> list[Item]:
        kind, header = read_header(file, path)
        if kind != ENTRIES or header.get("log") != self._place.log:
            raise Broken(f"{path} holds no entries of this log")
        items = items_of(header, path)
        if len(items) > MOST_ENTRIES:
            raise Broken(f"{path} holds more entries than a segment can")
        return items

    def remove(self, name: str) -> None:
        """Remove a file whose entries are in order, unless another did."""
        self._files.remove(self._place.path("new", name))

    def _reject(self, name: str, reason: str) -> None:
        """Put a file aside with its reason; of several who do, one explains it."""
        kept = os.fsdecode(os.fsencode(name)[:_NAME_BYTES])
        place = self._place.path("rejected", f"{kept}.{self._place.unique()}")
        try:
            self._files.rename(self._place.path("new", name), place)
            self._place.written(f"{place}.reason", [f"{reason}\n".encode()])
        except OSError as error:
            if error.errno not in _LEFT_ALONE:
                raise

    def clean(self) -> None:
        """Remove what dead writers left in tmp/; it was never acknowledged."""
        oldest = self._place.now() - _ABANDONED_AFTER
        for name in self._files.names(self._place.path("tmp")):
            path = self._place.path("tmp", name)
            try:
                with self._files.opened(path) as file:
                    old = self._files.changed(file) < oldest
            except (OSError, NotPlain):
                continue
            if old:
                self._place.forget(path)
