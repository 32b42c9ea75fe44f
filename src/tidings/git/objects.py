"""Git's objects: the hash of one, and the tree that a commit names.

Source: gitformat-pack(5). It reads loose objects and packs with an index of version 2; a commit
that a pack keeps as a difference to another one, or that lies in an alternate, is not found.
"""

from __future__ import annotations

import os
import zlib
from struct import unpack_from

from tidings.git.files import in_time, open_file, read_at, read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import sha1
    from io import FileIO
else:
    try:
        # `hashlib` would load OpenSSL, which costs a shell emit 2 ms; the library's own `random`
        # goes the same way around it.
        from _sha1 import sha1
    except ImportError:
        from hashlib import sha1

__all__ = ["committed_tree", "digest", "object_hash"]

_MAX_COMMIT_BYTES = 1024 * 1024
_MAX_ROWS_BYTES = 4 * 1024 * 1024
_START_OF_COMMIT = 1024  # its first line names the tree
_FAN_OUT = 8
_NAMES = _FAN_OUT + 4 * 256
_COMMIT = 1


def digest(content: bytes, size: int) -> bytes:
    """The hash of `size` bytes that a repository uses: SHA-1 for 20, SHA-256 for 32."""
    if size == 20:
        return sha1(content, usedforsecurity=False).digest()
    from hashlib import sha256

    return sha256(content, usedforsecurity=False).digest()


def object_hash(kind: bytes, content: bytes, size: int) -> bytes:
    """The name of an object, `size` bytes long.

    >>> object_hash(b"blob", b"", 20).hex()
    'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    return digest(b"%b %d\0%b" % (kind, len(content), content), size)


def committed_tree(directory: bytes, commit: bytes, deadline: float) -> bytes | None:
    """The hash of a commit's tree; none where the commit is not found.

    Args:
        directory: the repository's directory of objects.
        commit: its hash.
        deadline: see `files.in_time`.

    Raises:
        one of `UNREADABLE`: what is found is torn.
    """
    body = _loose(directory, commit) or _packed(os.path.join(directory, b"pack"), commit, deadline)
    if body is None:
        return None
    tree = bytes.fromhex(body[5 : 5 + 2 * len(commit)].decode())
    if not body.startswith(b"tree ") or len(tree) != len(commit):
        raise ValueError
    return tree


def _loose(directory: bytes, name: bytes) -> bytes | None:
    digits = name.hex().encode()
    try:
        data = read_file(os.path.join(directory, digits[:2], digits[2:]), _MAX_COMMIT_BYTES)
    except FileNotFoundError:
        return None
    return _inflated(data).partition(b"\0")[2]


def _packed(directory: bytes, name: bytes, deadline: float) -> bytes | None:
    for file in in_time(os.listdir(directory), deadline):
        if file.endswith(b".idx"):
            offset = _offset(os.path.join(directory, file), name)
            if offset is not None:
                return _object_at(os.path.join(directory, file[:-3] + b"pack"), offset)
    return None


def _offset(index: bytes, name: bytes) -> int | None:
    """Where in its pack an object lies, by the pack's index."""
    with open_file(index) as file:
        head = read_at(file, 0, _NAMES)
        if not head.startswith(b"\xfftOc\x00\x00\x00\x02"):
            return None
        first = _number(head, _FAN_OUT + 4 * (name[0] - 1)) if name[0] else 0
        last, total = _number(head, _FAN_OUT + 4 * name[0]), _number(head, _NAMES - 4)
        start, size = _NAMES + first * len(name), (last - first) * len(name)
        row = _row(read_at(file, start, size, _MAX_ROWS_BYTES), name)
        if row is None:
            return None
        # After the names come their CRCs, then the offsets, then those that need eight bytes.
        offsets = _NAMES + total * (len(name) + 4)
        offset = _number(read_at(file, offsets + 4 * (first + row), 4))
        return offset if offset < 1 << 31 else _large_offset(file, offsets + 4 * total, offset)


def _large_offset(file: FileIO, start: int, offset: int) -> int:
    high_and_low = read_at(file, start + 8 * (offset & 0x7FFF_FFFF), 8)
    return _number(high_and_low) << 32 | _number(high_and_low, 4)


def _row(names: bytes, name: bytes) -> int | None:
    at = names.find(name)
    while at > 0 and at % len(name):  # across two names
        at = names.find(name, at + 1)
    return None if at < 0 else at // len(name)


def _object_at(pack: bytes, offset: int) -> bytes | None:
    with open_file(pack) as file:
        data = read_at(file, offset, _START_OF_COMMIT)
    if data[0] >> 4 & 7 != _COMMIT:
        return None
    at = 0
    while data[at] & 0x80:  # the size goes on
        at += 1
    return _inflated(data[at + 1 :])


def _inflated(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, _START_OF_COMMIT)


def _number(data: bytes, at: int = 0) -> int:
    (number,) = unpack_from(">I", data, at)
    return int(number)
