"""Lines of a body that comes in chunks, in bounded memory.

A line that is longer than any event is left out and said to be so; what follows it is read.
"""

from __future__ import annotations

__all__ = ["Lines"]


class Lines:
    r"""Cuts chunks into lines.

    Args:
        longest: the longest line that is kept (bytes).

    >>> lines = Lines(5)
    >>> lines.of(b"one\ntw"), lines.of(b"o\nthousands\n"), lines.last()
    ([b'one'], [b'two', None], [])
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0

    def of(self, chunk: bytes) -> list[bytes | None]:
        """The lines that end in this chunk, without their ends; None for one that is too long."""
        first, *others = chunk.split(b"\n")
        self._hold(first)
        if not others:
            return []
        lines = [self._taken()]
        last = others.pop()
        longest = self._longest
        lines += [line if len(line) <= longest else None for line in others]
        self._hold(last)
        return lines

    def last(self) -> list[bytes | None]:
        """What stands behind the last line end, if anything does."""
        return [self._taken()] if self._size else []

    def _hold(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self._longest:
            self._parts.append(part)
        else:
            self._parts.clear()

    def _taken(self) -> bytes | None:
        line = b"".join(self._parts) if self._size <= self._longest else None
        self._parts, self._size = [], 0
        return line
