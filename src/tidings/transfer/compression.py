"""Compressed files: written as frames that are each whole by themselves, read as one text.

A gzip file may have many members (RFC 1952, section 2.2) and a zstd file many frames (RFC 8878,
section 3.1), so an export that was killed is cut back to its last whole one and goes on from there.
zstd comes with Python 3.14 and before that with the extra `zstd`.
"""

from __future__ import annotations

import io
import sys
import zlib
from contextlib import contextmanager
from gzip import GzipFile
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from tidings.errors import InvalidSetting, MissingExtra, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Frames", "LineReader", "compression_of", "reader_of"]

_BY_ENDING = {".gz": "gz", ".zst": "zst"}
_BY_FIRST_BYTES = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst"}


class LineReader(Protocol):
    """What importing needs of a file."""

    def readline(self, size: int, /) -> bytes:
        """The next line, or as many bytes of it."""


def compression_of(name: str) -> str | None:
    """The compression that a file's name asks for.

    >>> compression_of("events.ndjson.gz"), compression_of("events.ndjson")
    ('gz', None)
    """
    return next((kind for end, kind in _BY_ENDING.items() if name.lower().endswith(end)), None)


class Frames:
    """Writes bytes to a file, compressed, in frames.

    Args:
        file: where they go; it stays open.
        compression: `gz`, `zst`, or none.

    Raises:
        InvalidSetting: the compression has another name.
        MissingExtra: it is zstd, and nothing here knows it.
    """

    def __init__(self, file: BinaryIO, compression: str | None) -> None:
        self._file = file
        self._frame: Any = None
        self._new_frame = self._maker(compression)

    def _maker(self, compression: str | None) -> Callable[[], Any]:
        if compression is None:
            return lambda: None
        if compression == "gz":
            # Neither time nor name: the same events give the same bytes.
            return lambda: GzipFile("", "wb", 6, fileobj=self._file, mtime=0)
        if compression == "zst":
            zstd = _zstd()
            # gzip has one always; without it a damaged file would be read as something else.
            checksum = {zstd.CompressionParameter.checksum_flag: 1}
            return lambda: zstd.ZstdFile(self._file, "wb", options=checksum)
        raise InvalidSetting(f"compression {shorten(compression)} must be gz or zst, or left out")

    def write(self, data: bytes) -> None:
        """Write into the frame that is open, or begin one."""
        if self._frame is None:
            self._frame = self._new_frame()
        (self._frame or self._file).write(data)

    def end_frame(self) -> None:
        """Make the file whole as far as it was written."""
        if self._frame is not None:
            self._frame.close()
            self._frame = None
        self._file.flush()


@contextmanager
def reader_of(file: BinaryIO) -> Iterator[tuple[LineReader, tuple[type[Exception], ...]]]:
    """A file's text, whatever it is compressed with, and the errors that mean it is damaged.

    Raises:
        MissingExtra: it is compressed with zstd, and nothing here knows it.
        OSError: it cannot be read.
    """
    if hasattr(file, "peek"):
        yield _decompressed(file)
        return
    buffered = io.BufferedReader(cast("io.RawIOBase", file))
    try:
        yield _decompressed(buffered)
    finally:
        buffered.detach()  # else it would close a file that is the caller's


def _decompressed(file: Any) -> tuple[LineReader, tuple[type[Exception], ...]]:
    first = file.peek(4)
    kind = next((kind for start, kind in _BY_FIRST_BYTES.items() if first.startswith(start)), None)
    if kind == "gz":
        return GzipFile(fileobj=file), (OSError, EOFError, zlib.error)
    if kind == "zst":
        zstd = _zstd()
        return zstd.ZstdFile(file), (OSError, EOFError, zstd.ZstdError)
    return file, (OSError,)


def _zstd() -> Any:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError:
        raise MissingExtra("zstd compression", "zstd") from None
    return zstd
