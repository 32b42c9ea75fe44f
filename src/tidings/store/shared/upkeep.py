"""Looking after segments: many old ones into one file, and those that were trimmed into none.

Keeps inodes few, and the rule that a number once claimed is never free: each name is replaced in
one step. Everything here may be killed or paused anywhere, and done again by another.
"""

from __future__ import annotations

import errno
import os
from json import loads
from zlib import crc32

from tidings.fields import encode_json
from tidings.store.replicated.log import LogTrimmed
from tidings.store.shared.files import VANISHED, NotPlain
from tidings.store.shared.layout import (
    ARCHIVE,
    SEGMENT,
    TRIMMED,
    Broken,
    Item,
    archive_header,
    body_of,
    header_line,
    read_header,
    segment_header,
)
from tidings.store.shared.segments import BLOCK, GROUP, MOST_ENTRIES, next_after

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidings.store.shared.place import Place
    from tidings.store.shared.segments import Segments

__all__ = ["Upkeep"]

_MOST_ARCHIVED = 64 * 1024 * 1024
_BLOCK_SECONDS = 3600.0
"""How long after its last segment a block stays a directory; see `ordering`."""

_FORSAKEN_SECONDS = 36 * 3600


class Upkeep:
    """The upkeep of one log's segments.

    Args:
        place: the log's directory.
        segments: its segments.
    """

    def __init__(self, place: Place, segments: Segments) -> None:
        self._place = place
        self._files = place.files
        self._segments = segments

    # Merging --------------------------------------------------------------------------------------

    def merge(self, group: int) -> bool:
        """Replace a hundred segments by one file under their hundred names; whether it was done.

        It is left where some were trimmed, or they are large. A reader finds each under its name,
        before, after and in between.
        """
        numbers = range(group * GROUP, (group + 1) * GROUP)
        parts = self._segments_of(numbers)
        if parts is None:
            return False
        lengths = [(number, len(part)) for number, part in zip(numbers, parts, strict=True)]
        block = self._segments.block(numbers[0])
        archive = f"{block}/.{self._place.unique()}"
        try:
            self._place.written(archive, [archive_header(lengths), *parts], settled=True)
            for number in numbers:
                self._put_in_place(archive, number)
            self._files.sync(block)
        finally:
            self._place.forget(archive)
        # If we were paused in the middle, what was trimmed meanwhile is there again.
        through = self.trimmed()
        if next_after(through) >= numbers[0]:
            self._trim_block(numbers[0], through)
        return True

    def _segments_of(self, numbers: range) -> list[bytes] | None:
        """The segments as they are, unless it is not for us to merge them."""
        parts: list[bytes] = []
        size = 0
        for number in numbers:
            try:
                part = self._bytes_of(number)
            except LogTrimmed:
                return None
            if part is None:
                return None
            parts.append(part)
            size += len(part)
            if size > _MOST_ARCHIVED:
                return None
        return parts

    def _bytes_of(self, number: int) -> bytes | None:
        """A segment as it was written; none where it lies in an archive already."""
        path = self._segments.path(number)
        with self._files.opened(path) as file:
            kind, _ = read_header(file, path)
            if kind == ARCHIVE:
                return None
            if kind != SEGMENT:
                raise LogTrimmed
            file.seek(0)
            return file.read(_MOST_ARCHIVED + 1)

    def _put_in_place(self, file: str, number: int) -> None:
        """Let a segment's name lead to another file."""
        second = f"{self._segments.block(number)}/.{self._place.unique()}"
        self._files.link(file, second)
        self._place.replace(second, self._segments.path(number))

    # Trimming -------------------------------------------------------------------------------------

    def trimmed(self) -> int:
        """The sequence up to which the log was trimmed; 0 where it never was."""
        self._files.refresh(self._place.directory)
        try:
            with self._files.opened(self._place.path("trimmed")) as file:
                return int(loads(file.read())["through"])
        except OSError as error:
            if error.errno not in VANISHED:
                raise
        except (NotPlain, ValueError, TypeError, KeyError) as error:
            raise Broken(f"{self._place.path('trimmed')} does not say how far: {error}") from error
        return 0

    def trim(self, through: int) -> None:
        """Let the names of segments up to a sequence lead to a note that they were trimmed."""
        through = max(through, self.trimmed())
        self._say(through)
        last = next_after(through)
        for block in self._blocks():
            first = block * BLOCK
            if first + BLOCK <= last and self._is_old(first + BLOCK - 1):
                self._remove_block(first, through)
            elif first <= last:
                self._trim_block(first, through)

    def _say(self, through: int) -> None:
        temporary = self._place.path("tmp", f"trimmed-{self._place.unique()}")
        said = encode_json({"through": through}).encode()
        try:
            self._place.written(temporary, [said, b"\n"])
            self._files.rename(temporary, self._place.path("trimmed"))
        finally:
            self._place.forget(temporary)
        self._files.sync(self._place.directory)

    def _blocks(self) -> Iterator[int]:
        """The blocks that are still directories, from the oldest on."""
        self._files.refresh(self._place.path("segments"))
        for name in self._files.names(self._place.path("segments")):
            path = self._place.path("segments", name)
            if name.isdecimal() and self._files.is_directory(path):
                yield int(name)

    def _trim_block(self, first: int, through: int) -> None:
        block = self._segments.block(first)
        last = next_after(through)
        note = f"{block}/.{self._place.unique()}"
        self._place.written(note, [header_line(TRIMMED, {"through": through})])
        try:
            for number in range(first, min(first + BLOCK, last)):
                if not self._is_trimmed(number):
                    self._put_in_place(note, number)
            if last < first + BLOCK and through & MOST_ENTRIES:
                self._cut(last, through & MOST_ENTRIES)
            self._files.sync(block)
        finally:
            self._place.forget(note)

    def _is_trimmed(self, number: int) -> bool:
        """Whether a segment was trimmed, or is not there at all."""
        path = self._segments.path(number)
        try:
            with self._files.opened(path) as file:
                return read_header(file, path)[0] == TRIMMED
        except OSError as error:
            if error.errno in (*VANISHED, errno.ENOTDIR):
                return not self._segments.exists(number)
            raise
        except Broken:
            return False

    def _cut(self, number: int, seen: int) -> None:
        """Let a segment go on without its first entries."""
        try:
            opened = self._segments.opened(number)
        except LogTrimmed:
            return
        if opened is None:
            return
        file, segment = opened
        with file:
            if seen <= segment.first:
                return
            skipped = min(seen - segment.first, len(segment.items) - 1)
            data = list(body_of(file, segment.items, self._segments.path(number)))[skipped:]
        items = [
            Item(item.name, len(each), crc32(each))
            for item, each in zip(segment.items[skipped:], data, strict=True)
        ]
        header = segment_header(
            self._place.log,
            number,
            segment.token,
            segment.previous,
            items,
            segment.first + skipped,
        )
        temporary = f"{self._segments.block(number)}/.{self._place.unique()}"
        try:
            self._place.written(temporary, [header, *data], settled=True)
            self._place.replace(temporary, self._segments.path(number))
        finally:
            self._place.forget(temporary)

    def _is_old(self, number: int) -> bool:
        """Whether a segment was written long ago, so that nobody still wants its place."""
        try:
            with self._files.opened(self._segments.path(number)) as file:
                return self._place.now() - self._files.changed(file) > _BLOCK_SECONDS
        except (OSError, NotPlain):
            return False

    def _remove_block(self, first: int, through: int) -> None:
        """Let the name of a whole block lead to a note, and remove what it led to before."""
        block = self._segments.block(first)
        self._files.sync(self._place.path("segments"))
        note = self._place.path("segments", f".{self._place.unique()}")
        try:
            self._place.written(note, [header_line(TRIMMED, {"through": through})])
            self._files.rename(note, block)
            self._files.sync(self._place.path("segments"))
        finally:
            self._place.forget(note)
        self._remove_directories(os.path.basename(block))

    def _remove_directories(self, block: str) -> None:
        """Remove the directories that a block led to, or might have; what stays goes next time."""
        segments = self._place.path("segments")
        for name in self._files.names(segments):
            if name.startswith(f"{block}-"):
                directory = f"{segments}/{name}"
                for each in (*self._files.names(directory), *self._files.hidden(directory)):
                    self._place.forget(f"{directory}/{each}")
                self._files.drop(directory)

    # What was left over ---------------------------------------------------------------------------

    def clean(self, number: int) -> None:
        """Remove what dead writers left beside the segments of a block, and of the one before."""
        for first in {max(0, number // BLOCK - 1) * BLOCK, number // BLOCK * BLOCK}:
            block = self._segments.block(first)
            for name in self._forsaken(block):
                self._place.forget(f"{block}/{name}")

    def _forsaken(self, block: str) -> Sequence[str]:
        try:
            names = self._files.hidden(block)
        except OSError:
            return []
        return [name for name in names if self._is_forsaken(f"{block}/{name}")]

    def _is_forsaken(self, path: str) -> bool:
        try:
            with self._files.opened(path) as file:
                return self._place.now() - self._files.changed(file) > _FORSAKEN_SECONDS
        except (OSError, NotPlain):
            return False
