"""Bodies that come compressed, read back within bounds.

Keeps promise 6: a small body that would become a huge one is refused before it has.
"""

from __future__ import annotations

import asyncio
import zlib

from tidings.errors import shorten
from tidings.server.calls import too_large
from tidings.server.problems import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.server.calls import Call

__all__ = ["expanded"]

_CODINGS = ("gzip", "deflate")
_MOST_PARTS = 16
"""So many streams of gzip one after the other are one body; some tools write several."""

_EITHER_HEADER = 32 + zlib.MAX_WBITS
"""Have zlib tell by its first bytes whether data is gzip's or its own."""


async def expanded(call: Call, limit: int) -> bytes:
    """The whole body of a request, as it was before it was compressed.

    Args:
        call: the request; one without Content-Encoding is read as it is.
        limit: the most that is taken, compressed or not (bytes).

    Raises:
        Problem: it is larger (413), takes too long (408), is compressed in a way that is not known
            (415), or not as it says (400).
        Disconnected: the client has gone.
    """
    coding = (call.header("content-encoding") or "identity").strip().lower()
    if coding not in ("identity", *_CODINGS):
        detail = f"a body in Content-Encoding {shorten(coding)} is not read; gzip is"
        headers = (("accept-encoding", ", ".join(_CODINGS)),)
        raise Problem(415, "unsupported-encoding", detail, headers=headers)
    body = await call.body(limit)
    return body if coding == "identity" else await asyncio.to_thread(_expand, body, limit)


def _expand(body: bytes, limit: int) -> bytes:
    """The data in one stream of zlib or gzip, or in several of gzip one after the other."""
    parts: list[bytes] = []
    left, size = body, 0
    try:
        while left:
            if len(parts) == _MOST_PARTS:
                raise _broken(f"it has more than {_MOST_PARTS} parts")
            reader = zlib.decompressobj(_EITHER_HEADER)
            parts.append(reader.decompress(left, limit - size + 1))
            size += len(parts[-1])
            if size > limit:
                raise too_large(limit)
            if not reader.eof:
                raise _broken("it ends too early")
            left = reader.unused_data
    except zlib.error as error:
        raise _broken(str(error)) from None
    return b"".join(parts)


def _broken(why: str) -> Problem:
    return Problem(400, "broken-encoding", f"the compressed body cannot be read: {why}")
