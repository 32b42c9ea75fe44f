"""The newest events of the log, in memory, for all streams of this process.

Every subscriber is a cursor into it: a position. There is no queue for each client, so a slow one
costs nothing, and one that falls out of the ring reads on from the store (`backlog`). An event is
encoded once, when the first stream selects it. Bounded by count, size and age: what was redacted or
pruned in the store is gone from here a little later, too. Used from the event loop alone.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter

from tidings.record import CONTEXT, EXTENSIONS, PAYLOAD
from tidings.server.live.frames import frame_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidings.event import Event

__all__ = ["Entry", "Ring"]

_OVERHEAD = 1000
"""What an event takes beside its texts, about (bytes)."""

_position = attrgetter("position")


class Entry:
    """An event in the ring, and its frame once somebody wanted it."""

    __slots__ = ("_frame", "event", "position", "since", "size")

    def __init__(self, event: Event, since: float) -> None:
        record = event.record
        texts = (record[PAYLOAD], record[CONTEXT], record[EXTENSIONS])
        self.event = event
        self.position: int = event.position or 0
        self.since = since
        # The frame repeats the payload; whether it will be made is not known yet.
        self.size = _OVERHEAD + 3 * sum(map(len, filter(None, texts)))
        self._frame: bytes | None = None

    @property
    def frame(self) -> bytes:
        """The event as it is sent, without its `event` field."""
        if self._frame is None:
            self._frame = frame_of(self.event)
        return self._frame


class Ring:
    """The newest events, in order of position.

    Args:
        most_events: so many are held at most.
        most_bytes: so much memory they may take, about.
        most_seconds: so long an event stays.

    Attributes:
        start: events past this position are here.
        end: up to this position the log was read.
        begun: whether it is kept up with the log.

    >>> ring = Ring()
    >>> ring.begin(17)
    >>> ring.covers(16), ring.covers(17), ring.covers(18)
    (False, True, True)
    """

    def __init__(
        self,
        most_events: int = 10_000,
        most_bytes: int = 32 * 1024 * 1024,
        most_seconds: float = 60.0,
    ) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._most_seconds = most_seconds
        self._entries: list[Entry] = []
        self._bytes = 0
        self.begun = False
        self.start = self.end = 0

    def begin(self, position: int) -> None:
        """Begin anew, empty, at a position."""
        self._entries.clear()
        self._bytes = 0
        self.begun = True
        self.start = self.end = position

    def stop(self) -> None:
        """Let go of everything; no cursor is covered until it begins anew."""
        self.begin(0)
        self.begun = False

    def covers(self, cursor: int) -> bool:
        """Whether all that comes past a cursor is here, or will be."""
        return self.begun and cursor >= self.start

    def append(self, events: Sequence[Event], end: int, now: float) -> None:
        """Take what comes next in the log.

        Args:
            events: in order, all past `end` so far.
            end: the position up to which the log has now been read.
            now: the time, to know their age by (seconds, monotonic).
        """
        for event in events:
            entry = Entry(event, now)
            self._bytes += entry.size
            self._entries.append(entry)
        self.end = max(self.end, end)
        self.trim(now)

    def trim(self, now: float) -> None:
        """Let go of what is too much or too old."""
        over = max(0, len(self._entries) - self._most_events)
        size = self._bytes - sum(entry.size for entry in self._entries[:over])
        for entry in self._entries[over:]:
            if size <= self._most_bytes and now - entry.since <= self._most_seconds:
                break
            size -= entry.size
            over += 1
        if over:
            self.start = self._entries[over - 1].position
            del self._entries[:over]
            self._bytes = size

    def after(self, cursor: int) -> Iterator[Entry]:
        """The entries past a cursor."""
        index = bisect_right(self._entries, cursor, key=_position)
        entries = self._entries
        while index < len(entries):
            yield entries[index]
            index += 1

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """The memory its events take, about."""
        return self._bytes
