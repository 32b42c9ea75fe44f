"""What becomes of each event that a partition has handled: done, tried again, or given up.

Keeps promise 3's order: an event that failed holds its own aggregate's later ones back, and nobody
else's. What it says to others, follow-up events and dead letters, goes into the checkpoint, so it
is kept together with the position or not at all.
"""

from __future__ import annotations

import logging

from tidings.event import Event
from tidings.following import reading_query
from tidings.record import POSITION
from tidings.store.query import Query
from tidings.subject import write_subject
from tidings.subscriptions.calling import Outcome, told
from tidings.subscriptions.checkpoint import Checkpoint, Refused
from tidings.subscriptions.dead_letters import DISCARD, DeadLetter
from tidings.subscriptions.letter_events import dead_letter_event
from tidings.subscriptions.progress import Attempt, Lane, aggregate_of, lane_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidings.bus import Bus
    from tidings.clock import Clock
    from tidings.handlers import Handler
    from tidings.subscriptions.calling import Calls

__all__ = ["SKIPPED", "Course"]

SKIPPED = "tidings.subscription.skipped"

_MICROSECONDS = 1_000_000

_CAREFUL_EVENTS = 500
"""After a process died, so many events are noted before they are handled, so that it shows which
one kills processes, if one does."""

_MOST_DEATHS = 3
"""So many processes may die of an event; then it is given up."""

_log = logging.getLogger("tidings.subscriptions")


class _Deadly(Exception):  # noqa: N818 - it says what the event is
    """An event of which processes died."""


class Course:
    """The work of a partition under one lease.

    Args:
        bus: where events are.
        handler: what is to be done.
        calls: calls it.
        checkpoint: where it begins.
        clock: what time it is.
        who: the partition and the subscription, as they are called.

    Attributes:
        checkpoint: how far it has come; another one after what handlers emitted was refused.
    """

    def __init__(
        self,
        bus: Bus,
        handler: Handler,
        calls: Calls,
        checkpoint: Checkpoint,
        clock: Clock,
        who: tuple[str, str],
    ) -> None:
        self.checkpoint = checkpoint
        self._bus = bus
        self._handler = handler
        self._calls = calls
        self._clock = clock
        self._who, self._name = who
        self._singly = 0
        lease = checkpoint.lease
        self._careful = _CAREFUL_EVENTS if lease.inherited else 0
        trying: list[int] = lease.value.get("trying") or [0, 0]
        self._died_at, self._deaths = trying

    @property
    def position(self) -> int:
        """How far it has read."""
        return self.checkpoint.progress.position

    @position.setter
    def position(self, position: int) -> None:
        self.checkpoint.progress.position = position

    # Events ---------------------------------------------------------------------------------------

    @property
    def at_once(self) -> int:
        """How many events are best handled at once."""
        return 1 if self._singly or self._careful else self._calls.at_once

    def handle(self, events: Sequence[Event]) -> int:
        """Have the next events of the log handled until one fails, and go past them.

        Returns:
            How many were; at least one.
        """
        outcomes = self._called(events)
        for event, (error, follow_ups, seconds) in zip(events, outcomes, strict=False):
            raised = error
            if raised is None:
                self.checkpoint.handled(follow_ups)
                self.position = event.record[POSITION]
                raised = self._saved_singly() if self._singly else None
            if raised is not None:
                self._failed(lane_of(event), event, raised, seconds, None)
                self.position = event.record[POSITION]
        return len(outcomes)

    def try_lane(self, lane: str, until: float) -> None:
        """Have handled what waits in a lane, one event after the other, until one fails.

        Args:
            lane: its name.
            until: the moment (of the clock's `elapsed`) to go on elsewhere.
        """
        waiting = self.checkpoint.progress.lanes[lane]
        events = self._events_of(lane, waiting)
        event = next(events, None)
        if event is None or event.position != waiting.position:
            self._is_gone(lane, waiting)
            self.checkpoint.progress.moved_on(lane, event, self._clock.now())
            self.checkpoint.changed()
        while event is not None and lane in self.checkpoint.progress.lanes:
            following = None if waiting.alone else next(events, None)
            if not self._settled(lane, event, following):
                return
            self.checkpoint.save_if_due()
            if self._clock.elapsed() >= until:
                return
            event = following

    def _settled(self, lane: str, event: Event, following: Event | None) -> bool:
        """Have the event at a lane's head handled; whether the lane goes on."""
        ((error, follow_ups, seconds),) = self._called([event])
        if error is None:
            self.checkpoint.handled(follow_ups)
            self.checkpoint.progress.moved_on(lane, following, self._clock.now())
            error = self._saved_singly() if self._singly else None
        return error is None or self._failed(lane, event, error, seconds, following)

    def _called(self, events: Sequence[Event]) -> list[Outcome]:
        """Have events handled until one fails; what became of the first, at least of one."""
        if self._singly or self.checkpoint.gives_up:
            self.checkpoint.save()
        if not self._careful:
            return self._calls.call(events)
        self._careful -= 1
        position = events[0].record[POSITION]
        deaths = self._deaths if position == self._died_at else 0
        if deaths >= _MOST_DEATHS:
            deadly = _Deadly(f"{deaths} processes died while they handled this event")
            return [Outcome(deadly, (), 0.0)]
        self.checkpoint.trying = (position, deaths + 1)
        self.checkpoint.changed()
        self.checkpoint.save()
        outcomes = self._calls.call(events[:1])
        self.checkpoint.trying = None
        return outcomes

    def _events_of(self, lane: str, waiting: Lane) -> Iterator[Event]:
        """The events of a lane, from the one that waits to where the reader is."""
        aggregate = aggregate_of(lane)
        after = max(waiting.position, self._bus.store.first()) - 1
        if aggregate is None:
            yield from self._bus.store.read(Query(after=after, before=waiting.position + 1))
            return
        kind, name = aggregate
        query = self._handler.query.replace(
            aggregate_type=kind, aggregate_id=name, before=self._reach(lane) + 1
        )
        for event in self._bus.store.read(reading_query(query, after)):
            # Its own query as well: it may want another type of aggregate by now.
            if query.matches(event) and self._handler.query.matches(event):
                yield event

    def _reach(self, lane: str) -> int:
        """The position up to which the events of an aggregate's lane wait in it."""
        return max(
            self.position, *(before.up_to(lane, "") for before in self.checkpoint.settled), 0
        )

    # What failed ----------------------------------------------------------------------------------

    def _failed(
        self,
        lane: str,
        event: Event,
        error: BaseException,
        seconds: float,
        following: Event | None,
    ) -> bool:
        """Note an attempt that failed; whether the lane goes on all the same."""
        self.checkpoint.failed()
        progress, now = self.checkpoint.progress, self._clock.now()
        attempt = Attempt(now - round(seconds * _MICROSECONDS), seconds, told(error)).cut()
        position = event.record[POSITION]
        waiting = progress.lanes.get(lane)
        known = () if waiting is None or waiting.position != position else waiting.attempts
        attempts = (*known, attempt)
        schedule = self._handler.schedule
        due = None if isinstance(error, _Deadly) else schedule.due(len(attempts), now)
        _log.warning(
            "%s failed at position %d (%s), attempt %d of %d: %s",
            self._who,
            position,
            event.type,
            len(attempts),
            schedule.attempts,
            attempt.error,
            exc_info=error,
        )
        if due is None:
            return self._given_up(lane, event, attempts, following)
        progress.failed(lane, position, event.id, attempt, due)
        return False

    def _given_up(
        self, lane: str, event: Event, attempts: tuple[Attempt, ...], following: Event | None
    ) -> bool:
        """Make a dead letter of an event; whether its lane goes on."""
        progress, now = self.checkpoint.progress, self._clock.now()
        # What is about no aggregate holds nobody up, so nothing is to be held for it.
        held = self._handler.on_failure == "hold" and aggregate_of(lane) is not None
        letter = DeadLetter.about(event, self._name, lane_of(event), attempts, now, held=held)
        self.checkpoint.give_up(letter)
        said = dead_letter_event(event, letter)
        if said is not None:
            self.checkpoint.say(said)
        _log.error(
            "%s gives up the event at position %d: `tidings dead-letters show %s`",
            self._who,
            letter.position,
            letter.id,
        )
        if held:
            progress.lanes[lane] = Lane(letter.position, event.id, now, held=True)
        elif lane in progress.lanes:
            progress.moved_on(lane, following, now)
        return not held

    def go_singly(self, refused: Refused) -> None:
        """Go back to what was saved, and have events handled and saved one by one from there.

        What one handler emitted is refused, and takes with it what others did since. One by one it
        shows whose it is, and that event failed.
        """
        _log.warning("%s handles the events since the last save again: %s", self._who, refused)
        self._singly = self.checkpoint.unsaved
        self._go_back()

    def _saved_singly(self) -> Exception | None:
        """Save one event alone; gives why the store refuses what its handler emitted.

        All that came before was saved, so nothing else is undone with it.
        """
        try:
            self.checkpoint.save()
        except Refused as refused:
            self._go_back()
            return refused.error
        finally:
            self._singly -= 1
        return None

    def _go_back(self) -> None:
        self.checkpoint = Checkpoint(self._bus, self.checkpoint.lease, self._clock)

    # What is gone ---------------------------------------------------------------------------------

    def skip_to(self, first: int) -> None:
        """Go on at the first position left, and say so: what lay before was pruned."""
        if self.position < first - 1:
            self._say_skipped(self.position + 1, first - 1)
            self.position = first - 1

    def _is_gone(self, lane: str, waiting: Lane) -> None:
        """Say what became of an event that waited and is not found any more."""
        if not self._was_pruned(lane, waiting.position):
            _log.info("%s no longer wants the event at position %d", self._who, waiting.position)

    def _was_pruned(self, lane: str, begin: int) -> bool:
        """Say how much of what waits in a lane, from a position on, was pruned; whether any was."""
        aggregate = aggregate_of(lane)
        last = begin if aggregate is None else self._reach(lane)
        end = min(self._bus.store.first() - 1, last)
        if end < begin:
            return False
        self._say_skipped(begin, end, "" if aggregate is None else write_subject(*aggregate))
        return True

    def _say_skipped(self, begin: int, end: int, about: str = "") -> None:
        """Say which events were never handled: all, or those about one aggregate only."""
        _log.error(
            "%s never handled the events%s at positions %d to %d: they were pruned",
            self._who,
            f" about {about}" if about else "",
            begin,
            end,
        )
        said = {
            "subscription": self._name,
            "partition": self._who,
            "from": begin,
            "to": end,
            "about": about,
        }
        self.checkpoint.say(
            Event(
                SKIPPED,
                "",
                "failure",
                said,
                "tidings",
                id=f"{SKIPPED}/{self.checkpoint.lease.key}/{begin}-{end}",
                aggregate_type="subscription",
                aggregate_id=self._name,
            )
        )

    # What people decide ---------------------------------------------------------------------------

    def is_held(self, letter: DeadLetter) -> bool:
        """Whether a lane waits for a decision about this letter."""
        lane = self.checkpoint.progress.lanes.get(letter.lane)
        return lane is not None and lane.held and lane.position == letter.position

    def decide(self, letter: DeadLetter, now: int) -> None:
        """Carry out what was decided about a letter; doing so twice does it once."""
        progress = self.checkpoint.progress
        lane = progress.lanes.get(letter.lane)
        if letter.asked != DISCARD:
            if lane is None or lane.position != letter.position:
                progress.replay(letter.position, letter.event_id, now)
            elif lane.held:
                progress.lanes[letter.lane] = Lane(letter.position, letter.event_id, now)
        elif self.is_held(letter):
            self._was_pruned(letter.lane, letter.position + 1)
            following = self._events_of(letter.lane, progress.lanes[letter.lane])
            behind = (each for each in following if each.record[POSITION] > letter.position)
            progress.moved_on(letter.lane, next(behind, None), now)
        self.checkpoint.changed()
