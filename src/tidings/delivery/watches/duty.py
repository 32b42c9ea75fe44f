"""The duty of a watch: read the log, judge by the clock, say what was missed.

Keeps: each thing is said exactly once, whoever dies meanwhile, as what is said and what is
remembered are written in one transaction; and nothing is judged by the clock before everything that
anybody was told is kept has been read. Between what is said it writes seldom: a process that takes
over reads some seconds of the log again, and comes to the same.
"""

from __future__ import annotations

from itertools import islice

from tidings.delivery.watches.arrivals import Arrivals, happened
from tidings.delivery.watches.lives import begins, ends
from tidings.delivery.watches.registry import PREFIX, memory_of
from tidings.delivery.watches.telling import event_of
from tidings.delivery.watches.watch import Watch
from tidings.errors import HistoryPruned, LeaseLost, OutcomeUnknown, RevisionConflict
from tidings.store.query import Filter, Query
from tidings.subscriptions.duties import Duty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.delivery.watches.lives import Lives
    from tidings.delivery.watches.telling import Said
    from tidings.event import Event
    from tidings.store.base import Store
    from tidings.subscriptions.leases import Lease

__all__ = ["WatchDuty", "duties"]

_AT_ONCE = 500
"""So many events are taken in at once. Each may be both missed and recovered, and what is said of
them must fit into one message of a replicated log."""

_SOON = 1_000_000
_LATER = 10_000_000
"""What has changed is written after so long (microseconds): soon where it is little and people look
at it, later where it is only how far the log was read, or much."""

_MOST_LOOKED_AT = 100
"""So many newest events are asked whether something that begins has ended before (its start waited
in a spool)."""


def duties(store: Store) -> list[Duty]:
    """The duties of the watches that are not paused."""
    records = [store.get(key) for key in store.keys(PREFIX)]
    watches = [Watch.of(record.value) for record in records if record is not None]
    return [WatchDuty(store, watch) for watch in watches if not watch.paused]


class WatchDuty(Duty):
    """One watch, as one process runs it.

    Args:
        store: where it looks, and emits.
        watch: which one.
    """

    def __init__(self, store: Store, watch: Watch) -> None:
        self.key = watch.state_key
        self.first = {"position": watch.start}
        self.position = watch.start
        self._store = store
        self._name = watch.name
        self._watch: Watch | None = watch
        self._query = watch.query()
        self._memory: Arrivals | Lives | None = None
        self._of: Lease | None = None
        self._written_at = 0
        self._changed = False

    def rang(self) -> None:
        """Look at the record again, before the next turn."""
        record = self._store.get(PREFIX + self._name)
        watch = None if record is None else Watch.of(record.value)
        is_ours = watch is not None and watch.state_key == self.key and not watch.paused
        self._watch = watch if is_ours else None
        self._memory = None

    def turn(self, lease: Lease, now: int) -> int | None:
        """Read on, judge, and say what there is to say."""
        watch = self._watch
        if watch is None:
            return None  # deleted or paused: whoever runs it hears of that, too
        memory = self._remembered(watch, lease)
        # Whatever goes wrong from here on, the next turn begins with what is written.
        self._memory = None
        position, said, more = self._read(memory)
        if not more and memory.deadline is not None and memory.deadline < now:
            more = self._store.catch_up() > position
            if not more:
                said += memory.judge(now)
        self._write(watch, lease, memory, position, said, now)
        self._memory = memory
        if more or (memory.deadline is not None and memory.deadline < now):
            return now
        dues = [] if memory.deadline is None else [memory.deadline + 1]
        if self._changed:
            dues.append(self._written_at + self._pause(memory))
        return min(dues, default=None)

    def leave(self, lease: Lease) -> None:
        """Save how far it has come."""
        memory = self._memory
        if memory is None or self._of is not lease:
            return  # Its last turn failed, so the record is what there is.
        if self._changed or self.position != lease.value["position"]:
            lease.save({"position": self.position, "memory": memory.to_value()})

    # Reading -------------------------------------------------------------------------------------

    def _remembered(self, watch: Watch, lease: Lease) -> Arrivals | Lives:
        if self._memory is None or self._of is not lease:
            self._memory, self._of = memory_of(watch, lease.value.get("memory")), lease
            self.position = lease.value["position"]
            self._changed = "memory" not in lease.value
            self._query = watch.query()
        return self._memory

    def _read(self, memory: Arrivals | Lives) -> tuple[int, list[Said], bool]:
        """Take in what was kept since; how far, what is to be said, and whether there is more."""
        try:
            reading = self._store.read(self._asked(memory))
            events = list(islice(reading, _AT_ONCE))
        except HistoryPruned as error:
            return error.first - 1, [], True
        position = reading.position
        reading.close()
        more = len(events) == _AT_ONCE
        if isinstance(memory, Arrivals):
            wanted = [event for event in events if self._query.matches(event)]
            self._changed = self._changed or bool(wanted)
            return position, list(memory.fold(wanted)), more
        said, last = memory.fold(events, self._begins)
        self._changed = self._changed or bool(events)
        if last is not None and last is not events[-1]:
            return last.position or position, list(said), True
        return position, list(said), more

    def _asked(self, memory: Arrivals | Lives) -> Query:
        """What is read: where lives are watched, everything that may be about them."""
        if isinstance(memory, Arrivals):
            # A search for text would read backwards; `matches` finds it.
            return self._query.replace(after=self.position, contains=None)
        return Query(
            after=self.position,
            aggregate_type=self._query.aggregate_type,
            aggregate_id=self._query.aggregate_id,
            exclude=Filter(types="tidings.*"),
        )

    def _begins(self, event: Event) -> bool:
        """Whether an event begins something that is watched, and that has not ended already."""
        if not self._query.matches(event):
            return False
        if (event.version or 1) == 1:
            return True
        before = Query(
            aggregate_type=event.aggregate_type,
            aggregate_id=event.aggregate_id,
            before=event.position,
            limit=_MOST_LOOKED_AT,
            backwards=True,
        )
        return not any(
            happened(each) > happened(event) and not begins(each) and ends(each, event.type)
            for each in self._store.read(before)
        )

    # Writing -------------------------------------------------------------------------------------

    def _write(
        self,
        watch: Watch,
        lease: Lease,
        memory: Arrivals | Lives,
        position: int,
        said: list[Said],
        now: int,
    ) -> None:
        is_due = self._written_at + self._pause(memory) <= now
        has_moved = self._changed or position != lease.value["position"]
        if said:
            events = [event_of(self._store, watch, each) for each in said]
            self._append(lease, events, {"position": position, "memory": memory.to_value()})
        elif has_moved and (is_due or lease.wanted):
            lease.save({"position": position, "memory": memory.to_value()})
        else:
            self.position = position
            return
        self._written_at, self._changed = now, False
        self.position = position

    def _append(self, lease: Lease, events: list[Event], value: dict[str, Any]) -> None:
        """Emit and remember, both or neither.

        Raises:
            LeaseLost: somebody else does it now.
        """
        try:
            self._store.append(events, put=[lease.put(value)])
        except RevisionConflict:
            lease.forget()
            raise LeaseLost(lease.key) from None
        except OutcomeUnknown:
            pass  # `saved` looks whether it arrived
        lease.saved(value)

    def _pause(self, memory: Arrivals | Lives) -> int:
        return _SOON if self._changed and memory.is_small else _LATER
