"""The work of one notice: read on, count, tell what is due, and note how far it has come.

Keeps its part of promise 3. What was told is noted after it was sent, together with the event that
says so in one transaction, so a process that dies in between has the next one tell it once more.
What cannot be sent is never given up: it waits, counted, together with what comes meanwhile, and
the message that gets through tells all of it.
"""

from __future__ import annotations

import logging

from tidings.delivery.notices.messages import about_event, about_group, about_many
from tidings.delivery.notices.notice import FAILED, LEASES, PREFIX, SENT, Notice
from tidings.delivery.notices.sending import SECONDS, Message, Service, check_installed
from tidings.delivery.notices.state import LISTED, MOST_GROUPS, Group, State, Waiting
from tidings.delivery.notices.tally import Tally
from tidings.delivery.notices.undertakings import place_of
from tidings.errors import HistoryPruned, LeaseLost, OutcomeUnknown, RevisionConflict
from tidings.event import Event
from tidings.following import reading_query
from tidings.schedule import Schedule
from tidings.store.query import Query
from tidings.subscriptions.duties import Duty
from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.store.base import Store
    from tidings.subscriptions.leases import Lease

__all__ = ["BURST", "NoticeDuty", "duties"]

BURST = 20
"""So many messages a minute for one notice; what exceeds that is told together."""

_MICROSECONDS = 1_000_000
_MINUTE = 60 * _MICROSECONDS

_PAGE = 2_000
"""So many events are read in one turn."""

_SENDS = 5
"""So many messages are sent in one turn."""

_SKIPPED = 1_000
"""Where nothing was wanted, the position is written after so many events only."""

_AGAIN = Schedule.doubling(11, first=10, most=3600)
"""When a message that could not be sent is tried again; from the last pause on hourly, for good."""

_log = logging.getLogger("tidings.notices")


def duties(store: Store) -> list[Duty]:
    """What is to be done for the notices of a store, but for those that are paused.

    Raises:
        MissingExtra: there is something to send, and Apprise is not installed.
    """
    leases = store.keys(LEASES)  # before the notices: what is made meanwhile must not be missed
    records = [store.get(key) for key in store.keys(PREFIX)]
    notices = [Notice.of(record.value) for record in records if record is not None]
    for key in {*leases} - {notice.lease_key for notice in notices}:
        store.delete(key)  # of a deleted notice, written once more by whoever still ran it
    active = [notice for notice in notices if not notice.paused]
    if active:
        check_installed("telling people of events")
    return [NoticeDuty(store, notice) for notice in active]


class NoticeDuty(Duty):
    """The work of one notice.

    Args:
        store: where events and records are.
        notice: which one.
        seconds: so long one message may take.
    """

    def __init__(self, store: Store, notice: Notice, seconds: float = SECONDS) -> None:
        self.key = notice.lease_key
        self.first = State(notice.from_position).to_value()
        self.position = notice.from_position
        self._store = store
        self._seconds = seconds
        self._lease: Lease | None = None
        self._stale = self._mended = False
        self._settle(notice)

    def rang(self) -> None:
        """Have the next turn look at the notice's record again."""
        self._stale = True

    def _look_again(self) -> None:
        self._stale = False
        record = self._store.get(self._notice.key)
        notice = None if record is None else Notice.of(record.value)
        self._gone = notice is None or notice.created_at != self._notice.created_at
        if notice is not None and not self._gone and notice != self._notice:
            self._settle(notice)
            self._mended = True

    def turn(self, lease: Lease, now: int) -> int | None:
        """Read on, and send what is due."""
        if self._stale:
            self._look_again()
        if self._gone or self._notice.paused:
            self.position = self._store.head()  # so that it is not called for each event
            return None
        if lease is not self._lease:
            self._take_up(lease)
        kept, self._lease = self._lease, None  # what goes wrong makes memory and record differ
        sends = self._read_on(lease, now)
        self._tell_ready(lease, now, sends)
        self._tidy(now)
        if self._changed or self._state.position - self._noted >= _SKIPPED:
            self._note(lease)
        self._lease = kept
        return now if self._state.position < self._seen else self._next()

    def _settle(self, notice: Notice) -> None:
        """Go by what the notice's record says."""
        self._notice = notice
        self._gone = False
        self._query, self._counted = notice.query(), notice.counted()
        self._wants_less = self._query != self._counted
        self._service = Service(notice.url, self._seconds)
        self._quiet = round(notice.quiet * _MICROSECONDS)
        self._latest = round(notice.latest * _MICROSECONDS)
        self._every = round(notice.every * _MICROSECONDS)
        self._lease = None  # tallies may count other events now

    def _take_up(self, lease: Lease) -> None:
        """Go on from what the record says."""
        self._lease = lease
        self._state = State.of(lease.value)
        if self._mended:
            self._state.due, self._mended = 0, False  # what hindered it may be what was changed
        self._tallies: dict[str, Tally] = {}
        self._changed = False
        self._noted = self._seen = self.position = self._state.position

    # Reading -------------------------------------------------------------------------------------

    def _read_on(self, lease: Lease, now: int) -> int:
        """Take in what was kept since; returns how many messages may still be sent in this turn."""
        sends = _SENDS
        self._seen = self._store.head()
        reading = self._store.read(reading_query(self._counted, self._start(lease, now)))
        for count, event in enumerate(reading, start=1):
            position = event.position or 0
            if self._counts(event) and not self._notice.feeds_on(event):
                self._take(event, position, now)
            self._state.position = self.position = position
            if self._state.waiting.count and not self._every and self._allowed(now) <= now:
                self._tell(lease, now, [], waiting=True)
                sends -= 1
            if sends <= 0 or count >= _PAGE or lease.wanted:
                reading.close()
                return sends
        self._state.position = self.position = max(reading.position, self._state.position)
        self._seen = self._state.position
        return sends

    def _start(self, lease: Lease, now: int) -> int:
        """Where to read on: where it was, or at the first event that is left."""
        after = self._state.position
        first = self._store.first()
        if after and after < first - 1:
            lost = f"the events up to position {first - 1} were pruned before they were looked at"
            _log.warning("notice %s: %s", self._notice.name, lost)
            self._state.position = first - 1
            self._append(lease, self._failed(lost, now))
        return self._state.position

    def _take(self, event: Event, position: int, now: int) -> None:
        """Count an event that is to be told, or is of an undertaking that may be."""
        wanted = not self._wants_less or self._query.matches(event)
        place = place_of(event, self._notice.group)
        if place is not None:
            group, tally = self._state.group(place), self._tallies.get(place.undertaking)
            if tally is None:
                tally = self._count_anew(place.undertaking, group, position - 1)
            group.take(place, position, now, wanted=wanted)
            tally.take(event, position, place)
            self._changed = True
        elif wanted:
            self._state.waiting.take(event, position, now)
            self._changed = True

    def _counts(self, event: Event) -> bool:
        """Whether an event that the store found counts; text was not looked for yet."""
        return self._counted.contains is None or self._counted.matches(event)

    def _tally(self, name: str) -> Tally:
        """How the jobs of an undertaking ended, as far as it was read."""
        group = self._state.groups[name]
        return self._tallies.get(name) or self._count_anew(name, group, group.last)

    def _count_anew(self, name: str, group: Group, through: int) -> Tally:
        """Count an undertaking from the log, also what came before the notice was made."""
        tally = self._tallies[name] = Tally()
        query, after = self._counted, 0
        if group.correlation_id:
            query = query.replace(correlation_id=group.correlation_id)
        else:
            # No index finds them, so it is not looked further back than it must be.
            after = max(self._notice.from_position, self._store.first() - 1)
        for event in self._store.read(reading_query(query, after).replace(before=through + 1)):
            place = place_of(event, self._notice.group)
            if place is not None and place.undertaking == name and self._counts(event):
                tally.take(event, event.position or 0, place)
        return tally

    # Telling -------------------------------------------------------------------------------------

    def _tell_ready(self, lease: Lease, now: int, sends: int) -> None:
        """Send what is due, each by itself where that is not too much."""
        while sends > 0 and not lease.wanted and self._is_due(now):
            sends -= 1
            names = [name for instant, name in sorted(self._ready()) if instant <= now]
            waiting = self._state.waiting.count > 0
            lately = sum(instant + _MINUTE > now for instant in self._state.sent)
            if self._every or len(names) + waiting > BURST - lately:
                self._tell(lease, now, names, waiting=waiting)
            elif waiting:
                self._tell(lease, now, [], waiting=True)
            else:
                self._tell(lease, now, names[:1], waiting=False)

    def _tell(self, lease: Lease, now: int, names: list[str], *, waiting: bool) -> None:
        """Send one message, and note what came of it."""
        state = self._state
        groups = [(state.groups[name], self._tally(name)) for name in names]
        told = state.waiting if waiting else Waiting()
        message = self._composed(groups, told)
        error = self._service.send(message)
        if error:
            self._put_off(lease, now, error)
            return
        event = self._sent(message, groups, told, now)
        for group, tally in groups:
            group.tell(whole=group.tasks is not None and tally.ended >= group.tasks)
        for name in names:
            del self._tallies[name]  # it may be large, and can be counted anew if more comes
        if waiting:
            state.waiting = Waiting()
        state.messages += 1
        state.sent = [*state.sent, now][-BURST:]
        state.attempts, state.failing, state.error = 0, None, ""
        self._append(lease, event)

    def _composed(self, groups: list[tuple[Group, Tally]], waiting: Waiting) -> Message:
        """The message that tells these undertakings and these events."""
        if not groups and waiting.count == 1:
            event = self._at(waiting.last)
            if event is not None:
                return about_event(self._notice, event)
        new = [position for group, tally in groups for position in tally.failures(group.told)]
        count = len(new) + waiting.of_outcome("failure")
        listed = sorted([*waiting.failures, *new])[:LISTED]
        failures = [event for event in map(self._at, listed) if event is not None]
        if len(groups) == 1 and not waiting.count:
            group, tally = groups[0]
            return about_group(self._notice, group, tally, failures, count)
        return about_many(self._notice, waiting, groups, failures, count)

    def _at(self, position: int) -> Event | None:
        """The event at a position; none where it was pruned."""
        try:
            return next(self._store.read(Query(after=position - 1, before=position + 1)), None)
        except HistoryPruned:
            return None

    def _put_off(self, lease: Lease, now: int, error: str) -> None:
        """Note that a message could not be sent, and when it is tried again."""
        state = self._state
        state.attempts += 1
        state.error = error
        due = _AGAIN.due(min(state.attempts, _AGAIN.attempts - 1), now)
        state.due = now if due is None else due
        self._changed = True
        if state.failing is None:
            state.failing = now
            _log.warning("notice %s cannot be sent, and will be: %s", self._notice.name, error)
            self._append(lease, self._failed(error, now))

    def _is_due(self, now: int) -> bool:
        due = self._next()
        return due is not None and due <= now

    def _next(self) -> int | None:
        """When the next message is due."""
        ready = self._ready()
        state = self._state
        if state.waiting.count:
            ready.append((state.waiting.since, ""))
        if not ready:
            return None
        return self._allowed(min(instant for instant, _ in ready) + self._every)

    def _allowed(self, due: int) -> int:
        """From when on something may be sent that is due at this instant."""
        state = self._state
        if self._every and state.sent:
            due = max(due, state.sent[-1] + self._every)
        if state.failing is not None:
            return max(due, state.due)
        return max(due, state.sent[-BURST] + _MINUTE) if len(state.sent) >= BURST else due

    def _ready(self) -> list[tuple[int, str]]:
        """The undertakings that are to be told, and when each may be."""
        state = self._state
        found: list[tuple[int, str]] = []
        crowd = len(state.groups) - MOST_GROUPS
        for name, group in state.groups.items():
            if group.since is None:
                continue
            ended = self._tally(name).ended if group.tasks is not None else 0
            instant = group.ready(ended, group.since, self._quiet, self._latest)
            found.append((group.seen if len(found) < crowd else instant, name))
        return found

    # Keeping -------------------------------------------------------------------------------------

    def _tidy(self, now: int) -> None:
        """Forget what is no longer needed, so that the record stays small."""
        for name in self._state.forget(now):
            self._tallies.pop(name, None)
            self._changed = True

    def _note(self, lease: Lease) -> None:
        """Write how far it has come."""
        lease.save(self._state.to_value())
        self._noted, self._changed = self._state.position, False

    def _append(self, lease: Lease, event: Event) -> None:
        """Keep an event about this notice, and how far it has come, both or neither."""
        value = self._state.to_value()
        try:
            self._store.append([event], put=[lease.put(value)])
        except RevisionConflict:
            raise LeaseLost(self.key) from None
        except OutcomeUnknown as error:
            _log.info("notice %s: %s", self._notice.name, error)  # the next line finds out
        lease.saved(value)
        self._noted, self._changed = self._state.position, False

    def _sent(
        self, message: Message, groups: list[tuple[Group, Tally]], waiting: Waiting, now: int
    ) -> Event:
        """The event that says what was sent."""
        facts = {
            "notice": self._notice.name,
            "title": message.title,
            "events": waiting.count + sum(group.count for group, _ in groups),
            "positions": [waiting.first, waiting.last] if waiting.count else [],
            "undertakings": [group.correlation_id for group, _ in groups],
        }
        return self._event(SENT, "success", self._state.messages + 1, facts, now)

    def _failed(self, error: str, now: int) -> Event:
        """The event that says what went wrong."""
        facts = {"notice": self._notice.name, "error": error, "position": self._state.position}
        return self._event(FAILED, "failure", now, facts, now)

    def _event(self, kind: str, status: str, number: int, facts: dict[str, Any], now: int) -> Event:
        return Event(
            kind,
            status=status,
            payload=facts,
            source="tidings",
            timestamp=format_instant(now),
            id=f"{kind}/{self.key}/{number}",
            aggregate_type="notice",
            aggregate_id=self._notice.name,
        )
