"""What the files of a shared log look like inside: one frame for all of them.

    tidings KIND VERSION HEADER-LENGTH HEADER-CRC      a line of always the same length
    {…}                                                the header, JSON
    …                                                  bytes the header tells of

    entries    what one call published; waits in new/
    segment    entries in their order, under a number
    archive    many segments in one file
    trimmed    stands where segments were

Every entry has a checksum of its own, so a part of a file can be read and trusted.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from zlib import crc32

from tidings.errors import StoreTooNew
from tidings.fields import decode_json, encode_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, BinaryIO

__all__ = [
    "ARCHIVE",
    "ENTRIES",
    "SEGMENT",
    "TRIMMED",
    "Broken",
    "Item",
    "archive_header",
    "body_of",
    "header_line",
    "items_of",
    "listed",
    "read_header",
    "segment_header",
]

ENTRIES, SEGMENT, ARCHIVE, TRIMMED = "entries", "segment", "archive", "trimmed"

_VERSION = 1
_LINE = re.compile(rb"tidings ([a-z]{7}) ([0-9]{3}) ([0-9]{10}) ([0-9a-f]{8})\n")
_LINE_LENGTH = 40
_MOST_HEADER = 1 << 30
_MOST_LENGTH = 1 << 30


class Broken(Exception):  # noqa: N818 - names say what is; it never leaves this package
    """A file is not what it should be; the text says how."""


class Item(NamedTuple):
    """An entry as a header tells of it: its name, length (bytes) and checksum."""

    name: str
    length: int
    checksum: int


def header_line(kind: str, header: dict[str, Any]) -> bytes:
    """The beginning of a file, up to where the bytes begin that it tells of."""
    text = encode_json(header).encode()
    line = b"tidings %s %03d %010d %08x\n" % (kind.encode(), _VERSION, len(text), crc32(text))
    return line + text


def segment_header(
    log: str,
    number: int,
    token: str,
    previous: str | None,
    items: Sequence[Item],
    first: int = 0,
) -> bytes:
    """The beginning of a segment.

    Args:
        log: the identity of the log it belongs to.
        number: its place.
        token: what tells it from every other that wanted its place.
        previous: the token of the segment before, if that is known.
        items: its entries.
        first: how many entries before these were trimmed.
    """
    return header_line(
        SEGMENT,
        {
            "number": number,
            "token": token,
            "previous": previous,
            "log": log,
            "first": first,
            "entries": listed(items),
        },
    )


def archive_header(lengths: Sequence[tuple[int, int]]) -> bytes:
    """The beginning of an archive of segments, each by number and length (bytes), in order."""
    return header_line(ARCHIVE, {"segments": [[number, length] for number, length in lengths]})


def listed(items: Sequence[Item]) -> list[list[Any]]:
    """Entries as a header tells of them."""
    return [[*item] for item in items]


def read_header(file: BinaryIO, path: str) -> tuple[str, dict[str, Any]]:
    """The kind and the header of a file that was just opened; then its bytes follow.

    Raises:
        Broken: it has none.
        StoreTooNew: a newer Tidings wrote it.
    """
    line = file.read(_LINE_LENGTH)
    match = _LINE.fullmatch(line)
    if match is None:
        raise Broken(f"{path} does not begin as files of a shared log do")
    kind, version, length = match[1].decode(), int(match[2]), int(match[3])
    if version > _VERSION:
        raise StoreTooNew(
            f"{path} was written by a newer Tidings (format {version}, this one knows {_VERSION}); "
            f"install that one here"
        )
    text = file.read(min(length, _MOST_HEADER))
    if len(text) != length or crc32(text) != int(match[4], 16):
        raise Broken(f"the header of {path} is damaged")
    try:
        header = decode_json(text.decode())
    except (ValueError, StopIteration, RecursionError) as error:
        raise Broken(f"the header of {path} is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise Broken(f"the header of {path} is no JSON object")
    return kind, header


def items_of(header: dict[str, Any], path: str) -> list[Item]:
    """The entries that a header tells of.

    Raises:
        Broken: it tells of none.
    """
    try:
        items = [
            Item(str(name), int(length), int(check)) for name, length, check in header["entries"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise Broken(f"the header of {path} tells of no entries: {error}") from error
    if not all(0 <= item.length <= _MOST_LENGTH for item in items):
        raise Broken(f"the header of {path} tells of an entry of a senseless length")
    return items


def body_of(file: BinaryIO, items: Sequence[Item], path: str) -> Iterator[bytes]:
    """The bytes of entries, from where the file stands.

    Raises:
        Broken: they are not those that were written.
    """
    for item in items:
        data = file.read(item.length)
        if len(data) != item.length or crc32(data) != item.checksum:
            raise Broken(f"entry {item.name} in {path} is damaged")
        yield data
