"""Putting in order: from the waiting room into the next segment.

Keeps: an entry leaves the waiting room only once the segment that holds it is on the disk under a
number that nobody can take from it. It can be killed or paused anywhere, and two may do it at once:
what is then done twice is found by the names of the entries, here in the newest segments, and in
every replica for long.
"""

from __future__ import annotations

import os
from collections import deque
from threading import Event

from tidings.store.replicated.log import LogTrimmed
from tidings.store.shared.layout import segment_header
from tidings.store.shared.segments import GROUP, MOST_ENTRIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidings.store.shared.lease import Lease
    from tidings.store.shared.place import Place
    from tidings.store.shared.segments import Segments
    from tidings.store.shared.waiting_room import Packet, WaitingRoom

__all__ = ["Ordering"]

_MOST_ENTRIES = 10_000
_MOST_BYTES = 32 * 1024 * 1024
_LOOKED_BACK = 3
"""In so many segments it is looked whether what waits stands there already."""

_GATHER_SECONDS, _GATHER_PAUSE = 0.015, 0.003
"""How long a segment waits for those who were in the one before, and how often it looks."""

_TRIES = 100
_TRUSTED_SECONDS = 600.0
"""How long after a look at the directory it still counts. Blocks are removed an hour after their
last segment, so until then no name that was claimed meanwhile can have become free."""


class Ordering:
    """One who puts in order, as long as the process goes on; only one thread at a time.

    Args:
        place: the log's directory.
        room: where entries wait.
        segments: where they go.
        lease: held by whoever puts in order.
    """

    def __init__(self, place: Place, room: WaitingRoom, segments: Segments, lease: Lease) -> None:
        self._place = place
        self._room = room
        self._segments = segments
        self._lease = lease
        self._never = Event()
        self._forget()

    def _forget(self) -> None:
        self.next = 0
        self._token: str | None = None
        self._recent: deque[frozenset[str]] = deque(maxlen=_LOOKED_BACK)
        self._looked = 0.0
        self._full: list[int] = []

    def once(self, known: int) -> int:
        """Put one segment in order from files that wait; the lease should be held.

        Args:
            known: so many segments there are at least.

        Returns:
            How many files left the waiting room.

        Raises:
            OSError: the directory cannot be written.
        """
        self._looked = self._place.files.monotonic()
        # In this order: what others put in order from here on stands where our segment wants to be.
        self._catch_up(known)
        packets = self._gathered(self._names())
        if not packets:
            return 0
        for _ in range(_TRIES):
            fresh, there = self._split(packets)
            if not fresh or self._claimed(fresh):
                break
            before = self.next
            self._catch_up(before)
            if self.next - before > _LOOKED_BACK:
                return 0  # We were paused. Of what we hold, much may be in order; look again.
        else:
            self._forget()
            return 0  # Others are at it too, and faster each time.
        if self._place.files.monotonic() - self._looked > _TRUSTED_SECONDS:
            self._forget()  # Paused for long. What is in order is found so by the next look.
            return 0
        for packet in (*fresh, *there):
            self._room.remove(packet.name)
            self._lease.beat()
        return len(packets)

    def taken_full(self) -> list[int]:
        """The groups of segments that became full since this was asked last."""
        full, self._full = self._full, []
        return full

    def _names(self) -> list[str]:
        """The files that wait, by when they came.

        Where many are at work, those whose entries are in the newest segment are waited for a
        moment: what they send next then fills one segment rather than several.
        """
        names = self._room.names()
        expected = len(self._recent[-1]) if self._recent else 0
        files = self._place.files
        end = files.monotonic() + _GATHER_SECONDS
        while 0 < len(names) < expected and files.monotonic() < end:
            files.pause(self._never, _GATHER_PAUSE)
            names = self._room.names()
        return names

    def _gathered(self, names: Iterable[str]) -> list[Packet]:
        """What the files hold, as much as fits a segment."""
        packets: list[Packet] = []
        entries = size = 0
        for name in names:
            self._lease.beat()
            packet = self._room.read(name)
            if packet is None:
                continue
            if entries + len(packet.items) > MOST_ENTRIES:
                break
            packets.append(packet)
            entries += len(packet.items)
            size += sum(item.length for item in packet.items)
            if entries >= _MOST_ENTRIES or size >= _MOST_BYTES:
                break
        return packets

    def _catch_up(self, known: int) -> None:
        """Find the next free number, and what the newest segments hold."""
        count = self._segments.count(max(self.next, known))
        for number in range(max(self.next, count - _LOOKED_BACK), count):
            self._token = None
            try:
                segment = self._segments.head(number)
            except LogTrimmed:
                continue
            if segment is not None:
                self._token = segment.token
                self._recent.append(frozenset(item.name for item in segment.items))
        self.next = count

    def _split(self, packets: list[Packet]) -> tuple[list[Packet], list[Packet]]:
        """The packets that are not in order yet, each once, and those that are."""
        known = set().union(*self._recent)
        fresh: list[Packet] = []
        there: list[Packet] = []
        for packet in packets:
            names = {item.name for item in packet.items}
            (there if names <= known else fresh).append(packet)
            known |= names
        return fresh, there

    def _claimed(self, packets: list[Packet]) -> bool:
        """Write the next segment; false where another was faster."""
        token = os.urandom(8).hex()
        items = [item for packet in packets for item in packet.items]
        header = segment_header(self._place.log, self.next, token, self._token, items)
        data = [each for packet in packets for each in packet.data]
        self._lease.beat()
        if not self._segments.claim(self.next, [header, *data]):
            return False
        if self.next % GROUP == GROUP - 1:
            self._full.append(self.next // GROUP)
        self.next += 1
        self._token = token
        self._recent.append(frozenset(item.name for item in items))
        return True
