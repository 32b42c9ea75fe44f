"""A partition of a subscription: reads on, a turn at a time, and has events handled.

Keeps promise 3 for handlers, with others: `Progress` is the bookkeeping, `Checkpoint` saves it,
`Course` has one event handled and decides what becomes of it. Here is which events are looked at
and when; a partition of a subscription that is paused or over looks at none.
"""

from __future__ import annotations

import logging
from contextlib import closing
from itertools import islice

from tidings.errors import HistoryPruned
from tidings.following import reading_query
from tidings.record import POSITION
from tidings.subscriptions.checkpoint import Checkpoint, Refused
from tidings.subscriptions.course import Course
from tidings.subscriptions.dead_letters import DeadLetters
from tidings.subscriptions.duties import Duty
from tidings.subscriptions.generations import CLOSED, key_of, partition_key
from tidings.subscriptions.progress import lane_of, partition_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tidings.bus import Bus
    from tidings.clock import Clock
    from tidings.event import Event
    from tidings.handlers import Handler
    from tidings.subscriptions.calling import Calls
    from tidings.subscriptions.dead_letters import DeadLetter
    from tidings.subscriptions.leases import Lease

__all__ = ["Partition"]

_TURN_SECONDS = 0.25
"""A turn reads on for so long, and tries what failed for so long; then it looks whether anybody
wants something else of it. One event may take longer."""

_NEVER = 2**63 - 1
"""The position of a partition that new events do not concern."""

_MICROSECONDS = 1_000_000

_log = logging.getLogger("tidings.subscriptions")


class Partition(Duty):
    """One partition of a subscription.

    Args:
        bus: where events are, and where what handlers emit goes.
        handler: what is to be done.
        calls: calls it.
        record: what the subscription's record says; see `Generations.declare`.
        index: which of its partitions.
        clock: what time it is.
    """

    def __init__(
        self,
        bus: Bus,
        handler: Handler,
        calls: Calls,
        record: dict[str, Any],
        index: int,
        clock: Clock,
    ) -> None:
        self.name = str(handler.name)
        self.index = index
        self.generation: int = record["generation"]
        self.partitions: int = record["partitions"]
        self.key = partition_key(self.name, self.generation, index)
        self.first = CLOSED  # its record is made with the subscription's; see `Generations`
        self._bus = bus
        self._store = bus.store
        self._handler = handler
        self._calls = calls
        self._clock = clock
        self._letters = DeadLetters(bus.store)
        self._course: Course | None = None
        self._look = True
        self._runs = False
        self._is_stuck = False

    def rang(self) -> None:
        """Look at what people decided."""
        self._look = True

    def leave(self, lease: Lease) -> None:
        """Save."""
        if self._course is not None and self._course.checkpoint.lease is lease:
            try:
                self._course.checkpoint.save()
            except Refused as refused:
                _log.warning("%s handles the events since the last save again: %s", self, refused)

    def turn(self, lease: Lease, now: int) -> int | None:
        """Try what is due, read on; see `Duty.turn`."""
        if lease.value.get("closed"):
            self.position = _NEVER
            return None
        course = self._course
        if course is None or course.checkpoint.lease is not lease:
            checkpoint = Checkpoint(self._bus, lease, self._clock)
            who = (str(self), self.name)
            course = Course(self._bus, self._handler, self._calls, checkpoint, self._clock, who)
            self._course = course
            self._look = True
        more = True
        try:
            more = self._work(course, now)
        except Refused as refused:
            course.go_singly(refused)
        except HistoryPruned as pruned:
            course.skip_to(pruned.first)
        return self._next(course.checkpoint, now, more=more)

    def __str__(self) -> str:
        return self.name if self.partitions == 1 else f"{self.name}/{self.index}"

    def _work(self, course: Course, now: int) -> bool:
        """Do a turn's work, and save if it is time; whether there may be more of it."""
        if self._look:
            self._look_again(course, now)
        if not self._runs:
            course.checkpoint.save()
            return False
        until = self._clock.elapsed() + _TURN_SECONDS
        for lane in course.checkpoint.progress.due(now):
            course.try_lane(lane, until)
            if self._clock.elapsed() >= until:
                break
        more = not self._full(course) and self._read_on(course)
        course.checkpoint.save_if_due(idle=not more)
        return more

    def _next(self, checkpoint: Checkpoint, now: int, *, more: bool) -> int | None:
        """When to come back, and whether new events matter before."""
        progress = checkpoint.progress
        if not self._runs:
            self.position = _NEVER
            return None
        self.position = _NEVER if progress.full else progress.position
        if more and not progress.full:
            return now
        due = progress.next_due()
        left = checkpoint.due_in(idle=True)
        if left is not None:
            save_at = self._clock.now() + round(left * _MICROSECONDS)
            due = save_at if due is None else min(due, save_at)
        return due

    # Reading on -----------------------------------------------------------------------------------

    def _read_on(self, course: Course) -> bool:
        """Have handled what lies past the position, for a while; whether there may be more."""
        elapsed = self._clock.elapsed
        until = elapsed() + _TURN_SECONDS
        query = self._handler.query.replace(before=None)
        with closing(self._store.read(reading_query(query, course.position))) as reading:
            while (page := reading.next_page()) is not None:
                if self._handle_page(course, page.events, until):
                    return True
                course.position = max(course.position, page.position)
                if elapsed() >= until:
                    return True
        return False

    def _handle_page(self, course: Course, events: Sequence[Event], until: float) -> bool:
        """Have a page's events handled; whether it ended before the page did."""
        begin = 0
        while wanted := self._next_wanted(course, events, begin):
            handled = course.handle([events[each] for each in wanted])
            begin = wanted[handled - 1] + 1
            course.checkpoint.save_if_due()
            if self._clock.elapsed() >= until or course.checkpoint.progress.full:
                return True
        return False

    def _next_wanted(self, course: Course, events: Sequence[Event], begin: int) -> list[int]:
        """Where in a page the next events are that are to be handled at once."""
        wants = (each for each in range(begin, len(events)) if self._wants(course, events[each]))
        return list(islice(wants, course.at_once))

    def _wants(self, course: Course, event: Event) -> bool:
        """Whether it is this partition's to handle the event now."""
        progress, settled = course.checkpoint.progress, course.checkpoint.settled
        if self._handler.query.contains is not None and not self._handler.query.matches(event):
            return False
        if self.partitions == 1 and not progress.lanes and not settled:
            return True
        lane = lane_of(event)
        if progress.blocks(lane) or not self._is_mine(lane, event.project):
            return False
        position = event.record[POSITION]
        return all(position > before.up_to(lane, event.project) for before in settled)

    def _is_mine(self, lane: str, project: str) -> bool:
        return self.partitions == 1 or partition_of(lane, project, self.partitions) == self.index

    def _full(self, course: Course) -> bool:
        """Whether so much waits that it must not go on; said once."""
        progress = course.checkpoint.progress
        if progress.full and not self._is_stuck:
            _log.error(
                "%s goes no further than position %d: events of %d aggregates failed and wait",
                self,
                progress.position,
                len(progress.lanes),
            )
        self._is_stuck = progress.full
        return progress.full

    # What people decide ---------------------------------------------------------------------------

    def _look_again(self, course: Course, now: int) -> None:
        """See whether it still stands, is paused, and what was decided about dead letters."""
        record = self._store.get(key_of(self.name))
        stands = (
            record is not None
            and record.value["generation"] == self.generation
            and record.value["change"] is None
        )
        self._runs = stands and record is not None and not record.value["paused"]
        self._look = stands and not self._carry_out(course, now)

    def _carry_out(self, course: Course, now: int) -> bool:
        """Do what was decided about dead letters; whether all of it could be done now."""
        progress = course.checkpoint.progress
        done: list[DeadLetter] = []
        left = False
        for letter in self._letters.asked(self.name):
            if self._is_mine(letter.lane, letter.project):
                left = progress.full and not course.is_held(letter)
                if left:
                    break
                course.decide(letter, now)
                done.append(letter)
        if done:
            course.checkpoint.save()
            for letter in done:
                self._letters.remove(letter)
        return not left
