"""Segments: the entries in their order, each segment claimed under its number, once, for good.

    segments/0000000            leads to the directory of the first thousand segments
    segments/0000000-<random>   that directory
      0000000000                the first segment; 0000000001 the next; no number is left out

What keeps everything together: **a number that was claimed is never free again.** Its name may come
to lead to an archive that holds the same segment, or to a note that it was trimmed; a whole block
of a thousand to one such note. So a process that was paused and comes back late cannot put its
entries where others' are: its link fails. And who reads asks for the next number by its name, never
by a listing, which may lag.

The sequence of an entry is arithmetic. One that has read up to sequence s looks next into segment
`s >> 20`, of which it has read `s & 1048575` entries; so the last entry of a segment has the
sequence at which the next segment begins.
"""

from __future__ import annotations

import os
from collections import namedtuple
from contextlib import suppress
from itertools import islice

from tidings.store.replicated.log import Entry, LogTrimmed
from tidings.store.shared.failures import no_links
from tidings.store.shared.files import VANISHED
from tidings.store.shared.layout import (
    ARCHIVE,
    SEGMENT,
    TRIMMED,
    Broken,
    Item,
    body_of,
    items_of,
    read_header,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from tidings.store.shared.place import Place

__all__ = [
    "BLOCK",
    "BLOCK_BITS",
    "GROUP",
    "MOST_ENTRIES",
    "Segment",
    "Segments",
    "end_of",
    "next_after",
]

BLOCK = 1000
"""So many segments lie in one directory."""

GROUP = 100
"""So many of them, once they are old, are merged into one file."""

BLOCK_BITS = 20
MOST_ENTRIES = (1 << BLOCK_BITS) - 1
"""The most entries a segment may have."""

_TRIES = 5


class Segment(namedtuple("Segment", "number token previous first items body")):
    """A segment that was opened.

    Attributes:
        number: its place.
        token: what tells it from others that wanted its place.
        previous: the token of the segment before; none where that was not known.
        first: so many of its entries were trimmed.
        items: what is left of its entries.
        body: where in its file their bytes begin.
    """

    __slots__ = ()

    number: int
    token: str
    previous: str | None
    first: int
    items: list[Item]
    body: int

    def sequence(self, index: int) -> int:
        """The sequence of the entry `items[index]`."""
        if index == len(self.items) - 1:
            return end_of(self.number)
        return (self.number << BLOCK_BITS) + self.first + index + 1

    def past(self, after: int) -> int:
        """The index in `items` of the first entry past a sequence that leads to this segment.

        Raises:
            LogTrimmed: it was trimmed.
        """
        seen = after & MOST_ENTRIES
        if seen < self.first:
            raise LogTrimmed
        return min(seen - self.first, len(self.items) - 1)


def next_after(sequence: int) -> int:
    """The number of the segment in which an entry past a sequence stands."""
    return sequence >> BLOCK_BITS


def end_of(number: int) -> int:
    """The sequence of the last entry of a segment."""
    return (number + 1) << BLOCK_BITS


class Segments:
    """The segments of one log, as one process sees them.

    Args:
        place: the log's directory.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._files = place.files
        self._room = place.path("segments")
        self._tokens: dict[int, str] = {}

    def block(self, number: int) -> str:
        """The path that leads to the directory a segment lies in."""
        return f"{self._room}/{number // BLOCK:07d}"

    def path(self, number: int) -> str:
        """The path of a segment."""
        return f"{self.block(number)}/{number:010d}"

    # Reading --------------------------------------------------------------------------------------

    def exists(self, number: int) -> bool:
        """Whether a number was claimed, as the server says it now."""
        path = self.path(number)
        if self._files.exists(path):
            return True
        asked_anew = [self._files.refresh(each) for each in (self._room, self.block(number))]
        return any(asked_anew) and self._files.exists(path)

    def count(self, known: int = 0) -> int:
        """How many numbers are claimed.

        Args:
            known: so many were, when it was looked at before; it is looked at from there.
        """
        low, step = known, 1
        while self.exists(low + step - 1):
            low, step = low + step, step * 2
        high = low + step - 1  # is free; below `low` all are claimed
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.exists(middle) else (low, middle)
        return low

    def head(self, number: int) -> Segment | None:
        """What a segment says of itself; it is on the disk then. None where there is none yet.

        Raises:
            LogTrimmed: it was trimmed.
            Broken: it is damaged.
        """
        opened = self.opened(number)
        if opened is None:
            return None
        file, segment = opened
        with file:
            self._see_to_it_that_it_lasts(file, number)
        return segment

    def read(self, after: int, entries: int, size: int) -> list[Entry]:
        """The entries past a sequence, of one segment; none where there is none yet.

        Args:
            after: a sequence.
            entries: the most to give.
            size: to stop once there are so many (bytes).

        Raises:
            LogTrimmed: they were trimmed.
            Broken: they are damaged.
        """
        opened = self.opened(next_after(after))
        if opened is None:
            return []
        file, segment = opened
        with file:
            self._see_to_it_that_it_lasts(file, segment.number)
            return _entries(file, segment, segment.past(after), entries, size)

    def opened(self, number: int) -> tuple[BinaryIO, Segment] | None:
        """A segment, and its file standing where the bytes of its entries begin."""
        for _ in range(_TRIES):
            try:
                return self._begun(self._files.opened(self.path(number)), number)
            except NotADirectoryError:
                raise LogTrimmed from None
            except OSError as error:
                if error.errno not in VANISHED:
                    raise
            if not self.exists(number):
                break
        return None

    def _begun(self, file: BinaryIO, number: int) -> tuple[BinaryIO, Segment]:
        try:
            segment = self._segment(file, number)
            self._check_chain(segment)
        except BaseException:
            file.close()
            raise
        return file, segment

    def _segment(self, file: BinaryIO, number: int) -> Segment:
        path = self.path(number)
        kind, header = read_header(file, path)
        if kind == ARCHIVE:
            start = file.tell()
            for held, length in header["segments"]:
                if held == number:
                    file.seek(start)
                    kind, header = read_header(file, path)
                    break
                start += length
        if kind == TRIMMED:
            raise LogTrimmed
        if kind != SEGMENT or header["number"] != number or header["log"] != self._place.log:
            raise Broken(f"{path} is not segment {number} of this log")
        items = items_of(header, path)
        if not items:
            raise Broken(f"{path} has no entries")
        return Segment(
            number, header["token"], header["previous"], header["first"], items, file.tell()
        )

    def _check_chain(self, segment: Segment) -> None:
        """See that a segment follows the one before, where that was read here."""
        before = self._tokens.get(segment.number - 1)
        if before is not None and segment.previous not in (before, None):
            raise Broken(
                f"segment {segment.number} follows another segment {segment.number - 1} than "
                f"the one that is there"
            )
        self._tokens = {segment.number: segment.token}

    # What was read lasts --------------------------------------------------------------------------

    def _see_to_it_that_it_lasts(self, file: BinaryIO, number: int) -> None:
        """Put the name of a segment on the disk, unless who wrote it did so already.

        Else a replica could know what a power loss takes from its log.
        """
        if self._files.is_settled(file):
            return
        self._files.sync(self._room)
        with suppress(NotADirectoryError):  # It was trimmed meanwhile.
            self._files.sync(self.block(number))

    # Writing --------------------------------------------------------------------------------------

    def claim(self, number: int, parts: Sequence[bytes]) -> bool:
        """Put a segment in its place, unless there is one; whether it is ours. It lasts then.

        Raises:
            OSError: it is not there, as far as can be told.
        """
        if number % BLOCK == 0:
            self._make_block(number)
        try:
            claimed = self._place.claim(self.path(number), parts)
        except (NotADirectoryError, FileNotFoundError):
            return False  # The whole block was trimmed, or our file put away: we were paused.
        if claimed:
            self._files.sync(self.block(number))
            self._settle(number)
        return claimed

    def _settle(self, number: int) -> None:
        try:
            self._files.settle(self.path(number))
        except OSError:
            return  # Every reader then sees to it itself.

    def _make_block(self, number: int) -> None:
        """Make the directory of a block, unless there is one.

        Of several that are made at once one is led to; the others stay empty until the block goes.
        """
        block = self.block(number)
        if self._files.exists(block):
            self._files.sync(self._room)
            return
        directory = f"{block}-{os.urandom(6).hex()}"
        self._place.make(directory)
        self._files.sync(self._room)
        try:
            self._files.symlink(os.path.basename(directory), block)
        except FileExistsError:
            pass  # Another is as good.
        except OSError as error:
            if not self._files.exists(block):
                refused = no_links(error, self._place.directory)
                if refused is not None:
                    raise refused from error
                raise
        self._files.sync(self._room)


def _entries(file: BinaryIO, segment: Segment, start: int, most: int, size: int) -> list[Entry]:
    items = segment.items
    file.seek(segment.body + sum(item.length for item in items[:start]))
    found: list[Entry] = []
    for data in body_of(
        file, list(islice(items, start, start + most)), f"segment {segment.number}"
    ):
        found.append(Entry(segment.sequence(start + len(found)), data))
        size -= len(data)
        if size <= 0:
            break
    return found
