"""How many requests may be under way, so that the dead and the slow take no room from the living.

There are three rooms: for endpoints that answer promptly, for those that answer slowly, and for the
doubtful ones, which may not answer at all; of these the broken wait in a line of their own, from
which few are let in each second, evenly. A request that takes long while others wait is counted
among the doubtful from then on; where even those are too many, it is broken off, to be made again
when there is room for it. So thousands of endpoints that hang fill their own room, and take a place
among the prompt ones for a moment at most. Bookkeeping only; for one event loop.
"""

from __future__ import annotations

import heapq
from collections import deque
from itertools import count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Task, TimerHandle
    from collections.abc import Callable, Iterator

    from tidings.delivery.webhooks.channel import Channel

__all__ = ["BROKEN_EACH_SECOND", "PROMPT_SECONDS", "Flight", "Pace", "Rooms", "Timetable"]

PROMPT_SECONDS = 0.2
"""A request that takes longer makes way if others wait for a place."""

_LONG_SECONDS = 1.0
"""One that takes so long makes way in any case, and is broken off where there is no other way."""

_PROMPT_PLACES = 128
"""More would not make anything faster: at a thousand requests a second, each took that long."""


_OTHER_PLACES = 512
"""So many for slow ones, and as many for doubtful ones: each request under way takes memory."""


BROKEN_EACH_SECOND = 50
"""So many requests to broken endpoints begin in a second, all together."""

_AT_A_TIME = 5
"""No more of the broken are let in at a time: what they were not let in for is not made up for."""

_BROKEN_SHARE = 8
"""This part of the doubtful's places the broken have in any case: who came back is heard of."""

_OTHERS_EVERY = 4
"""Every so many places are for those of whom it is not known that they live."""


class _Room:
    """A number of requests that may be under way at once, and who waits for one to end.

    Args:
        size: so many.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.taken = 0
        self._waiting: tuple[deque[Channel], deque[Channel]] = (deque(), deque())
        self._waits: set[Channel] = set()  # not by id: a shard that is loaded anew has new ones
        self._turn = 0

    @property
    def has_place(self) -> bool:
        """Whether one more may begin."""
        return self.taken < self.size

    def enter(self) -> None:
        """A request begins."""
        self.taken += 1

    def leave(self) -> None:
        """A request has ended, or is counted elsewhere from now on."""
        self.taken -= 1

    def wait(self, channel: Channel) -> None:
        """Have an endpoint wait for a place, behind those that wait already.

        Those that took the last thing they were sent have a line of their own, so that thousands
        that may turn out dead are not ahead of them.
        """
        if channel not in self._waits:
            self._waits.add(channel)
            self._waiting[not channel.health.proven].append(channel)

    def next(self) -> Channel | None:
        """Who is to begin, if there is a place for it; it waits no longer."""
        if not self._waits or not self.has_place:
            return None
        self._turn += 1
        line = self._waiting[self._turn % _OTHERS_EVERY == 0] or self._waiting[0]
        channel = (line or self._waiting[1]).popleft()
        self._waits.discard(channel)
        return channel

    @property
    def waiting(self) -> int:
        """How many endpoints wait for a place."""
        return len(self._waits)


class _BrokenRoom(_Room):
    """The doubtful room's door for the broken: of its places few are given to them in a second.

    Args:
        doubtful: where they are let in.
        time: gives the time (seconds, monotonic).
    """

    def __init__(self, doubtful: _Room, time: Callable[[], float]) -> None:
        super().__init__(doubtful.size)
        self._doubtful = doubtful
        self._time = time
        self._pace = Pace(BROKEN_EACH_SECOND, _AT_A_TIME)

    @property
    def has_place(self) -> bool:
        return self._has_room and not self._pace.pause(self._time())

    @property
    def _has_room(self) -> bool:
        return self._doubtful.has_place or self.taken < max(1, self.size // _BROKEN_SHARE)

    def enter(self) -> None:
        super().enter()
        self._doubtful.enter()
        self._pace.take(self._time())

    def leave(self) -> None:
        super().leave()
        self._doubtful.leave()

    def pause(self) -> float | None:
        """How long (seconds) until who waits is to be let in, if only the pace keeps it out."""
        if not self.waiting or not self._has_room:
            return None
        return self._pace.pause(self._time())


class Flight:
    """A request under way, and the room it is counted in.

    Args:
        room: where it begins.
        began: when (seconds, monotonic).

    Attributes:
        broken_off: whether it was cancelled so that others have room.
        task: what makes it.
        timer: what looks at it.
    """

    __slots__ = ("_ended", "began", "broken_off", "room", "task", "timer")

    def __init__(self, room: _Room, began: float) -> None:
        self.began = began
        self.broken_off = False
        self.room = room
        self.task: Task[None] | None = None
        self.timer: TimerHandle | None = None
        self._ended = False
        room.enter()

    def move(self, room: _Room) -> None:
        """Count it in another room from now on."""
        self.room.leave()
        self.room = room
        room.enter()

    def end(self, _task: object = None) -> None:
        """It has ended; saying so again is harmless."""
        if not self._ended:
            self._ended = True
            self.room.leave()
        if self.timer is not None:
            self.timer.cancel()


class Rooms:
    """The rooms of a process.

    Args:
        limit: so many requests may be under way at once, all together.
        time: gives the time (seconds, monotonic).
    """

    def __init__(self, limit: int, time: Callable[[], float]) -> None:
        self._prompt = _Room(max(1, min(_PROMPT_PLACES, limit // 2)))
        self._slow = _Room(max(1, min(_OTHER_PLACES, limit // 4)))
        self._doubtful = _Room(max(1, min(_OTHER_PLACES, limit // 4)))
        self._broken = _BrokenRoom(self._doubtful, time)
        self._others = max(2, min(2 * _OTHER_PLACES, limit - self._prompt.size))

    def of(self, channel: Channel) -> _Room:
        """Where an endpoint's requests begin now."""
        if channel.health.broken:
            return self._broken
        if channel.health.doubtful:
            return self._doubtful
        return self._slow if channel.health.slow else self._prompt

    def next(self) -> Iterator[Channel]:
        """Those who wait longest, while there are places for them."""
        for room in (self._prompt, self._slow, self._doubtful, self._broken):
            while (channel := room.next()) is not None:
                yield channel

    def pause(self) -> float | None:
        """How long (seconds) until `next` gives one though no request has ended; none if never."""
        return self._broken.pause()

    def clear_way(self, flight: Flight, now: float) -> bool:
        """Have a request that takes long make way for others; whether it has.

        Args:
            flight: it; where it is broken off, its task is cancelled.
            now: the time (seconds, monotonic).
        """
        if flight.room is not self._prompt:
            return True
        is_long = now - flight.began >= _LONG_SECONDS
        if not is_long and not self._prompt.waiting:
            return False
        if self._slow.taken + self._doubtful.taken < self._others:
            flight.move(self._doubtful)
            return True
        if is_long and self._prompt.waiting and flight.task is not None:
            flight.broken_off = True
            flight.task.cancel()
            return True
        return False

    @property
    def taken(self) -> int:
        """How many requests are under way."""
        return self._prompt.taken + self._slow.taken + self._doubtful.taken

    @property
    def waiting(self) -> int:
        """How many endpoints wait for a place."""
        rooms = (self._prompt, self._slow, self._doubtful, self._broken)
        return sum(room.waiting for room in rooms)


class Pace:
    """So many in a second, evenly.

    Args:
        each_second: how many.
        at_a_time: so many may come together after a rest.

    >>> pace = Pace(2, at_a_time=1)
    >>> pace.take(10.0)
    >>> pace.pause(10.0), pace.pause(10.25), pace.pause(17.0)
    (0.5, 0.25, 0.0)
    """

    def __init__(self, each_second: float, at_a_time: int) -> None:
        self._interval = 1 / each_second
        self._rested = (at_a_time - 1) * self._interval
        self._next = 0.0

    def pause(self, now: float) -> float:
        """How long (seconds) until one more may come; 0 where it may at this time (monotonic)."""
        return max(0.0, self._next - now)

    def take(self, now: float) -> None:
        """One has come."""
        self._next = max(self._next, now - self._rested) + self._interval


class Timetable:
    """When which endpoint must be looked at again; one instant for each."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Channel]] = []
        self._due: dict[Channel, int] = {}
        self._order = count()

    def set(self, channel: Channel, due: int | None) -> None:
        """Look at an endpoint at this instant (microseconds), and not before; or not at all."""
        if due is None:
            self._due.pop(channel, None)
        elif self._due.get(channel) != due:
            self._due[channel] = due
            heapq.heappush(self._heap, (due, next(self._order), channel))

    def due(self, now: int) -> Iterator[Channel]:
        """The endpoints whose instant has come."""
        while self._heap and self._heap[0][0] <= now:
            due, _, channel = heapq.heappop(self._heap)
            if self._due.get(channel) == due:
                del self._due[channel]
                yield channel

    def next(self) -> int | None:
        """The next instant, or an earlier one that was cancelled."""
        return self._heap[0][0] if self._heap else None
