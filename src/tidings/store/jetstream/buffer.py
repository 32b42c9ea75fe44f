"""What came from the stream and waits to be read: between the loop's thread and all others.

Keeps promise 2 with `following`: what it gives from a sequence on has no hole. It holds what lies
past one sequence only; a reader who goes on from another place moves it there.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from threading import Condition
from time import monotonic

from tidings.store.replicated.log import Entry, LogTrimmed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ENOUGH_BYTES", "Buffer"]

ENOUGH_BYTES = 4 << 20
"""While so much waits to be read, no more is asked for (bytes)."""

_AT_ONCE = 1_000
_BYTES_AT_ONCE = 8 << 20

_FAR = 500
"""A reader so many sequences past all that came is followed to where it is."""

_TURN = 0.1
"""How long a reader keeps the place it moved to while nothing comes, and another wants it elsewhere
(seconds)."""


class Buffer:
    """Entries that follow one sequence without a hole.

    Args:
        wake: called, from any thread, when the loop has something to do: the place was moved, or
            there is room again.

    Attributes:
        moved: how often the place was moved; entries that were asked for before are no longer
            wanted.
        after: what comes in must follow this sequence; None while nobody reads.
        asked: when somebody last read or waited (on the monotonic clock).
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._changed = Condition()
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._start = -1
        self._turn_ends = 0.0
        self._first = 0
        self._failure: Exception | None = None
        self._closed = False
        self._waiting = 0
        self._full = False
        self.moved = 0
        self.after: int | None = None
        self.asked = monotonic()

    # Readers, in any thread -----------------------------------------------------------------------

    def take(self, after: int) -> list[Entry]:
        """The entries past a sequence that are here, without waiting.

        Raises:
            LogTrimmed: they were trimmed away.
            Exception: what the loop failed with; once.
        """
        with self._changed:
            self.asked = monotonic()
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            here = self._settle(after)
            if here and self._entries:
                self._turn_ends = 0.0
                return self._piece()
            if after + 1 < self._first:
                self._turn_ends = 0.0
                raise LogTrimmed
            return []

    def wait(self, after: int, timeout: float) -> bool:
        """Wait until `take(after)` gives something, or raises; whether it may."""
        end = monotonic() + timeout
        with self._changed:
            self._waiting += 1
            try:
                while not self._closed:
                    self.asked = monotonic()
                    here = self._settle(after)
                    if self._failure is not None or after + 1 < self._first:
                        return True
                    if here and self._entries:
                        return True
                    left = end - self.asked
                    if left <= 0:
                        return False
                    self._changed.wait(left if here else min(left, _TURN))
                return False
            finally:
                self._waiting -= 1

    def _settle(self, after: int) -> bool:
        """Be where a reader goes on, if that is near or nobody else needs the place now."""
        if self._is_elsewhere(after):
            if after + 1 < self._first or monotonic() < self._turn_ends:
                return False
            self._move(after)
            return True
        start = self._start
        while self._entries and self._entries[0].sequence <= after:
            self._bytes -= len(self._entries.popleft().data)
        self._start = max(start, after if self.after is None else min(after, self.after))
        if self._full and self._bytes < ENOUGH_BYTES:
            self._full = False
            self._wake()
        return True

    def _is_elsewhere(self, after: int) -> bool:
        """Whether what follows a sequence will not come where the place is now."""
        if self.after is None or after < self._start or after > self.after + _FAR:
            return True
        # Nothing comes to a place that was trimmed away.
        return self.after + 1 < self._first <= after + 1

    def _move(self, after: int) -> None:
        self._entries.clear()
        self._bytes = 0
        self._start = self.after = after
        self._turn_ends = monotonic() + _TURN
        self.moved += 1
        self._wake()
        self._changed.notify_all()

    def _piece(self) -> list[Entry]:
        if self._bytes <= _BYTES_AT_ONCE:
            return list(islice(self._entries, _AT_ONCE))
        piece: list[Entry] = []
        size = 0
        for entry in islice(self._entries, _AT_ONCE):
            size += len(entry.data)
            if piece and size > _BYTES_AT_ONCE:
                break
            piece.append(entry)
        return piece

    # The loop -------------------------------------------------------------------------------------

    def add(self, moved: int, entry: Entry) -> bool:
        """Take in what follows; false where it is wanted no longer.

        Args:
            moved: what `moved` was when it was asked for.
            entry: the next one.
        """
        with self._changed:
            if moved != self.moved or self._closed:
                return False
            self._entries.append(entry)
            self._bytes += len(entry.data)
            self.after = entry.sequence
            if self._waiting:
                self._changed.notify_all()
            return True

    def has_room(self) -> bool:
        """Whether more may come; if not, the loop is woken when it may."""
        with self._changed:
            self._full = self._bytes >= ENOUGH_BYTES
            return not self._full

    def note_first(self, first: int) -> None:
        """Note that what lies before a sequence is gone from the stream."""
        with self._changed:
            if first > self._first:
                self._first = first
                self._changed.notify_all()

    def drop_through(self, sequence: int) -> None:
        """Give nothing up to a sequence any more: it was trimmed."""
        self.note_first(sequence + 1)
        with self._changed:
            if self.after is not None and self._start < sequence:
                self._settle(min(sequence, self.after))

    def fail(self, error: Exception) -> None:
        """Let the next reader have an error."""
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    def rest(self, longest: float) -> bool:
        """Drop everything where nobody has read for long (seconds); whether that was so."""
        with self._changed:
            if self._waiting or monotonic() - self.asked < longest:
                return False
            self._entries.clear()
            self._bytes = 0
            self.after = None
            self.moved += 1
            return True

    def close(self) -> None:
        """Let whoever waits go on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
