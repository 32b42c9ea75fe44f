"""An endpoint while it is delivered to: what it is sent next, and what becomes of each attempt.

Keeps promise 3 at one endpoint: at most one request about an aggregate is under way, and its next
event is sent only after it; what fails waits in a lane (`lanes`) and is tried again by schedule.
Pure bookkeeping, used from the engine's event loop alone: it reads nothing and sends nothing.

Events come along the *main reading*, in order: from the `Feed` while the endpoint keeps up with it,
else from the store. An endpoint that answers nothing but failures is *broken*: its waiting events
are still tried by the schedule, but of its fresh ones only one now and then, to see whether it
lives. So a dead endpoint costs little, however much there is for it.
"""

from __future__ import annotations

from collections import deque

from tidings.delivery.webhooks.health import Health
from tidings.delivery.webhooks.job import Job
from tidings.delivery.webhooks.lanes import Lanes, short
from tidings.delivery.webhooks.reading import size_of
from tidings.schedule import STANDARD_WEBHOOKS, Schedule
from tidings.subscriptions.dead_letters import DeadLetter
from tidings.subscriptions.letter_events import dead_letter_event
from tidings.subscriptions.progress import Attempt, Progress, lane_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tidings.delivery.webhooks.attempts import Listed
    from tidings.delivery.webhooks.endpoint import Endpoint
    from tidings.delivery.webhooks.standing import Standing
    from tidings.event import Event

__all__ = ["Channel"]

MOST_QUEUED = 100
"""So many events are held for an endpoint; one that is slower reads on from the store."""

_FEW_QUEUED = 20
"""With fewer than this, more are read."""

_HEAVY = 1 << 16
"""No event is held beside others whose payload is longer (characters)."""


class Channel:
    """An endpoint while it is delivered to.

    Args:
        endpoint: its configuration.
        standing: how it stands, as last written; changed here.
        position: where its main reading goes on, in case it does not lag: its shard's position.
        schedule: when what failed is tried again.

    Attributes:
        read: the main reading has looked at everything up to here; none while it is fed.
        letters: dead letters that are to be kept.
        told: the event that tells of each, by its key.
        settled_letters: positions whose dead letters have been replayed and are to be removed.
        replayed: positions of dead letters that are being sent again, until that is written.
        attempts: those that are to be listed.
        dirty: whether there is something to be written.
        reading: whether the store is being read for it.
        health: how well it takes what it is sent.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        standing: Standing,
        position: int,
        schedule: Schedule = STANDARD_WEBHOOKS,
    ) -> None:
        self.endpoint = endpoint
        self.standing = standing
        self.progress: Progress = standing.progress
        if not standing.lagging:
            self.progress.position = position
        self.query = endpoint.query()
        self.read: int | None = self.progress.position
        self.letters: list[DeadLetter] = []
        self.told: dict[str, Event] = {}
        self.settled_letters: list[int] = []
        self._lanes = Lanes(self.progress)
        self.replayed = self._lanes.alone()
        self.attempts: list[Listed] = []
        self.dirty = False
        self.reading = False
        self.health = Health(standing.failing_since)
        self._schedule = schedule
        self._queue: deque[Event] = deque()
        self._flying: dict[str, Job] = {}
        self._taken: set[int] = set()
        self._recovering = False
        self._turn = 0

    # What is asked about it ----------------------------------------------------------------------

    @property
    def turn(self) -> int:
        """Grows when it is sent to another position."""
        return self._turn

    @property
    def id(self) -> str:
        """The endpoint's id."""
        return self.endpoint.id

    @property
    def under_way(self) -> int:
        """How many requests are under way."""
        return len(self._flying)

    @property
    def resting(self) -> bool:
        """Whether nothing is under way or ready for it; what waits, waits for its time."""
        held = self._queue or self._lanes.hold_events
        return not (held or self._flying or self.dirty or self.attempts)

    def keeps_up(self, end: int) -> bool:
        """Whether its place is its shard's, if it is not too far behind it.

        Args:
            end: up to where the feed has handed over.
        """
        at_end = self.read is None or self.read >= end
        return at_end and not self.progress.lanes and self.endpoint.active

    def settled(self, end: int) -> int:
        """Everything it wants up to here was settled or waits in lanes.

        Args:
            end: up to where the feed has handed over.
        """
        position = end if self.read is None else self.read
        if self._queue:
            position = min(position, (self._queue[0].position or 0) - 1)
        for job in self._flying.values():
            if not job.waiting and job.turn == self._turn:
                position = min(position, job.position - 1)
        return position

    # What comes in -------------------------------------------------------------------------------

    def offer(self, event: Event) -> bool:
        """Take an event from the feed; returns whether it was taken, else it is read later."""
        if self.read is not None:
            return False
        most = 1 if self.health.broken else MOST_QUEUED
        if self._queue and size_of(event) > _HEAVY:
            most = 1
        if not self.endpoint.active or len(self._queue) >= most:
            self.read = (event.position or 0) - 1
            return False
        self._queue.append(event)
        return True

    def wants_more(self, now: int) -> int:
        """How many events are to be read for it now; 0 while it is fed or has enough."""
        if (
            self.read is None
            or self.reading
            or not self.endpoint.active
            or self.progress.full
            or not self.health.may_probe(now)
            or len(self._queue) >= _FEW_QUEUED
        ):
            return 0
        if self.health.broken:
            return 0 if self._queue else _FEW_QUEUED
        return MOST_QUEUED - len(self._queue)

    def take(self, events: Iterable[Event], read: int | None) -> None:
        """Take events that were read for it.

        Args:
            events: in order, all past `read` so far.
            read: the reading has looked at everything up to here; none where it has caught up with
                the feed.
        """
        self._queue.extend(event for event in events if event.position not in self._taken)
        self.read = read
        self.dirty = True

    def drop_queue(self) -> None:
        """Forget what was not sent yet; it is read again."""
        self._lanes.let_go()
        if self._queue:
            self.read = (self._queue[0].position or 0) - 1
            self._queue.clear()

    # What goes out -------------------------------------------------------------------------------

    def may_send(self, now: int) -> bool:
        """Whether it is worth while to ask for a job; there may be none all the same."""
        most = 1 if self.health.broken else self.endpoint.concurrency
        held = now < self.health.hold_until
        if held or not self.endpoint.active or len(self._flying) >= most:
            return False
        return self._may_send_fresh(now) or bool(self.progress.due(now))

    def next_job(self, now: int) -> Job | None:
        """Something that may be sent now; it is under way from then on."""
        if not self.may_send(now):
            return None
        job = self._lanes.next(now, self._flying.keys(), self._turn) or self._next_fresh(now)
        if job is not None:
            self._flying[job.lane] = job
        return job

    def next_due(self, now: int) -> int | None:
        """The next instant when it must be looked at, even if nothing happens until then."""
        if not self.endpoint.active:
            return None
        instants = [max(due, self.health.hold_until) for due in self._lanes.instants()]
        instants += self.health.instants()
        return min((instant for instant in instants if instant > now), default=None)

    def _may_send_fresh(self, now: int) -> bool:
        return bool(self._queue) and not self.progress.full and self.health.may_probe(now)

    def _next_fresh(self, now: int) -> Job | None:
        if not self._may_send_fresh(now):
            return None
        index = 0
        while index < len(self._queue):
            event = self._queue[index]
            position, name = event.position or 0, lane_of(event)
            if self.progress.blocks(name):
                self._lanes.pass_over(name, position)
            elif name in self._flying:
                index += 1
                continue
            del self._queue[index]
            self._taken.add(position)
            if not self.progress.blocks(name):
                trigger = "replay" if position <= self.standing.again_through else "delivery"
                return Job(name, position, event, trigger, waiting=False, turn=self._turn)
        return None

    # What comes of it ----------------------------------------------------------------------------

    def abandon(self, job: Job) -> None:
        """An attempt was not made, or what came of it is not known: it is made again."""
        if self._flying.get(job.lane) is not job:
            return  # it was noted what came of it, and something failed after that
        del self._flying[job.lane]
        if not job.waiting and job.turn == self._turn:
            # Main reading goes back to it; what came after it and is settled is not sent again.
            self.drop_queue()
            self._taken.discard(job.position)
            back = job.position - 1
            self.read = back if self.read is None else min(self.read, back)
        self.dirty = True

    def succeeded(self, job: Job, event: Event, now: int) -> None:
        """The endpoint took an event. `settle` must follow where it came from a lane."""
        del self._flying[job.lane]
        self.dirty = True
        self._recovering = self.health.succeeded() or self._recovering
        if job.waiting and self._lanes.is_alone(job.lane):
            self.settled_letters.append(event.position or 0)
        if self._recovering:
            self._recovering = self._lanes.hasten(now, besides=job.lane)

    def failed(
        self, job: Job, event: Event, attempt: Attempt, pause: float | None, now: int
    ) -> bool:
        """An attempt failed.

        Args:
            job: it.
            event: what was to be sent.
            attempt: what came of it.
            pause: what the endpoint asked for (seconds).
            now: the instant.

        Returns:
            Whether the event was given up; `settle` must follow then.
        """
        del self._flying[job.lane]
        self.dirty = True
        self.health.failed(attempt, pause, now)
        self._recovering = False
        if self.health.broken and len(self._queue) > 1:
            # One is kept to see whether it lives; the rest is read again when it does.
            first = self._queue[0]
            self.read = (self._queue[1].position or 0) - 1
            self._queue = deque([first])
        if not job.waiting and job.turn != self._turn:
            return False  # the main reading was sent back before it, and comes to it again
        if job.waiting and not self.progress.blocks(job.lane):
            return False  # its lane was taken away meanwhile
        earlier = self.progress.lanes[job.lane].attempts if job.waiting else ()
        due = self._schedule.due(len(earlier) + 1, now)
        if due is None:
            self._give_up(job, event, (*earlier, short(attempt)), now)
            return job.waiting
        due = max(due, self.health.hold_until)
        self._lanes.failed(job.lane, job.position, event.id, attempt, due)
        return False

    def _give_up(self, job: Job, event: Event, attempts: tuple[Attempt, ...], now: int) -> None:
        name = self.endpoint.subscription
        letter = DeadLetter.about(event, name, job.lane, attempts, now, held=False)
        self.letters.append(letter)
        said = dead_letter_event(event, letter)
        if said is not None:
            self.told[letter.key] = said

    def lose(self, job: Job) -> None:
        """The event of a lane was pruned: there is nothing to send. `settle` must follow."""
        del self._flying[job.lane]
        self.dirty = True

    def settle(self, lane: str, position: int, now: int) -> bool:
        """The event at the head of a lane is settled: go on to the lane's next.

        Returns:
            Whether the next must be looked for: past `position`, up to `passed(lane)`; then
            `found` must follow.
        """
        must_look = self._lanes.settle(lane, position, now)
        if must_look:
            self._is_looked_for(lane, position)
        return must_look

    def passed(self, lane: str) -> int:
        """The lane's events up to here are its own to send; later ones are in the main reading."""
        return self._lanes.passed(lane)

    def found(self, lane: str, position: int, events: Sequence[Event], *, all: bool) -> bool:
        """The next events of a lane were looked for.

        Args:
            lane: which.
            position: past which they were looked for.
            events: those found.
            all: whether there are no more up to what was asked for.

        Returns:
            Whether to look once more: later ones were passed over meanwhile.
        """
        self._flying.pop(lane, None)
        if not self._lanes.is_at(lane, position):
            return False
        self.dirty = True
        if events:
            self._lanes.found(lane, events)
            return False
        if not all:
            self._is_looked_for(lane, position)
            return True
        self._lanes.end(lane, 0)
        return False

    def _is_looked_for(self, lane: str, position: int) -> None:
        """Nothing is sent of a lane while its next events are looked for."""
        self._flying[lane] = Job(lane, position, None, "", waiting=True, turn=self._turn)

    # What people ask for -------------------------------------------------------------------------

    def reconfigure(self, endpoint: Endpoint) -> None:
        """The endpoint was changed; what is under way is not called back."""
        self.endpoint = endpoint
        query = endpoint.query()
        if query != self.query or not endpoint.active:
            self.drop_queue()
        self.query = query

    def begin_afresh(self, now: int) -> None:
        """Forget for how long it failed, and try what waits."""
        self.health.begin_afresh()
        self._recovering = self._lanes.hasten(now, besides="")
        self.dirty = True

    def replay(self, position: int, event_id: str, now: int) -> None:
        """Send one event again, by itself."""
        self.progress.replay(position, event_id, now)
        self.replayed.add(position)
        self.dirty = True

    def go_back(self, position: int, end: int) -> None:
        """Send everything past a position once more, in order, and only then what comes."""
        here = self.settled(end)
        if position >= here:
            return
        self._turn += 1
        self.standing.again_through = max(self.standing.again_through, here)
        self._lanes.forget(position)
        self._taken.clear()
        self._lanes.begin_from(position)
        self._go_on_from(position)

    def skip_to(self, position: int, end: int) -> None:
        """Leave out what was not taken up to a position, lanes included."""
        self._lanes.forget(0)
        self.dirty = True
        if position > self.settled(end):
            self._turn += 1  # what is under way counts as left out, too
            self._taken.clear()
            self._go_on_from(position)

    def _go_on_from(self, position: int) -> None:
        self._queue.clear()
        self._lanes.let_go()
        self.read = position
        self.dirty = True

    def tidy(self, settled: int) -> None:
        """Everything up to a position was settled and written."""
        self._taken -= {position for position in self._taken if position <= settled}
