"""The lanes of an endpoint: what failed and waits, and what comes after it in each aggregate.

Keeps promise 3 where something failed: an aggregate's later events wait behind it, and are found
again when its turn has come, none left out and none sent ahead. Beside what is kept (`Progress`) it
knows up to where the main reading has passed events over for each lane, and holds those that were
read for it. Pure bookkeeping: it reads nothing and sends nothing.
"""

from __future__ import annotations

from collections import deque

from tidings.delivery.webhooks.job import Job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tidings.event import Event
    from tidings.subscriptions.progress import Attempt, Progress

__all__ = ["Lanes", "short"]

_AT_ONCE = 2
"""So many lanes are tried at once when an endpoint has come back; each success brings the next."""

_KEPT_ERROR = 160
_KEPT_ANSWER = 60
"""So much of an attempt is kept with an event that waits (characters); there may be a thousand in
one record, and a log takes a megabyte at once."""


class Lanes:
    """What waits at an endpoint.

    Args:
        progress: what is kept of it; changed here.
    """

    __slots__ = ("_ahead", "_passed", "_progress")

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._passed = dict.fromkeys(progress.lanes, progress.position)
        self._ahead: dict[str, deque[Event]] = {}

    def alone(self) -> set[int]:
        """The positions of dead letters that are sent again, each by itself."""
        return {lane.position for lane in self._progress.lanes.values() if lane.alone}

    def is_alone(self, name: str) -> bool:
        """Whether a lane is a dead letter that is sent again."""
        return self._progress.blocks(name) and self._progress.lanes[name].alone

    def next(self, now: int, flying: Collection[str], turn: int) -> Job | None:
        """What is to be tried now, that which waits longest first.

        Args:
            now: the instant.
            flying: lanes of which something is under way.
            turn: of the job.
        """
        for name in self._progress.due(now):
            if name in flying:
                continue
            lane = self._progress.lanes[name]
            ahead = self._ahead.get(name)
            event = ahead[0] if ahead and ahead[0].position == lane.position else None
            trigger = "replay" if lane.alone else "retry" if lane.attempts else "delivery"
            return Job(name, lane.position, event, trigger, waiting=True, turn=turn)
        return None

    def instants(self) -> list[int]:
        """When something is due."""
        return [lane.due for lane in self._progress.lanes.values() if not lane.held]

    def pass_over(self, name: str, position: int) -> None:
        """The main reading came to an event of a lane: it is found again once that has come so far.

        It is found by a query on the aggregate.
        """
        self._passed[name] = position

    def passed(self, name: str) -> int:
        """The lane's events up to here are its own to send; later ones are in the main reading."""
        return self._passed.get(name, 0)

    def failed(self, name: str, position: int, event_id: str, attempt: Attempt, due: int) -> None:
        """An event waits in its lane until it is tried again."""
        self._progress.failed(name, position, event_id, short(attempt), due)
        self._passed.setdefault(name, position)
        self._ahead.pop(name, None)

    def settle(self, name: str, position: int, now: int) -> bool:
        """The event at the head of a lane is settled: go on to the lane's next.

        Returns:
            Whether the next must be looked for: past `position`, up to `passed(name)`; then `found`
            must follow.
        """
        if not self.is_at(name, position):
            return False  # the lane was taken away meanwhile
        ahead = self._ahead.get(name)
        if ahead and ahead[0].position == position:
            ahead.popleft()
        if ahead:
            self._progress.moved_on(name, ahead[0], now)
            return False
        if not name.startswith("of:") or self.passed(name) <= position:
            self.end(name, now)
            return False
        return True

    def is_at(self, name: str, position: int) -> bool:
        """Whether a lane is there still, and the event that waits at its head is this one."""
        waiting = self._progress.lanes.get(name)
        return waiting is not None and waiting.position == position

    def found(self, name: str, events: Sequence[Event]) -> None:
        """The next events of a lane were found; at least one."""
        self._ahead[name] = deque(events)
        self._progress.moved_on(name, events[0], 0)

    def end(self, name: str, now: int) -> None:
        """Nothing waits in a lane any more."""
        self._progress.moved_on(name, None, now)
        self._ahead.pop(name, None)
        self._passed.pop(name, None)

    def hasten(self, now: int, besides: str) -> bool:
        """What waits need not wait out the schedule; but not all at once.

        Args:
            now: the instant.
            besides: a lane that is left as it is.

        Returns:
            Whether anything waits.
        """
        waiting = sorted(
            (lane.due, name)
            for name, lane in self._progress.lanes.items()
            if name != besides and not lane.held
        )
        for _, name in waiting[:_AT_ONCE]:
            lane = self._progress.lanes[name]
            lane.due = min(lane.due, now)
        return bool(waiting)

    def forget(self, past: int) -> None:
        """Take away what waits past a position, but for dead letters that are sent again."""
        for name, lane in list(self._progress.lanes.items()):
            if lane.position > past and not lane.alone:
                self.end(name, 0)

    def begin_from(self, position: int) -> None:
        """The main reading begins again at a position, and has passed nothing over since."""
        self._passed = dict.fromkeys(self._progress.lanes, position)

    @property
    def hold_events(self) -> bool:
        """Whether events are held, which must not be sent once they were redacted."""
        return any(self._ahead.values())

    def let_go(self) -> None:
        """Hold no events: they are read again."""
        self._ahead.clear()


def short(attempt: Attempt) -> Attempt:
    """The attempt as it is kept where it waits; the list of attempts has more of it."""
    return attempt._replace(error=attempt.error[:_KEPT_ERROR], answer=attempt.answer[:_KEPT_ANSWER])
