"""Makes a screenshot small enough for a repository: 256 colours, packed as tightly as PNG can.

A page has a few hundred colours in earnest, and many more at the edges of its letters; the rare
ones become the nearest of the frequent ones.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["small_png"]

_COLOURS = 256
_HEADER = b"\x89PNG\r\n\x1a\n"
# The browser decodes what the browser has encoded.
_PIXELS = """async encoded => {
  const bytes = Uint8Array.from(atob(encoded), letter => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes]));
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  let text = "";
  for (let n = 0; n < data.length; n += 8192)
    text += String.fromCharCode(...data.subarray(n, n + 8192));
  return [image.width, image.height, btoa(text)];
}"""


def small_png(page: Page) -> bytes:
    """What a page shows, as a PNG."""
    encoded = base64.b64encode(page.screenshot()).decode()
    width, height, pixels = page.evaluate(_PIXELS, encoded)
    data = base64.b64decode(pixels)
    palette, indexes = _reduced([data[n : n + 3] for n in range(0, len(data), 4)])
    # Without filters: neighbours in a palette have nothing in common.
    rows = b"".join(b"\0" + indexes[n : n + width] for n in range(0, width * height, width))
    return (
        _HEADER
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        + _chunk(b"PLTE", b"".join(palette))
        + _chunk(b"IDAT", zlib.compress(rows, 9))
        + _chunk(b"IEND", b"")
    )


def _reduced(colours: list[bytes]) -> tuple[list[bytes], bytes]:
    """A palette, and for each pixel its place there."""
    counted = [colour for colour, _ in Counter(colours).most_common()]
    palette = sorted(counted[:_COLOURS])
    places = {colour: place for place, colour in enumerate(palette)}
    for colour in counted[_COLOURS:]:
        nearest = min(palette, key=lambda each: _distance(each, colour))
        places[colour] = places[nearest]
    return palette, bytes(places[colour] for colour in colours)


def _distance(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))
