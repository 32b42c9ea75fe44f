"""Git's index: the tracked files, each as git last saw it, in versions 2, 3 and 4.

Source: gitformat-index(5). A split index is refused: its entries are in two files.
"""

from __future__ import annotations

from collections import namedtuple
from stat import S_IFLNK, S_IFREG
from struct import Struct, unpack_from

from tidings.git.files import MAX_PATH_BYTES
from tidings.git.objects import digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_ENTRIES", "Entry", "count_entries", "read_entries"]

MAX_ENTRIES = 2_000
"""Tracked files up to which an index is read; each costs a look at the file."""

_HEADER_BYTES = 12
# Two numbers of creation time, two of modification time, device, inode, mode, user, group, size.
_STATE = {hash_bytes: Struct(f">8xII8xI8xI{hash_bytes}sH") for hash_bytes in (20, 32)}
_TYPE, _WATCHED = 0o170000, frozenset((S_IFREG, S_IFLNK))
_ASSUME_UNCHANGED, _EXTENDED, _SKIP_WORKTREE = 0x8000, 0x4000, 0x4000


class Entry(namedtuple("Entry", "name hash mode size modified unwatched")):
    """A tracked file.

    `size` is in bytes, modulo 2³²; `modified` in nanoseconds since 1970. `unwatched` is one that
    git was told not to look at, a submodule, or a directory left out of a sparse checkout. A file
    in a merge conflict has several entries, one that is only intended to be added an empty one.
    """

    __slots__ = ()

    name: bytes
    hash: bytes
    mode: int
    size: int
    modified: int
    unwatched: bool


def count_entries(index: bytes) -> int:
    """How many entries an index has.

    Raises:
        ValueError, struct.error: it is no index of a version that is known, or has too many.
    """
    signature, version, count = unpack_from(">4sII", index)
    if signature != b"DIRC" or version not in {2, 3, 4} or count > MAX_ENTRIES:
        raise ValueError
    return int(count)


def read_entries(index: bytes, hash_bytes: int) -> Iterator[Entry]:
    """The entries of an index, in the order of their names' bytes.

    Args:
        index: the file's content.
        hash_bytes: the length of the repository's hashes, 20 or 32 (bytes).

    Raises:
        one of `UNREADABLE`: it is torn, or holds what is not known here.
    """
    _verify(index, hash_bytes)
    layout = _STATE[hash_bytes]
    at, name, compressed = _HEADER_BYTES, b"", index[7] == 4
    for _ in range(count_entries(index)):
        seconds, nanoseconds, mode, size, hashed, flags = layout.unpack_from(index, at)
        start, extended = at + layout.size, 0
        if flags & _EXTENDED:
            (extended,) = unpack_from(">H", index, start)
            start += 2
        if compressed:
            name, at = _compressed_name(index, start, name)
        else:
            name = index[start : index.index(0, start)]
            at += (start - at + len(name) + 8) & ~7  # one to eight NULs fill up to a multiple of 8
        if len(name) > MAX_PATH_BYTES:
            raise ValueError
        yield Entry(
            name.rstrip(b"/"),  # a directory left out of a sparse checkout ends in a slash
            hashed,
            mode,
            size,
            seconds * 1_000_000_000 + nanoseconds,
            unwatched=mode & _TYPE not in _WATCHED
            or bool(flags & _ASSUME_UNCHANGED or extended & _SKIP_WORKTREE),
        )
    _refuse_unknown_extensions(index, at, len(index) - hash_bytes)


def _verify(index: bytes, hash_bytes: int) -> None:
    checksum = index[-hash_bytes:]
    # With `index.skipHash` git writes zeros.
    if any(checksum) and digest(index[:-hash_bytes], hash_bytes) != checksum:
        raise ValueError


def _compressed_name(index: bytes, at: int, previous: bytes) -> tuple[bytes, int]:
    """A name of version 4, which says how much of the previous one it drops, and where it ends."""
    dropped = index[at] & 0x7F
    while index[at] & 0x80:
        at += 1
        dropped = (dropped + 1) << 7 | index[at] & 0x7F
        if dropped > MAX_PATH_BYTES:
            raise ValueError
    if dropped > len(previous):
        raise ValueError
    end = index.index(0, at + 1)
    return previous[: len(previous) - dropped] + index[at + 1 : end], end + 1


def _refuse_unknown_extensions(index: bytes, at: int, end: int) -> None:
    while at < end:
        signature, size = unpack_from(">4sI", index, at)
        # One in lower case changes what the entries mean; `sdir` only allows directories in them.
        if signature[:1].islower() and signature != b"sdir":
            raise ValueError
        at += 8 + size
