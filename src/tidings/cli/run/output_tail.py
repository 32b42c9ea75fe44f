"""The last lines of a command's output, in bounded memory: what its end event shows."""

from __future__ import annotations

import re
from threading import Lock

__all__ = ["OutputTail"]

# Control sequences (CSI) and strings (OSC) of ECMA-48, which colour and move what a terminal shows.
_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_CONTINUATION = bytes(range(0x80, 0xC0))


class OutputTail:
    r"""Keeps the last lines that were fed to it, whichever stream they came from.

    Args:
        lines: at most so many; 0 keeps nothing.
        size: at most so many bytes of UTF-8.

    Of a line that was drawn over and over, as progress bars are, only the last state is kept, and
    no colours. Safe for many threads.

    >>> tail = OutputTail(lines=2, size=100)
    >>> tail.feed(b"one\ntwo\n 10 %\r 99 %\n")
    >>> tail.text()
    'two\n 99 %'
    """

    def __init__(self, lines: int, size: int) -> None:
        self._lines = lines
        self._size = size
        self._data = b""
        self._cut = False
        self._lock = Lock()

    def feed(self, chunk: bytes) -> None:
        """Take what was just put out; costs little, however much it is."""
        if not self._lines or not self._size:
            return
        with self._lock:
            self._cut = self._cut or len(chunk) > self._size
            self._data += chunk[-self._size :]
            if len(self._data) > 2 * self._size:
                self._shorten()

    def text(self) -> str:
        """The last lines, without the line break at their end."""
        with self._lock:
            data, cut = self._data, self._cut
        lines = list(map(_as_last_drawn, data.split(b"\n")))
        if lines and not lines[-1]:
            lines.pop()
        if cut and lines:
            # The first line may begin in the middle of a character.
            lines[0] = lines[0].lstrip(_CONTINUATION)
        text = b"\n".join(lines[-self._lines :] if self._lines else ()).decode("utf-8", "replace")
        plain = _SEQUENCES.sub("", text)
        return plain.encode()[-self._size :].decode("utf-8", "ignore") if self._size else ""

    def _shorten(self) -> None:
        data = b"\n".join(map(_as_last_drawn_so_far, self._data.split(b"\n")))
        self._cut = self._cut or len(data) > self._size
        self._data = data[-self._size :]


def _as_last_drawn(line: bytes) -> bytes:
    return line.rstrip(b"\r").rpartition(b"\r")[2]


def _as_last_drawn_so_far(line: bytes) -> bytes:
    # A carriage return at the end may be followed by a line feed, or by the next state.
    drawn = _as_last_drawn(line)
    return drawn + b"\r" if line.endswith(b"\r") else drawn
